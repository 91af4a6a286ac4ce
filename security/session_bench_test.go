package security_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"peermesh/security"
)

// TestAllocationsSession holds the budget of sessions: nothing at all.
func TestAllocationsSession(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	payload := []byte(callPayload)
	sum := security.Sum(payload)
	kind := func([]byte) security.Kind { return security.Request }
	for _, p := range []security.Protection{security.Signed, security.Sealed} {
		alice, bob := newShake(t).both(p).sessions(t)
		var to, from security.Provider = alice, bob
		buf := make([]byte, 0, 1024)
		if got := testing.AllocsPerRun(200, func() {
			secinfo, frame, err := to.Seal(buf, security.Outgoing{To: "bob", Sum: &sum}, payload)
			if err != nil {
				t.Fatal(err)
			}
			if _, text, err := from.Open(secinfo, frame, kind); err != nil || !bytes.Equal(text, payload) {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", p, got)
		}
	}
}

func benchSession(b *testing.B, p security.Protection, size int) {
	alice, bob := newShake(b).both(p).sessions(b)
	payload, buf := bytes.Repeat([]byte("x "), size/2), make([]byte, 0, 256+2*size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		secinfo, frame, err := alice.Seal(buf, security.Outgoing{}, payload)
		if err == nil {
			_, _, err = bob.Open(secinfo, frame, nil)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

var benchSizes = []int{64, 200, 1 << 10, 64 << 10}

// BenchmarkSignVerifySession is both ends' work on one signed message.
func BenchmarkSignVerifySession(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) { benchSession(b, security.Signed, size) })
	}
}

// BenchmarkSealOpenSession is both ends' work on one sealed message.
func BenchmarkSealOpenSession(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) { benchSession(b, security.Sealed, size) })
	}
}

// BenchmarkSessionRatios compares, in interleaved rounds so that all see the same machine, both ends' work on a message
// of 200 bytes: signed, with two bare passes of SHA-256 and HMAC over it; and sealed, with signed.
func BenchmarkSessionRatios(b *testing.B) {
	const size, round = 200, 500
	payload := bytes.Repeat([]byte("x "), size/2)
	buf := make([]byte, 0, 1024)
	pass := func(p security.Protection) func() {
		alice, bob := newShake(b).both(p).sessions(b)
		return func() {
			secinfo, frame, err := alice.Seal(buf, security.Outgoing{}, payload)
			if err == nil {
				_, _, err = bob.Open(secinfo, frame, nil)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	mac := hmac.New(sha256.New, make([]byte, 32))
	mac.Reset()
	var text, tag [40]byte
	var seq uint64
	bare := func() {
		for range 2 {
			seq++
			binary.BigEndian.PutUint64(text[:8], seq)
			sum := sha256.Sum256(payload)
			copy(text[8:], sum[:])
			mac.Reset()
			mac.Write(text[:])
			mac.Sum(tag[:0])
		}
	}
	passes := [3]func(){bare, pass(security.Signed), pass(security.Sealed)}
	var took [3]time.Duration
	n := 0
	for b.Loop() {
		for i, f := range passes {
			begin := time.Now()
			for range round {
				f()
			}
			took[i] += time.Since(begin)
		}
		n += round
	}
	per := func(i int) float64 { return float64(took[i].Nanoseconds()) / float64(n) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(per(0), "ns/bare")
	b.ReportMetric(per(1), "ns/signed")
	b.ReportMetric(per(2), "ns/sealed")
	b.ReportMetric(per(1)/per(0), "signed/bare")
	b.ReportMetric(per(2)/per(1), "sealed/signed")
}

// BenchmarkHandshake is both ends' work on one handshake.
func BenchmarkHandshake(b *testing.B) {
	s := newShake(b)
	b.ReportAllocs()
	for b.Loop() {
		s.sessions(b)
	}
}

// BenchmarkHelloForged is what a hello costs from who holds no key: of a known kid, of an unknown one, and, from a
// member or recorded, one that was seen before.
func BenchmarkHelloForged(b *testing.B) {
	s := newShake(b)
	m1 := s.run(b, nil).m1
	known := bytes.Clone(m1)
	known[len(known)-8] ^= 1
	for name, params := range map[string][]byte{
		"known": known, "unknown": bytes.Replace(m1, []byte(groupKid), []byte("00000000"), 1), "seen": m1,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := security.NewResponder(s.bob).Hello(nil, params); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
