package security_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"

	"peermesh/security"
)

// TestHandshakeFlips changes every byte of every message on its way, in several ways: none is accepted (threat T2).
func TestHandshakeFlips(t *testing.T) {
	t.Parallel()
	lengths := [4]int{}
	newShake(t).run(t, func(n int, m []byte) []byte { lengths[n] = len(m); return m })
	for n := 1; n <= 3; n++ {
		for at := range lengths[n] {
			for _, mask := range []byte{0x01, 0x02, 0x20, 0x80} {
				s := newShake(t)
				o := s.run(t, func(k int, m []byte) []byte {
					if k == n {
						m = bytes.Clone(m)
						m[at] ^= mask
					}
					return m
				})
				if n == 2 && o.aliceE == nil || n != 2 && o.bobE == nil || o.bob != nil {
					t.Fatalf("message %d, byte %d ^ %#x: accepted", n, at, mask)
				}
			}
		}
	}
}

// TestHandshakeTruncated cuts each message everywhere, and makes it longer.
func TestHandshakeTruncated(t *testing.T) {
	t.Parallel()
	// The messages of this many bytes are cut anew, as strings of base64, so that what is cut is well-formed.
	for n := 1; n <= 3; n++ {
		for size := 0; ; size++ {
			s := newShake(t)
			whole := false
			o := s.run(t, func(k int, m []byte) []byte {
				if k != n {
					return m
				}
				raw := messageOf(t, m)
				whole = size >= len(raw)
				cut := append(bytes.Clone(raw), 0)[:min(size, len(raw)+1)]
				if size == len(raw) {
					cut = append(cut, 1)
				}
				return []byte(strings.Replace(string(m), b64(raw), b64(cut), 1))
			})
			if n == 2 && o.aliceE == nil || n != 2 && o.bobE == nil || o.bob != nil {
				t.Fatalf("message %d of %d bytes: accepted", n, size)
			}
			if whole {
				break
			}
		}
	}
}

// TestHelloReplayed: a first message is taken once, on whatever link, and one that is refused is not remembered.
func TestHelloReplayed(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	o := s.run(t, nil)
	for range 2 {
		_, err := security.NewResponder(s.bob).Hello(nil, o.m1)
		if got := refused(t, err); got != stranger(security.ReasonReplay) {
			t.Errorf("%+v", got)
		}
	}
	s.bob.Seen = security.NewHellos() // as after a restart: it costs a hello, and leads to no session
	r := security.NewResponder(s.bob)
	if _, err := r.Hello(nil, o.m1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Auth(o.m3); refused(t, err) != stranger(security.ReasonHandshake) {
		t.Errorf("a whole handshake replayed: %v", err)
	}

	i, err := security.NewInitiator(s.alice)
	if err != nil {
		t.Fatal(err)
	}
	m1, err := i.Hello(nil)
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Clone(m1) // the same public key, another tag
	forged[len(forged)-8] ^= 1
	if _, err := security.NewResponder(s.bob).Hello(nil, forged); refused(t, err).Reason == security.ReasonReplay {
		t.Error(err)
	}
	if _, err := security.NewResponder(s.bob).Hello(nil, m1); err != nil {
		t.Errorf("a stranger has used up the hello of a member: %v", err)
	}
}

// TestHellosBound: the oldest are forgotten, and no more are kept than 4,096.
func TestHellosBound(t *testing.T) {
	t.Parallel()
	h := security.NewHellos()
	m := func(n int) (b [16]byte) {
		binary.BigEndian.PutUint64(b[:], uint64(n))
		return b
	}
	const all = 2*security.MaxHellos + 7
	for n := range all {
		if !security.Remember(h, m(n)) {
			t.Fatalf("%d is new", n)
		}
	}
	for n := all - security.MaxHellos; n < all; n++ {
		if security.Remember(h, m(n)) {
			t.Fatalf("%d was forgotten", n)
		}
	}
	if !security.Remember(h, m(all-security.MaxHellos-1)) {
		t.Error("more are remembered than there is room for")
	}

	// Of many that come at the same time one is taken.
	var wg sync.WaitGroup
	var taken [8]bool
	for i := range taken {
		wg.Go(func() { taken[i] = security.Remember(h, m(-1)) })
	}
	wg.Wait()
	n := 0
	for _, ok := range taken {
		if ok {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d were new", n)
	}
}

// TestHandshakeReflected: an end's own messages sent back to it, and to others of its kind, lead nowhere (threat T4).
func TestHandshakeReflected(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	i, err := security.NewInitiator(s.alice)
	if err != nil {
		t.Fatal(err)
	}
	m1, err := i.Hello(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Answer(m1); refused(t, err).Reason != security.ReasonHandshake {
		t.Errorf("alice takes her own hello for an answer: %v", err)
	}

	// Alice as dialler and as listener at once, with her own messages passed between: the "Selfie".
	s.bob = s.alice
	if o := s.run(t, nil); refused(t, o.aliceE).Reason != security.ReasonSelf || o.bob != nil {
		t.Errorf("alice talks to herself: %v, %v", o.aliceE, o.bobE)
	}
}

// TestHandshakesCrossed: messages of one handshake are none of another between the same peers.
func TestHandshakesCrossed(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	i1, r1, m2 := s.half(t)
	i2, r2, other := s.half(t)
	if _, err := i1.Answer(other); refused(t, err).Reason != security.ReasonHandshake {
		t.Errorf("answer: %v", err)
	}
	if _, err := i2.Answer(other); err != nil {
		t.Fatal(err)
	}
	m3, _, err := i2.Auth(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r1.Auth(m3); refused(t, err) != stranger(security.ReasonHandshake) {
		t.Errorf("auth: %v", err)
	}
	if _, _, err := r2.Auth(m2); refused(t, err) != stranger(security.ReasonHandshake) {
		t.Errorf("the responder's own message: %v", err)
	}
}

// TestHandshakeForwardSecrecy: everything of a session changes when only the ephemeral keys do, either of them. So who
// has the mesh's key and both static keys later still cannot read what was recorded (threat T1).
func TestHandshakeForwardSecrecy(t *testing.T) {
	t.Parallel()
	v := loadSessions(t)["sealed"]
	seen := map[string]bool{}
	for _, c := range []struct{ alice, bob byte }{{1, 2}, {1, 3}, {4, 2}} {
		i, r := v.ends(t)
		security.SetInitiatorRandom(i, bytes.NewReader(bytes.Repeat([]byte{c.alice}, 32)))
		security.SetResponderRandom(r, bytes.NewReader(bytes.Repeat([]byte{c.bob}, 32)))
		m1, err1 := i.Hello(nil)
		m2, err2 := r.Hello(nil, m1)
		_, err3 := i.Answer(m2)
		m3, alice, err4 := i.Auth(nil, "")
		bob, _, err5 := r.Auth(m3)
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*security.Session{alice, bob} {
			secinfo, frame, err := s.Seal(nil, security.Outgoing{}, []byte(callPayload))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []string{string(secinfo), string(frame)} {
				if seen[b] {
					t.Errorf("twice the same: %s", b)
				}
				seen[b] = true
			}
		}
		if seen[alice.ID()] || alice.ID() != bob.ID() {
			t.Errorf("ids %s and %s", alice.ID(), bob.ID())
		}
		seen[alice.ID()] = true
	}
}
