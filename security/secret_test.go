package security_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"peermesh/security"
)

// assertNoCanary fails when text holds key in any usual form.
func assertNoCanary(t *testing.T, what, text string, key []byte) {
	t.Helper()
	for _, form := range []string{
		string(key), hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)),
		base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key),
		strings.ToLower(base32.StdEncoding.EncodeToString(key)[:48]),
		strings.Trim(fmt.Sprint(key), "[]"), strings.Trim(fmt.Sprintf("%#v", key), "[]byte{}"),
		fmt.Sprintf("%o", key)[1:20],
	} {
		if strings.Contains(text, form) {
			t.Errorf("%s shows the key: %s", what, text)
		}
	}
}

// TestSecretsDoNotPrint prints keys and what holds them in every way.
func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	key := mustParse(t, groupHex)
	raw := key.Secret().Bytes()
	ring := bobRing(t)
	h := mustHMAC(t, security.HMACConfig{Name: "bob", Keys: ring})
	id, err := security.NewIdentity("bob")
	if err != nil {
		t.Fatal(err)
	}
	v, _, _ := bob(t, &fakeClock{t0}).Open(group("alice").params(), []byte(callPayload), nil)
	hidden := struct{ s security.Secret }{key.Secret()}
	pointer := struct{ k *security.Key }{key}
	secrets := [][]byte{raw, security.MACKey(key).Bytes(), key.NoisePSK().Bytes(), key.MDNSKey().Bytes(), id.PrivateKey().Bytes()}
	for name, x := range map[string]any{
		"secret": key.Secret(), "derived": key.NoisePSK(), "key": key, "entry": security.Entry{Key: key}, "ring": ring,
		"entries": ring.Entries(), "hmac": h, "link": h.Link(security.LinkConfig{}), "verdict": v, "reply": v.Reply(),
		"hidden": hidden, "pointer": pointer, "identity": id, "map": map[string]any{"k": key.Secret()},
	} {
		var texts []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%p", "%10.3v"} {
			texts = append(texts, fmt.Sprintf(verb, x))
		}
		if j, err := json.Marshal(x); err == nil {
			texts = append(texts, string(j))
		}
		if j, err := xml.Marshal(x); err == nil {
			texts = append(texts, string(j))
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "x", x)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "x", x)
		for _, text := range append(texts, log.String()) {
			for _, s := range secrets {
				assertNoCanary(t, name, text, s)
			}
		}
	}
	for what, got := range map[string]string{
		"String": key.Secret().String(), "%#v": fmt.Sprintf("%#v", key), "%x": fmt.Sprintf("%x", key.Secret()),
		"GoString": key.GoString() + "", "Secret.GoString": key.Secret().GoString(),
	} {
		if got != "[secret kid=cf6785d9]" {
			t.Errorf("%s: %s", what, got)
		}
	}
	for _, x := range []any{key, key.Secret()} {
		if j, err := json.Marshal(x); err != nil || string(j) != `"[secret kid=cf6785d9]"` {
			t.Errorf("%s, %v", j, err)
		}
		text, err := x.(interface{ MarshalText() ([]byte, error) }).MarshalText()
		if err != nil || string(text) != "[secret kid=cf6785d9]" {
			t.Errorf("%s, %v", text, err)
		}
	}
	if s := (security.Secret{}); s.String() != "[secret]" || s.Bytes() != nil || !s.Equal(security.Secret{}) {
		t.Error("zero Secret")
	}
}

func TestSecretBytesAreACopy(t *testing.T) {
	t.Parallel()
	s := mustParse(t, groupHex).Secret()
	s.Bytes()[0] = 0xff
	if s.Bytes()[0] != 0 {
		t.Error("changed from outside")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	k := mustParse(t, groupHex)
	for _, in := range []string{strings.ToUpper(groupHex), " " + groupHex + "\r\n"} {
		if got := mustParse(t, in); !got.Equal(k) || got.Export() != groupHex {
			t.Error(in)
		}
	}
	if k.Equal(nil) || k.Equal(mustParse(t, deviceHex)) || security.NewKey().Equal(security.NewKey()) {
		t.Error("different keys are equal")
	}
	if len(security.NewKey().Export()) != 64 {
		t.Error("length")
	}
	bad := strings.Repeat("canary!", 9) + "x" // 64 characters
	for in, want := range map[string]error{
		"": security.ErrKeyForm, groupHex[1:]: security.ErrKeyForm, groupHex + "00": security.ErrKeyForm, bad: security.ErrKeyForm,
		groupHex[:63] + "g":                    security.ErrKeyForm,
		strings.Repeat("00", 32):               security.ErrKeyWeak,
		groupHex[:32] + "\n" + groupHex[32:63]: security.ErrKeyForm,
	} {
		k, err := security.ParseKey([]byte(in))
		if k != nil || !errors.Is(err, want) {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if len(in) > 8 && strings.Contains(err.Error(), in[:8]) || strings.Contains(err.Error(), "'g'") {
			t.Errorf("the error quotes its input: %v", err)
		}
	}
	if _, err := security.KeyFrom(make([]byte, 31)); !errors.Is(err, security.ErrKeyForm) {
		t.Error(err)
	}
	raw := k.Secret().Bytes()
	copied, err := security.KeyFrom(raw)
	clear(raw)
	if err != nil || !copied.Equal(k) {
		t.Error("KeyFrom keeps its argument")
	}
}
