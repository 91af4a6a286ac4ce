package security_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"testing"
	"time"

	"peermesh/security"
)

// vectors is the part of testdata/vectors.json that this package answers for.
type vectors struct {
	Derived map[string]string
	HMAC    []hmacVector
	MDNS    struct {
		Fields    map[string]string
		M         string
		Key       string `json:"mdns_key_hex"`
		Rendering string
	}
	Negative []struct {
		Tag string `json:"tag_would_be"`
		Why string
	} `json:"negative_against_A1"`
	Sealed struct {
		PSK       string `json:"noise_psk_hex"`
		Prologue  string
		Initiator string `json:"initiator_static_priv"`
		Responder string `json:"responder_static_priv"`
		InitID    string `json:"initiator_peer_id"`
		RespID    string `json:"responder_peer_id"`
	} `json:"session_sealed"`
}

type hmacVector struct {
	Name        string
	KeyHex      string `json:"key_hex"`
	MACKeyHex   string `json:"mac_key_hex"`
	Kid         string
	SecInfo     map[string]string
	Payload     string
	SignedBytes string `json:"signed_bytes"`
	Sig         string
}

func loadVectors(t testing.TB) *vectors {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	v := new(vectors)
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *hmacVector) key(t testing.TB) *security.Key { return mustParse(t, v.KeyHex) }

func (v *hmacVector) time(t testing.TB) time.Time {
	ms, err := strconv.ParseInt(v.SecInfo["ts"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMilli(ms)
}

func (v *hmacVector) params() []byte {
	b, _ := json.Marshal(v.SecInfo)
	return b
}

// kind is what the vector's payload is.
func (v *hmacVector) kind() security.Kind {
	var m map[string]json.RawMessage
	_ = json.Unmarshal([]byte(v.Payload), &m)
	switch {
	case m["method"] == nil:
		return security.Response
	case m["id"] == nil:
		return security.Notification
	}
	return security.Request
}

func mustParse(t testing.TB, text string) *security.Key {
	t.Helper()
	k, err := security.ParseKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustRing(t testing.TB, entries ...security.Entry) *security.Keyring {
	t.Helper()
	r, err := security.NewKeyring(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustHMAC(t testing.TB, cfg security.HMACConfig) *security.HMAC {
	t.Helper()
	h, err := security.NewHMAC(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func entryOf(v *hmacVector, k *security.Key) security.Entry {
	e := security.Entry{Key: k, Send: true}
	if v.Kid == "86913cf4" {
		e.Users = []string{"sensor-1", "bob"}
	}
	return e
}

func TestVectorsKeys(t *testing.T) {
	t.Parallel()
	for _, v := range loadVectors(t).HMAC {
		k := v.key(t)
		if k.ID() != v.Kid {
			t.Errorf("%s: kid %s, want %s", v.Name, k.ID(), v.Kid)
		}
		if got := hex.EncodeToString(security.MACKey(k).Bytes()); got != v.MACKeyHex {
			t.Errorf("%s: mac key %s, want %s", v.Name, got, v.MACKeyHex)
		}
	}
	vs := loadVectors(t)
	k := vs.HMAC[0].key(t)
	if got := hex.EncodeToString(k.NoisePSK().Bytes()); got != vs.Sealed.PSK {
		t.Errorf("noise psk %s, want %s", got, vs.Sealed.PSK)
	}
	if got := hex.EncodeToString(k.MDNSKey().Bytes()); got != vs.MDNS.Key {
		t.Errorf("mdns key %s, want %s", got, vs.MDNS.Key)
	}
}

func TestVectorsSign(t *testing.T) {
	t.Parallel()
	for _, v := range loadVectors(t).HMAC {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			h := mustHMAC(t, security.HMACConfig{
				Name: v.SecInfo["user"],
				Keys: mustRing(t, entryOf(&v, v.key(t))),
				Now:  func() time.Time { return v.time(t) },
			})
			security.SetRandom(h, func(b []byte) { _, _ = hex.Decode(b, []byte(v.SecInfo["nonce"])) })
			link := h.Link(security.LinkConfig{Sign: true, CB: v.SecInfo["cb"]})
			params, out, err := link.Seal(nil, security.Outgoing{To: v.SecInfo["to"]}, []byte(v.Payload))
			if err != nil {
				t.Fatal(err)
			}
			if string(out) != v.Payload {
				t.Errorf("the payload was changed to %s", out)
			}
			var got map[string]string
			if err := json.Unmarshal(params, &got); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(v.SecInfo) {
				t.Errorf("fields %v, want %v", got, v.SecInfo)
			}
			for name, want := range v.SecInfo {
				if got[name] != want {
					t.Errorf("%s = %q, want %q", name, got[name], want)
				}
			}
		})
	}
}

func TestVectorsVerify(t *testing.T) {
	t.Parallel()
	for _, v := range loadVectors(t).HMAC {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			me := v.SecInfo["to"]
			if me == "*" {
				me = "bob"
			}
			h := mustHMAC(t, security.HMACConfig{
				Name: me, Keys: mustRing(t, entryOf(&v, v.key(t))), Now: func() time.Time { return v.time(t) },
			})
			link := h.Link(security.LinkConfig{Accept: security.AcceptHMAC, CB: v.SecInfo["cb"]})
			got, out, err := link.Open(v.params(), []byte(v.Payload), func([]byte) security.Kind { return v.kind() })
			if err != nil {
				t.Fatal(err)
			}
			if string(out) != v.Payload || got.User != v.SecInfo["user"] || !got.Verified || got.Principal.Kid != v.Kid {
				t.Errorf("verdict %+v", got)
			}
		})
	}
}
