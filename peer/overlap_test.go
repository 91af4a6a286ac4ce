package peer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/discovery"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
)

// TestToldAtOneMoment: where many peers are told of each other at one moment, and handshakes take longer than the end
// with the larger id waits at least, no second link is made.
func TestToldAtOneMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		const n = 8
		var peers []*peer.Peer
		for i := range n {
			peers = append(peers, mesh.Peer(fmt.Sprintf("p%d", i)))
			for j := range n {
				mesh.Net.Delay(fmt.Sprintf("p%d", i), fmt.Sprintf("p%d", j), time.Duration(150+(i*7+j*3)%100)*time.Millisecond)
			}
		}
		begun := time.Now()
		mesh.Join(peers...)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("joining took %s", took)
		}
		time.Sleep(500 * time.Millisecond)
		if c := mesh.Net.Conns(); c != n*(n-1)/2 {
			t.Errorf("%d connections for %d pairs", c, n*(n-1)/2)
		}
		for _, p := range peers {
			if twice := p.Stats().Ended["duplicate"]; twice > 0 {
				t.Errorf("%s had %d links twice", p.Self().Name, twice)
			}
		}
	})
}

// told is a source of discovery that finds one peer, a while after it was asked.
type told struct {
	rec   discovery.Record
	after time.Duration
}

func (told) Name() string                   { return "told" }
func (told) Status() discovery.SourceStatus { return discovery.SourceStatus{} }
func (r told) Run(ctx context.Context, feed *discovery.Feed) error {
	if r.after == 0 {
		feed.Report(discovery.Event{Kind: discovery.Joined, Record: r.rec})
	}
	feed.Asked()
	if r.after > 0 {
		time.Sleep(r.after)
		feed.Report(discovery.Event{Kind: discovery.Joined, Record: r.rec})
	}
	<-ctx.Done()
	return nil
}

// TestOnlyTheLargerDials: the end with the larger id does not wait for long for one that never dials.
func TestOnlyTheLargerDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		small, large := mesh.Config("small"), mesh.Config("large")
		if small.Identity.ID() > large.Identity.ID() {
			small.Identity, large.Identity = large.Identity, small.Identity
			small.Name, large.Name = "", ""
		}
		small.Discovery = nil
		s := joined(t, small)
		self := s.Self()
		large.Discovery = []discovery.Source{told{rec: discovery.Record{ID: self.ID, Name: self.Name, Boot: self.Boot, Source: "told", Addrs: []string{self.Address}, Trusted: true}}}
		begun := time.Now()
		l := joined(t, large)
		mesh.Linked(l, self.Name)
		if took := time.Since(begun); took < 300*time.Millisecond || took > 1100*time.Millisecond {
			t.Errorf("linked after %s", took)
		}
	})
}

func joined(t *testing.T, cfg peer.Config) *peer.Peer {
	t.Helper()
	p, err := peer.Join(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestBothDialAddresses has two peers dial each other that know nothing but addresses, one a little later than the
// other, and send all the while. Whichever handshake is further when they learn who it is wins at once; only where both
// are too far to turn back there are two links for a while. Nothing is lost and nothing comes twice.
func TestBothDialAddresses(t *testing.T) {
	const way = 100 * time.Millisecond // to the other end; the dialler knows who answers after 2, and is known after 3
	for later := time.Duration(0); later < 6*way; later += 15 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			mesh := peertest.New(t)
			at := func(other int, after time.Duration) func(*peer.Config) {
				return func(c *peer.Config) {
					rec := discovery.Record{Source: "told", Addrs: []string{fmt.Sprintf("10.99.0.%d:7000", other)}, Trusted: true}
					c.Discovery, c.Settle = []discovery.Source{told{rec, after}}, -1
					c.Listen = []string{"0.0.0.0:7000"}
				}
			}
			a, b := mesh.Peer("a", at(2, time.Second)), mesh.Peer("b", at(1, time.Second+later))
			mesh.Net.Delay("a", "b", way)
			mesh.Net.Delay("b", "a", way)
			cam, view := api.Bind(a, lab.API), api.Bind(b, lab.API.Invert())
			var mu sync.Mutex
			got := map[int]int{}
			lab.Frame.Handle(view, func(_ context.Context, f lab.FrameInfo) error {
				mu.Lock()
				defer mu.Unlock()
				got[f.Seq]++
				return nil
			})
			events := watchEvents(t, a)
			if err := a.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := b.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := cam.Wait(t.Context(), api.To("b")); err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				if rep, err := lab.Frame.Send(t.Context(), cam, api.To("b"), lab.FrameInfo{Seq: i}); err != nil || rep.Queued != 1 {
					t.Fatal(rep, err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if c := mesh.Net.Conns(); c != 1 && later > way {
				t.Errorf("%s later: %d connections", later, c)
			}
			time.Sleep(5 * time.Second)
			if c := mesh.Net.Conns(); c != 1 {
				t.Errorf("%s later: %d connections in the end", later, c)
			}
			for _, e := range events.events() {
				if e != "joined b" && e != "updated b" {
					t.Errorf("%s later: %s", later, e)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range 100 {
				if got[i] != 1 {
					t.Fatalf("%s later: message %d came %d times", later, i, got[i])
				}
			}
		})
	}
}
