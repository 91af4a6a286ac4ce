package security_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/flynn/noise"

	"peermesh/api"
	"peermesh/security"
)

// TestFirstMessageHasNoPayload: it would be readable by every member, and no work is done for it.
func TestFirstMessageHasNoPayload(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	i := newRaw(t, &s.bob, mustParse(t, groupHex), s.alice.Identity, true)
	_, err := security.NewResponder(s.bob).Hello(nil, hello(messageOf(t, i.write("x"))))
	if got := refused(t, err); got != stranger(security.ReasonMalformed) {
		t.Errorf("%+v", got)
	}
}

// zeroKeys makes key pairs whose public key makes every secret shared with it zero.
type zeroKeys struct{ noise.DHFunc }

func (zeroKeys) GenerateKeypair(io.Reader) (noise.DHKey, error) {
	return noise.DHKey{Private: bytes.Repeat([]byte{1}, 32), Public: make([]byte, 32)}, nil
}

// TestLowOrderKeys: keys that make every shared secret zero are refused, though the key of the mesh is right.
func TestLowOrderKeys(t *testing.T) {
	t.Parallel()
	key := mustParse(t, groupHex)
	for _, ephemeral := range []bool{true, false} {
		s := newShake(t)
		cfg := noise.Config{
			CipherSuite: noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256),
			Pattern:     noise.HandshakeXX, Initiator: true, Prologue: security.Prologue("", groupKid, "demo"),
			PresharedKey: key.NoisePSK().Bytes(),
		}
		cfg.StaticKeypair, _ = zeroKeys{}.GenerateKeypair(nil)
		if ephemeral {
			cfg.CipherSuite = noise.NewCipherSuite(zeroKeys{noise.DH25519}, noise.CipherChaChaPoly, noise.HashSHA256)
		}
		state, err := noise.NewHandshakeState(cfg)
		if err != nil {
			t.Fatal(err)
		}
		i, r := &raw{t, state}, security.NewResponder(s.bob)
		m2, err := r.Hello(nil, hello(messageOf(t, i.write(""))))
		if !ephemeral {
			if err != nil {
				t.Fatal(err)
			}
			i.read(m2)
			_, _, err = r.Auth(i.write(`{"user":"alice","use":"sealed","boot":"` + testBoot + `","max":1}`))
		}
		if got := refused(t, err); got != stranger(security.ReasonHandshake) {
			t.Errorf("%+v", got)
		}
	}
}

// TestHandshakeSelf: two ends with one static key refuse each other, whatever they call themselves.
func TestHandshakeSelf(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	s.alice.Identity = s.bob.Identity
	i, r, m2 := s.half(t)
	remote, err := i.Answer(m2)
	if got := refused(t, err); got.Reason != security.ReasonSelf || got.Code != api.CodeRefused || got.Answer != security.AnswerNone || remote.ID != s.bob.Identity.ID() {
		t.Errorf("alice: %+v of %+v", got, remote)
	}
	if _, _, again := i.Auth(nil, ""); !errors.Is(again, err) {
		t.Errorf("a session with oneself: %v", again)
	}
	m3, session, err := i.Auth(nil, "self")
	if err != nil || session != nil {
		t.Fatal(session, err)
	}
	if _, remote, err = r.Auth(m3); remote.Refuses != "self" {
		t.Errorf("bob: %+v, %v", remote, err)
	}

	// An initiator that goes on is refused by the responder, which can say so.
	raw := newRaw(t, &s.bob, mustParse(t, groupHex), s.bob.Identity, true)
	r = security.NewResponder(s.bob)
	m2, err = r.Hello(nil, hello(messageOf(t, raw.write(""))))
	if err != nil {
		t.Fatal(err)
	}
	raw.read(m2)
	session, remote, err = r.Auth(raw.write(`{"user":"alice","use":"sealed","boot":"` + testBoot + `","max":1}`))
	if got := refused(t, err); got.Reason != security.ReasonSelf || got.Answer != security.AnswerSigned || session == nil || remote.ID != s.bob.Identity.ID() {
		t.Errorf("bob: %+v of %+v", got, remote)
	}

	// Another peer of my name is for the caller to judge, who knows which id the name is pinned to.
	s = newShake(t)
	s.alice.Identity = newIdentity(t, "bob")
	s.sessions(t)
}

// half runs a handshake up to message 2.
func (s *shake) half(t testing.TB) (*security.Initiator, *security.Responder, []byte) {
	t.Helper()
	i, err := security.NewInitiator(s.alice)
	if err != nil {
		t.Fatal(err)
	}
	r := security.NewResponder(s.bob)
	m1, err := i.Hello(nil)
	if err != nil {
		t.Fatal(err)
	}
	m2, err := r.Hello(nil, m1)
	if err != nil {
		t.Fatal(err)
	}
	return i, r, m2
}

