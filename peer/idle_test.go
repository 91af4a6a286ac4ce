package peer_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"peermesh/peer"
	"peermesh/peer/peertest"
)

func memory() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// TestIdleLink: an idle link takes at most 48 KiB and 2 goroutines at each end, beside what the peer itself takes.
func TestIdleLink(t *testing.T) {
	if raceEnabled {
		t.Skip("skip: the race detector takes memory of its own")
	}
	const n = 16
	ends := int64(n * (n - 1))
	use := func(linked bool) (bytes, goroutines int64) {
		mesh := peertest.New(t)
		before, goroutinesBefore := memory(), runtime.NumGoroutine()
		var peers []*peer.Peer
		var addrs []string
		for i := range n {
			p := mesh.Peer(fmt.Sprintf("p%d", i), func(c *peer.Config) {
				c.Listen, c.Network, c.Discovery, c.Settle = []string{"127.0.0.1:0"}, nil, nil, -1
				if linked {
					c.Peers = addrs
				}
			})
			if err := p.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			peers, addrs = append(peers, p), append(slices.Clone(addrs), p.Self().Address)
		}
		if linked {
			for _, p := range peers {
				for _, q := range peers {
					if p != q {
						mesh.Linked(p, q.Self().Name)
					}
				}
			}
			want := goroutinesBefore + n*7 + 2*int(ends)
			eventually(func() bool { return runtime.NumGoroutine() <= want }) // those that made the links end
		}
		bytes, goroutines = int64(memory()-before), int64(runtime.NumGoroutine()-goroutinesBefore)
		for _, p := range peers {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		return bytes, goroutines
	}
	alone, few := use(false)
	linked, many := use(true)
	t.Logf("a peer: %d bytes, %.1f goroutines; an end of an idle link: %d bytes, %.2f goroutines", alone/n, float64(few)/n,
		(linked-alone)/ends, float64(many-few)/float64(ends))
	if b := (linked - alone) / ends; b > 48<<10 {
		t.Errorf("an end of an idle link takes %d bytes", b)
	}
	if g := float64(many-few) / float64(ends); g > 2.1 {
		t.Errorf("an end of an idle link takes %.2f goroutines", g)
	}
}
