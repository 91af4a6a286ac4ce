package codec_test

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"peermesh/codec"
)

// The tests of this file hold PROTOCOL.md to its word.

const (
	groupHex  = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	deviceHex = "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
)

func protocolPage(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// blocks returns the fenced blocks of a language.
func blocks(page, language string) []string {
	var found []string
	for {
		_, rest, ok := strings.Cut(page, "\n```"+language+"\n")
		if !ok {
			return found
		}
		block, after, _ := strings.Cut(rest, "\n```")
		found = append(found, block+"\n")
		page = after
	}
}

// sign is section 3, in Go.
func sign(t *testing.T, key string, fields map[string]string, payload string) (kid, sig, signed string) {
	t.Helper()
	k, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	expand := func(info string, n int) []byte {
		out, err := hkdf.Expand(sha256.New, k, info, n)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	signed = "rpc.secinfo/1\n"
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "sig" {
			signed += fmt.Sprintf("%s=%d:%s\n", name, len(fields[name]), fields[name])
		}
	}
	signed += fmt.Sprintf("\n%d:%x\n", len(payload), sha256.Sum256([]byte(payload)))
	mac := hmac.New(sha256.New, expand("rpc.secinfo/1 hmac", 32))
	mac.Write([]byte(signed))
	return hex.EncodeToString(expand("rpc.secinfo/1 kid", 4)), hex.EncodeToString(mac.Sum(nil)), signed
}

// TestProtocolExamples parses every message of the page, and verifies every signature.
func TestProtocolExamples(t *testing.T) {
	t.Parallel()
	page := protocolPage(t)
	signatures := 0
	var secinfo map[string]string
	for _, block := range blocks(page, "jsonrpc") {
		for line := range strings.Lines(block) {
			frame := []byte(strings.TrimSuffix(line, "\n"))
			params, is, err := codec.ParseSecInfo(frame)
			if err != nil {
				t.Fatal(err)
			}
			if is {
				if err := json.Unmarshal(params, &secinfo); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if secinfo != nil {
				key := groupHex
				if secinfo["kid"] == "86913cf4" {
					key = deviceHex
				}
				kid, sig, signed := sign(t, key, secinfo, string(frame))
				if kid != secinfo["kid"] || sig != secinfo["sig"] {
					t.Errorf("%s is signed %s", frame, sig)
				}
				if signatures++; signatures == 1 && !slices.Contains(blocks(page, "signed"), signed) {
					t.Errorf("the signed bytes are\n%s", signed)
				}
				secinfo = nil
			}
			elements := [][]byte{frame}
			if codec.IsBatch(frame) {
				if elements, err = codec.SplitBatch(nil, frame); err != nil {
					t.Error(err)
				}
			}
			for _, e := range elements {
				var m codec.Message
				if err := m.Parse(e); err != nil {
					t.Errorf("%s: %v", e, err)
				}
			}
		}
	}
	if signatures != 3 {
		t.Errorf("%d signatures", signatures)
	}
	if !strings.Contains(page, "Content-Length: 61\\r\\n\\r\\n"+`{"jsonrpc":"2.0","id":1,"method":"subtract","params":[42,23]}`) {
		t.Error("the example of lsp")
	}
}

// TestProtocolSessions: the frames of sessions on the page are those of the vectors.
func TestProtocolSessions(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../security/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	type session struct {
		M1, M2, M3, Payload2, Payload3, Prologue string
		Frames                                   []struct {
			Secinfo string `json:"secinfo_frame"`
			Payload string `json:"payload_frame"`
		}
	}
	var v struct {
		Signed session `json:"session_signed"`
		Sealed session `json:"session_sealed"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	page := protocolPage(t)
	var want strings.Builder
	fmt.Fprintf(&want, `{"jsonrpc":"2.0","id":"h1","method":"rpc.hello","params":{"v":"1","kid":"cf6785d9","noise":"XXpsk0_25519_ChaChaPoly_SHA256","m":%q}}`+"\n", v.Signed.M1)
	fmt.Fprintf(&want, `{"jsonrpc":"2.0","id":"h1","result":{"m":%q}}`+"\n", v.Signed.M2)
	fmt.Fprintf(&want, `{"jsonrpc":"2.0","id":"h2","method":"rpc.auth","params":{"m":%q}}`+"\n", v.Signed.M3)
	var sealed strings.Builder
	for i := range 2 {
		fmt.Fprintf(&want, "%s\n%s\n", v.Signed.Frames[i].Secinfo, v.Signed.Frames[i].Payload)
		fmt.Fprintf(&sealed, "%s\n%s\n", v.Sealed.Frames[i].Secinfo, v.Sealed.Frames[i].Payload)
	}
	if got := blocks(page, "session"); !slices.Equal(got, []string{want.String(), sealed.String()}) {
		t.Errorf("the page has\n%s", strings.Join(got, "\n"))
	}
	for _, text := range []string{v.Signed.Payload2 + "\n" + v.Signed.Payload3, strings.ReplaceAll(strings.ReplaceAll(v.Signed.Prologue, "\n", " LF "), "  ", " ")} {
		if !strings.Contains(page, strings.TrimSpace(text)) {
			t.Errorf("the page lacks %s", text)
		}
	}
}

// client writes the page's Python client to a file, or skips the test.
func client(t *testing.T) (python, script string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("skip: needs python3: ", err)
	}
	code := blocks(protocolPage(t), "python")
	if len(code) != 1 {
		t.Fatalf("%d clients in Python", len(code))
	}
	script = filepath.Join(t.TempDir(), "call.py")
	if err := os.WriteFile(script, []byte(code[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	return python, script
}

func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// TestPythonSigns has the client sign the payloads of the page.
func TestPythonSigns(t *testing.T) {
	t.Parallel()
	python, script := client(t)
	for _, vector := range []struct{ key, fields, payload, want string }{
		{groupHex, `{"alg":"HS256","kid":"cf6785d9","nonce":"000102030405060708090a0b0c0d0e0f","to":"*","ts":"1767225600000","user":"alice","v":"1"}`,
			`{"jsonrpc":"2.0","method":"chat.say","params":{"text":"hello"}}`, "fe3b7b26100b11780c9bd8af24c229e126c1d3c986219c4285ae121847f5b6dd"},
		{deviceHex, `{"alg":"HS256","kid":"86913cf4","nonce":"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff","to":"bob","ts":"1767225600123","user":"sensor-1","v":"1"}`,
			`{"jsonrpc":"2.0","method":"temp.set","params":{"celsius":21.5},"id":7}`, "9b69a244545c00151b5b4f265d6744328bf884d3865e45f7d349c94149afc9f8"},
		{deviceHex, `{"alg":"HS256","kid":"86913cf4","nonce":"101112131415161718191a1b1c1d1e1f","to":"sensor-1","ts":"1767225600150","user":"bob","v":"1"}`,
			`{"jsonrpc":"2.0","result":true,"id":7}`, "ca621bed514d51d160b3beecaac19eafcf45196e767ec4d6a220964d337721fa"},
	} {
		const use = "import sys, json; sys.path.insert(0, sys.argv[1]); import call; print(call.signature(bytes.fromhex(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4].encode()))"
		got, err := run(t, python, "-c", use, filepath.Dir(script), vector.key, vector.fields, vector.payload)
		if err != nil || got != vector.want {
			t.Errorf("%s: %s, %v", vector.payload, got, err)
		}
	}
}

// TestPythonCalls has the client call a peer that answers in several ways.
func TestPythonCalls(t *testing.T) {
	t.Parallel()
	python, script := client(t)
	const result = `{"jsonrpc":"2.0","id":1,"result":{"text":"grüß dich"}}`
	signedBy := func(user, to, payload string) string {
		fields := map[string]string{"v": "1", "alg": "HS256", "kid": "86913cf4", "user": user, "to": to, "ts": "1767225600150", "nonce": "101112131415161718191a1b1c1d1e1f"}
		_, fields["sig"], _ = sign(t, deviceHex, fields, result)
		params, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return string(codec.AppendSecInfo(nil, params)) + "\x00" + payload + "\x00"
	}
	for _, test := range []struct{ name, answer, want string }{
		{"signed", "\x00" + signedBy("bob", "sensor-1", result), `{"jsonrpc": "2.0", "id": 1, "result": {"text": "gr\u00fc\u00df dich"}}`},
		{"behind other frames", `{"jsonrpc":"2.0","method":"x"}` + "\x00" + result + "\x00" + signedBy("bob", "sensor-1", result), `{"jsonrpc": "2.0", "id": 1, "result": {"text": "gr\u00fc\u00df dich"}}`},
		{"unsigned", result + "\x00", "the link ended"},
		{"of another payload", signedBy("bob", "sensor-1", strings.Replace(result, "dich", "euch", 1)), "the link ended"},
		{"by another peer", signedBy("eve", "sensor-1", result), "the link ended"},
		{"to another peer", signedBy("bob", "eve", result), "the link ended"},
		{"refused", `{"jsonrpc":"2.0","id":null,"error":{"code":-32040,"message":"unauthenticated"}}` + "\x00", "refused: {'code': -32040, 'message': 'unauthenticated'}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- serveOnce(t, ln, test.answer) }()
			host, port, _ := net.SplitHostPort(ln.Addr().String())
			got, err := run(t, python, script, host, port, deviceHex, "sensor-1", "bob", "temp.set", `{"celsius":21.5}`)
			if got != test.want || (err == nil) != strings.HasPrefix(test.want, "{") {
				t.Errorf("%s, %v", got, err)
			}
			if err := errors.Join(ln.Close(), <-served); err != nil {
				t.Error(err)
			}
		})
	}
}

// serveOnce verifies the call of one client and answers it.
func serveOnce(t *testing.T, ln net.Listener, answer string) error {
	c, err := ln.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	r := codec.NewReader(c, nil, 4<<10)
	frame, err := r.Next()
	if err != nil {
		return err
	}
	params, ok, err := codec.ParseSecInfo(frame)
	if err != nil || !ok || r.Framing() != codec.NUL {
		return fmt.Errorf("%s is no secinfo: %w", frame, err)
	}
	var fields map[string]string
	if err := json.Unmarshal(bytes.Clone(params), &fields); err != nil {
		return err
	}
	payload, err := r.Next()
	if err != nil {
		return err
	}
	kid, sig, _ := sign(t, deviceHex, fields, string(payload))
	var m codec.Message
	if err := m.Parse(payload); err != nil || fields["kid"] != kid || fields["sig"] != sig || fields["user"] != "sensor-1" || fields["to"] != "bob" ||
		string(m.Method) != "temp.set" || len(fields["nonce"]) != 32 {
		return fmt.Errorf("%s with %v: %w", payload, fields, err)
	}
	_, err = c.Write([]byte(answer))
	return err
}