// TestInviteIsSealed: who holds an invite cannot have its answer, the keys of the mesh, in the clear.
func TestInviteIsSealed(t *testing.T) {
	t.Parallel()
	invite := security.NewKey()
	s := newShake(t).both(security.Signed)
	s.bob.Invites = func(string) *security.Key { return invite }
	i := newRaw(t, &s.bob, invite, s.alice.Identity, true)
	r := security.NewResponder(s.bob)
	m2, err := r.Hello(nil, []byte(strings.Replace(string(hello(messageOf(t, i.write("")))), groupKid, invite.ID(), 1)))
	if err != nil {
		t.Fatal(err)
	}
	if got := i.read(m2); !strings.Contains(got, `"accept":["sealed"]`) {
		t.Error(got)
	}
	_, _, err = r.Auth(i.write(`{"user":"alice","use":"signed","boot":"` + testBoot + `","max":1}`))
	if got := refused(t, err); got.Reason != security.ReasonProtection {
		t.Errorf("%+v", got)
	}

	// Nor does its holder agree to that with an inviter that offers it.
	s.alice.Keys, s.alice.Invite = nil, invite
	in, err := security.NewInitiator(s.alice)
	if err != nil {
		t.Fatal(err)
	}
	m1, err := in.Hello(nil)
	if err != nil {
		t.Fatal(err)
	}
	responder := newRaw(t, &s.alice, invite, s.bob.Identity, false)
	responder.read(m1)
	remote, err := in.Answer(responder.write(`{"user":"bob","accept":["signed","sealed"],"boot":"` + testBoot + `","max":1}`))
	if err != nil || remote.Use != security.Sealed || !remote.Invite {
		t.Errorf("%+v, %v", remote, err)
	}
}

// TestCallerRefuses: who knows better tells the other end, protected.
func TestCallerRefuses(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	i, r, m2 := s.half(t)
	if _, err := i.Answer(m2); err != nil {
		t.Fatal(err)
	}
	m3, session, err := i.Auth(nil, "pin")
	if err != nil || session != nil || strings.Contains(string(m3), "pin") {
		t.Fatal(string(m3), session, err)
	}
	session, remote, err := r.Auth(m3)
	got := refused(t, err)
	if remote.Refuses != "pin" || remote.User != "alice" || session != nil || got.Reason != security.ReasonDeclined || got.Answer != security.AnswerNone {
		t.Errorf("%+v of %+v", got, remote)
	}
	if errors.Unwrap(err) != nil {
		t.Error("a refusal is answered")
	}
}

// TestHandshakeOrder: calls out of their order are errors, and never a panic.
func TestHandshakeOrder(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	initiator := func() *security.Initiator {
		i, err := security.NewInitiator(s.alice)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	outOfOrder := func(name string, err error) {
		t.Helper()
		if !errors.Is(err, security.ErrOutOfOrder) {
			t.Errorf("%s: %v", name, err)
		}
	}
	hello := func(i *security.Initiator) error { _, err := i.Hello(nil); return err }
	answer := func(i *security.Initiator, m []byte) error { _, err := i.Answer(m); return err }
	auth := func(i *security.Initiator) error { _, _, err := i.Auth(nil, ""); return err }
	take := func(r *security.Responder, m []byte) error { _, _, err := r.Auth(m); return err }
	respond := func(r *security.Responder, m []byte) error { _, err := r.Hello(nil, m); return err }

	for name, i := range map[string]*security.Initiator{"zero": {}, "new": initiator()} {
		outOfOrder(name+": answer", answer(i, nil))
		outOfOrder(name+": auth", auth(i))
		if name == "zero" {
			outOfOrder(name+": hello", hello(i))
		}
	}
	outOfOrder("zero: hello", respond(new(security.Responder), nil))
	outOfOrder("zero: auth", take(new(security.Responder), nil))
	outOfOrder("auth before hello", take(security.NewResponder(s.bob), nil))

	i, r, m2 := s.half(t)
	outOfOrder("hello twice", hello(i))
	outOfOrder("auth before answer", auth(i))
	outOfOrder("responder: hello twice", respond(r, nil))
	if err := answer(i, m2); err != nil {
		t.Fatal(err)
	}
	outOfOrder("answer twice", answer(i, m2))
	m3, _, err := i.Auth(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	outOfOrder("auth twice", auth(i))
	if err := take(r, m3); err != nil {
		t.Fatal(err)
	}
	outOfOrder("responder: auth twice", take(r, m3))

	i, r, m2 = s.half(t)
	for range 2 {
		for _, bad := range []string{"", "null", "{}", "[]", `{"m":7}`, `{"m":"` + strings.Repeat("A", 4096) + `"}`, `{"m":"AAAA"}`} {
			if err := answer(i, []byte(bad)); err == nil {
				t.Errorf("answer %s", bad)
			}
			if err := take(r, []byte(bad)); err == nil {
				t.Errorf("auth %s", bad)
			}
		}
	}
	outOfOrder("after a failure", answer(i, m2))
}

// TestHandshakeConfig: a configuration that would not be safe is none.
func TestHandshakeConfig(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *security.HandshakeConfig){
		"identity":   func(c *security.HandshakeConfig) { c.Identity = nil },
		"mesh":       func(c *security.HandshakeConfig) { c.Mesh = "" },
		"boot":       func(c *security.HandshakeConfig) { c.Boot = `"` },
		"protection": func(c *security.HandshakeConfig) { c.Protection = 2 },
		"renews":     func(c *security.HandshakeConfig) { c.Renews = `x` },
		"cb":         func(c *security.HandshakeConfig) { c.CB = `AAAA==` },
		"cb length":  func(c *security.HandshakeConfig) { c.CB = strings.Repeat("A", 132) },
		"seen":       func(c *security.HandshakeConfig) { c.Seen = nil },
	} {
		s := newShake(t)
		change(&s.alice)
		if _, err := security.NewInitiator(s.alice); (err == nil) != (name == "seen") {
			t.Errorf("initiator: %s: %v", name, err)
		}
		change(&s.bob)
		var no *security.Refusal
		if _, err := security.NewResponder(s.bob).Hello(nil, nil); err == nil || errors.As(err, &no) {
			t.Errorf("responder: %s: %v", name, err)
		}
	}
	s := newShake(t)
	s.alice.Keys = nil
	if _, err := security.NewInitiator(s.alice); !errors.Is(err, security.ErrNoKey) {
		t.Error(err)
	}
}
