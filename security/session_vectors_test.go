package security_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flynn/noise"

	"peermesh/security"
)

// sessionVector is session_signed or session_sealed of testdata/vectors.json.
type sessionVector struct {
	Use        string
	InitStatic string `json:"initiator_static_priv"`
	RespStatic string `json:"responder_static_priv"`
	InitEph    string `json:"initiator_eph_priv"`
	RespEph    string `json:"responder_eph_priv"`
	InitID     string `json:"initiator_peer_id"`
	RespID     string `json:"responder_peer_id"`
	Payload2   string
	Payload3   string
	M1, M2, M3 string
	Sid        string
	Prologue   string
	PSK        string `json:"noise_psk_hex"`
	Hash       string `json:"handshake_hash"`
	KI2R       string `json:"k_i2r"`
	KR2I       string `json:"k_r2i"`
	MacI2R     string `json:"mac_i2r"`
	MacR2I     string `json:"mac_r2i"`
	EncI2R     string `json:"enc_i2r"`
	EncR2I     string `json:"enc_r2i"`
	Frames     []vectorFrame
}

type vectorFrame struct {
	Direction string
	Seq       int
	Message   string
	SecInfo   string `json:"secinfo_frame"`
	Payload   string `json:"payload_frame"`
}

// params is the params object of the frame's secinfo.
func (f *vectorFrame) params() []byte {
	head := `{"jsonrpc":"2.0","method":"rpc.secinfo","params":`
	return []byte(strings.TrimSuffix(strings.TrimPrefix(f.SecInfo, head), "}"))
}

