package security_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flynn/noise"

	"peermesh/api"
	"peermesh/security"
)

// shake is one handshake between alice, who dials, and bob. Tests change the configurations before.
type shake struct {
	alice, bob security.HandshakeConfig
}

const testBoot = "1767225600000-0a1b2c3d"

func newShake(t testing.TB) *shake {
	t.Helper()
	s := &shake{}
	for name, c := range map[string]*security.HandshakeConfig{"alice": &s.alice, "bob": &s.bob} {
		*c = security.HandshakeConfig{
			Identity: newIdentity(t, name), Mesh: "demo", Keys: mustRing(t, security.Entry{Key: mustParse(t, groupHex), Send: true}),
			Boot: testBoot, Seen: security.NewHellos(), Now: func() time.Time { return t0 },
		}
	}
	return s
}

func newIdentity(t testing.TB, name string) *security.Identity {
	t.Helper()
	id, err := security.NewIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// both sets the protection of both ends.
func (s *shake) both(p security.Protection) *shake {
	s.alice.Protection, s.bob.Protection = p, p
	return s
}

// outcome is what became of a handshake: the messages that were sent, and what each end thinks of it.
type outcome struct {
	m1, m2, m3   []byte
	answered     security.Remote // bob, as alice sees him
	authorised   security.Remote // alice, as bob sees her
	alice, bob   *security.Session
	aliceE, bobE error
}

// run runs the handshake as far as it goes. change, if not nil, may alter each message on its way.
func (s *shake) run(t testing.TB, change func(n int, m []byte) []byte) (o outcome) {
	t.Helper()
	if change == nil {
		change = func(_ int, m []byte) []byte { return m }
	}
	i, err := security.NewInitiator(s.alice)
	if err != nil {
		t.Fatal(err)
	}
	r := security.NewResponder(s.bob)
	if o.m1, o.aliceE = i.Hello(nil); o.aliceE != nil {
		return o
	}
	if o.m2, o.bobE = r.Hello(nil, change(1, o.m1)); o.bobE != nil {
		return o
	}
	if o.answered, o.aliceE = i.Answer(change(2, o.m2)); o.aliceE != nil {
		return o
	}
	if o.m3, o.alice, o.aliceE = i.Auth(nil, ""); o.aliceE != nil {
		return o
	}
	o.bob, o.authorised, o.bobE = r.Auth(change(3, o.m3))
	return o
}

// sessions runs the handshake, which must succeed.
func (s *shake) sessions(t testing.TB) (alice, bob *security.Session) {
	t.Helper()
	o := s.run(t, nil)
	if o.aliceE != nil || o.bobE != nil {
		t.Fatal(o.aliceE, o.bobE)
	}
	return o.alice, o.bob
}

// deliver seals text at one end and opens it at the other.
func deliver(from, to *security.Session, text string) error {
	secinfo, frame, err := from.Seal(nil, security.Outgoing{}, []byte(text))
	if err != nil {
		return err
	}
	_, got, err := to.Open(secinfo, frame, nil)
	if err == nil && string(got) != text {
		err = fmt.Errorf("got %q, want %q", got, text)
	}
	return err
}

// refused returns the refusal that err is.
func refused(t testing.TB, err error) security.Refusal {
	t.Helper()
	var r *security.Refusal
	if !errors.As(err, &r) {
		t.Helper()
		t.Fatalf("error %v, want a Refusal", err)
	}
	return *r
}

// A stranger is told one thing whatever was wrong.
func stranger(why security.Reason) security.Refusal {
	return security.Refusal{Code: api.CodeUnauthenticated, Reason: why, Answer: security.AnswerUnsigned, Close: true, Failure: true}
}

// raw is an end of a handshake that says what the test wants, on flynn/noise alone.
type raw struct {
	t     testing.TB
	state *noise.HandshakeState
}

// newRaw returns the other end of the handshake that cfg configures one end of: the same key, mesh and binding.
func newRaw(t testing.TB, cfg *security.HandshakeConfig, key *security.Key, id *security.Identity, initiator bool) *raw {
	t.Helper()
	public := id.PublicKey()
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite:   noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256),
		Pattern:       noise.HandshakeXX,
		Initiator:     initiator,
		Prologue:      security.Prologue(cfg.CB, key.ID(), cfg.Mesh),
		PresharedKey:  key.NoisePSK().Bytes(),
		StaticKeypair: noise.DHKey{Private: id.PrivateKey().Bytes(), Public: public[:]},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &raw{t, state}
}

// write returns the next message, in the form {"m":"…"}.
func (r *raw) write(payload string) []byte {
	r.t.Helper()
	m, _, _, err := r.state.WriteMessage(nil, []byte(payload))
	if err != nil {
		r.t.Fatal(err)
	}
	return []byte(`{"m":"` + b64(m) + `"}`)
}

// read reads a message and returns its payload.
func (r *raw) read(object []byte) string {
	r.t.Helper()
	payload, _, _, err := r.state.ReadMessage(nil, messageOf(r.t, object))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(payload)
}
