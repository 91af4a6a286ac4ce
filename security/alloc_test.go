package security_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"peermesh/security"
)

// TestAllocations holds the budgets: nothing per message once warm.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	alice, bob := pair(t)
	payload := []byte(callPayload)
	sum := security.Sum(payload)
	buf := make([]byte, 0, 512)
	link := alice.Link(security.LinkConfig{Sign: true, CB: strings.Repeat("A", 43)})
	budget := func(name string, want float64, f func()) {
		t.Helper()
		if got := testing.AllocsPerRun(200, f); got > want {
			t.Errorf("%s: %v allocations, budget %v", name, got, want)
		}
	}
	budget("Seal", 0, func() {
		if _, _, err := alice.Seal(buf, security.Outgoing{To: "bob"}, payload); err != nil {
			t.Fatal(err)
		}
	})
	budget("Link.Seal with a sum", 0, func() {
		if _, _, err := link.Seal(buf, security.Outgoing{To: "bob", Sum: &sum}, payload); err != nil {
			t.Fatal(err)
		}
	})
	response := func([]byte) security.Kind { return security.Response }
	params, _, _ := alice.Seal(nil, security.Outgoing{To: "bob"}, payload)
	receiver := bob.Link(security.LinkConfig{Accept: security.AcceptHMAC})
	budget("Open of a response", 0, func() {
		if _, _, err := receiver.Open(params, payload, response); err != nil {
			t.Fatal(err)
		}
	})
	// A call leaves a nonce behind. AllocsPerRun rounds down, and maps grow rarely.
	var p security.Provider = receiver
	budget("Seal and Open of a call", 0, func() {
		params, out, err := alice.Seal(buf, security.Outgoing{To: "bob"}, payload)
		if err == nil {
			_, _, err = p.Open(params, out, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	policy, err := security.NewPolicy(
		security.Rule{Principal: "user:mallory", Deny: []string{"lab.*"}},
		security.Rule{Principal: "role:member", Allow: []string{"lab.*", "chat.say"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	who := security.Principal{Kid: groupKid, Role: security.RoleMember}
	budget("Policy.Allows", 0, func() {
		if !policy.Allows(who, "chat.say", "").Allowed {
			t.Fatal("denied")
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			alice, _ := pair(b)
			payload, buf := make([]byte, size), make([]byte, 0, 512)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = alice.Seal(buf, security.Outgoing{To: "bob"}, payload)
			}
		})
	}
}

// BenchmarkSealBroadcast is the cost of one more receiver of a message that is hashed already.
func BenchmarkSealBroadcast(b *testing.B) {
	alice, _ := pair(b)
	payload, buf := make([]byte, 64<<10), make([]byte, 0, 512)
	sum := security.Sum(payload)
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = alice.Seal(buf, security.Outgoing{To: "bob", Sum: &sum}, payload)
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			alice, bob := pair(b)
			payload := make([]byte, size)
			params, _, _ := alice.Seal(nil, security.Outgoing{To: "bob"}, payload)
			kind := func([]byte) security.Kind { return security.Response }
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := bob.Open(params, payload, kind); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpenForged is what an attacker without a key costs.
func BenchmarkOpenForged(b *testing.B) {
	_, bob := pair(b)
	m := group("alice").with("sig", strings.Repeat("00", 32))
	params, payload := m.params(), []byte(callPayload)
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = bob.Open(params, payload, nil)
	}
}

func BenchmarkNonceAdd(b *testing.B) {
	var n security.Nonces
	nonce := []byte("00000000000000000000000000000000")
	now := t0
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		for k, x := 0, i; k < 8; k, x = k+1, x>>4 {
			nonce[k] = "0123456789abcdef"[x&15]
		}
		if i++; i%(1<<17) == 0 {
			now = now.Add(2 * time.Minute) // about 1,000 a second
		}
		n.Add(now, groupKid, "alice", nonce)
	}
}

// BenchmarkNonceMemory reports the heap that a full memory takes, from few senders and from one a message.
func BenchmarkNonceMemory(b *testing.B) {
	for name, senders := range map[string]int{"4senders": 4, "1048576senders": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				n := new(security.Nonces)
				for i := range 1 << 20 {
					if _, retry := n.Add(t0, groupKid, fmt.Sprint("u", i%senders), fmt.Appendf(nil, "%032x", i)); retry != 0 {
						b.Fatal("full")
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				heap := float64(after.HeapAlloc - before.HeapAlloc)
				b.ReportMetric(heap/(1<<20), "MiB")
				b.ReportMetric(heap/float64(n.Len()), "B/nonce")
				runtime.KeepAlive(n)
			}
		})
	}
}