func loadSessions(t testing.TB) map[string]*sessionVector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Signed *sessionVector `json:"session_signed"`
		Sealed *sessionVector `json:"session_sealed"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return map[string]*sessionVector{"signed": v.Signed, "sealed": v.Sealed}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ends returns both ends of the vector's handshake, with its randomness. The ends' clocks stand at t0.
func (v *sessionVector) ends(t testing.TB) (*security.Initiator, *security.Responder) {
	t.Helper()
	alice, err := security.IdentityFrom("alice", unhex(t, v.InitStatic))
	if err != nil {
		t.Fatal(err)
	}
	bob, err := security.IdentityFrom("bob", unhex(t, v.RespStatic))
	if err != nil {
		t.Fatal(err)
	}
	ring := mustRing(t, security.Entry{Key: mustParse(t, groupHex), Send: true})
	least := security.Sealed
	if v.Use == "signed" {
		least = security.Signed
	}
	i, err := security.NewInitiator(security.HandshakeConfig{
		Identity: alice, Mesh: "demo", Keys: ring, Boot: "1767225600500-4e5f6071", Max: 4194304,
		Protection: least, Now: func() time.Time { return t0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	r := security.NewResponder(security.HandshakeConfig{
		Identity: bob, Mesh: "demo", Keys: ring, Boot: "1767225600000-0a1b2c3d", Max: 4194304,
		Protection: security.Signed, Seen: security.NewHellos(), Now: func() time.Time { return t0 },
	})
	security.SetInitiatorRandom(i, bytes.NewReader(unhex(t, v.InitEph)))
	security.SetResponderRandom(r, bytes.NewReader(unhex(t, v.RespEph)))
	return i, r
}

// TestVectorsSession runs each vector from its first message to its last frame.
func TestVectorsSession(t *testing.T) {
	t.Parallel()
	for name, v := range loadSessions(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, r := v.ends(t)
			hello, err := i.Hello(nil)
			if want := fmt.Sprintf(`{"v":"1","kid":"cf6785d9","noise":"XXpsk0_25519_ChaChaPoly_SHA256","m":"%s"}`, v.M1); err != nil || string(hello) != want {
				t.Fatalf("hello %s, %v\nwant %s", hello, err, want)
			}
			result, err := r.Hello(nil, hello)
			if want := fmt.Sprintf(`{"m":"%s"}`, v.M2); err != nil || string(result) != want {
				t.Fatalf("result %s, %v\nwant %s", result, err, want)
			}
			remote, err := i.Answer(result)
			use, _ := security.ParseProtection(v.Use)
			if want := (security.Remote{ID: v.RespID, User: "bob", Boot: "1767225600000-0a1b2c3d", Max: 4194304, Kid: groupKid,
				Role: security.RoleMember, Use: use}); err != nil || remote != want {
				t.Fatalf("responder %+v, %v\nwant %+v", remote, err, want)
			}
			params, is, err := i.Auth(nil, "")
			if want := fmt.Sprintf(`{"m":"%s"}`, v.M3); err != nil || string(params) != want {
				t.Fatalf("auth %s, %v\nwant %s", params, err, want)
			}
			rs, remote, err := r.Auth(params)
			if want := (security.Remote{ID: v.InitID, User: "alice", Boot: "1767225600500-4e5f6071", Max: 4194304, Kid: groupKid,
				Role: security.RoleMember, Use: use}); err != nil || remote != want {
				t.Fatalf("initiator %+v, %v\nwant %+v", remote, err, want)
			}
			if is.ID() != v.Sid || rs.ID() != v.Sid || is.Protection() != use || rs.Protection() != use {
				t.Errorf("sessions %s and %s, want %s", is, rs, v.Sid)
			}
			for n, f := range v.Frames {
				from, to, id := rs, is, v.RespID
				if f.Direction == "i2r" {
					from, to, id = is, rs, v.InitID
				}
				secinfo, payload, err := from.Seal(nil, security.Outgoing{}, []byte(f.Message))
				if err != nil || string(secinfo) != string(f.params()) || string(payload) != f.Payload {
					t.Fatalf("frame %d: %s %s, %v\nwant %s %s", n, secinfo, payload, err, f.params(), f.Payload)
				}
				who, text, err := to.Open(f.params(), []byte(f.Payload), nil)
				if err != nil || string(text) != f.Message || !who.Verified || who.Principal.PeerID != id {
					t.Fatalf("frame %d: %+v, %s, %v", n, who, text, err)
				}
			}
		})
	}
}

// TestVectorsSessionValues reproduces what the vectors say of a session's inside, without this package's session.
func TestVectorsSessionValues(t *testing.T) {
	t.Parallel()
	for name, v := range loadSessions(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same := func(name, got, want string) {
				t.Helper()
				if got != want || want == "" {
					t.Errorf("%s: %s, want %s", name, got, want)
				}
			}
			expand := func(key, label string) string {
				t.Helper()
				b, err := hkdf.Expand(sha256.New, unhex(t, key), label, 32)
				if err != nil {
					t.Fatal(err)
				}
				return hex.EncodeToString(b)
			}
			key := mustParse(t, groupHex)
			same("psk", hex.EncodeToString(key.NoisePSK().Bytes()), v.PSK)
			same("prologue", string(security.Prologue("", groupKid, "demo")), v.Prologue)
			alice, err := security.IdentityFrom("alice", unhex(t, v.InitStatic))
			if err != nil {
				t.Fatal(err)
			}
			public := alice.PublicKey()
			same("initiator's id", security.PeerID(public), v.InitID)
			state, err := noise.NewHandshakeState(noise.Config{
				CipherSuite: noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256),
				Pattern:     noise.HandshakeXX, Initiator: true, Prologue: []byte(v.Prologue), PresharedKey: unhex(t, v.PSK),
				StaticKeypair: noise.DHKey{Private: unhex(t, v.InitStatic), Public: public[:]},
				Random:        bytes.NewReader(unhex(t, v.InitEph)),
			})
			if err != nil {
				t.Fatal(err)
			}
			i := &raw{t, state}
			same("m1", string(i.write("")), `{"m":"`+v.M1+`"}`)
			same("payload 2", i.read([]byte(`{"m":"`+v.M2+`"}`)), v.Payload2)
			m3, i2r, r2i, err := state.WriteMessage(nil, []byte(v.Payload3))
			if err != nil {
				t.Fatal(err)
			}
			same("m3", b64(m3), v.M3)
			same("handshake hash", hex.EncodeToString(state.ChannelBinding()), v.Hash)
			for _, c := range []struct {
				k              [32]byte
				key, mac, enc  string
				direction, way string
			}{{i2r.UnsafeKey(), v.KI2R, v.MacI2R, v.EncI2R, "i2r", "to the responder"}, {r2i.UnsafeKey(), v.KR2I, v.MacR2I, v.EncR2I, "r2i", "to the initiator"}} {
				same("key "+c.way, hex.EncodeToString(c.k[:]), c.key)
				same("mac key "+c.way, expand(c.key, "rpc.secinfo/1 session hmac"), c.mac)
				same("enc key "+c.way, expand(c.key, "rpc.secinfo/1 session enc"), c.enc)
				for _, f := range v.Frames {
					if f.Direction != c.direction {
						continue
					}
					if v.Use == "sealed" {
						same("line", sealText(t, unhex(t, c.enc), uint64(f.Seq), f.Message), f.Payload)
					}
					same("secinfo", string(signFrame(unhex(t, c.mac), uint64(f.Seq), f.Payload).secinfo), string(f.params()))
				}
			}
			sum := sha256.Sum256(append([]byte("rpc.sid/1"), unhex(t, v.Hash)...))
			same("sid", hex.EncodeToString(sum[:8]), v.Sid)
		})
	}
}
