package peer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

// history collects a peer's events as "kind name reason".
type history struct {
	mu   sync.Mutex
	list []string
	at   []time.Time
}

func watchEvents(t *testing.T, p *peer.Peer) *history {
	h := &history{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	events := p.Events(ctx)
	wg.Go(func() {
		for ev := range events {
			h.mu.Lock()
			s := string(ev.Kind) + " " + ev.Peer.Name
			if ev.Reason != "" {
				s += " " + ev.Reason
			}
			h.list, h.at = append(h.list, s), append(h.at, time.Now())
			h.mu.Unlock()
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return h
}

func (h *history) events() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.list)
}

func (h *history) when(event string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.list, event); i >= 0 {
		return h.at[i]
	}
	return time.Time{}
}

func TestSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		mesh.Join(a, b)
		h := watchEvents(t, a)
		time.Sleep(time.Minute) // pings keep an idle link alive
		if got := h.events(); !slices.Equal(got, []string{"joined b"}) {
			t.Fatalf("an idle minute: %v", got)
		}
		mesh.Net.HalfOpen("a", "b")
		cut := time.Now()
		time.Sleep(30 * time.Second)
		if got := h.events(); !slices.Equal(got, []string{"joined b", "suspect b", "left b silent"}) {
			t.Fatalf("half open: %v", got)
		}
		// The last sign of life may be up to 5 s (an idle link's ping) before the cut.
		if d := h.when("suspect b").Sub(cut); d < 5*time.Second || d > 10*time.Second {
			t.Errorf("suspect after %s", d)
		}
		if d := h.when("left b silent").Sub(cut); d < 10*time.Second || d > 15*time.Second {
			t.Errorf("gone after %s", d)
		}
		mesh.Net.Heal("a", "b")
		mesh.Linked(a, "b")
	})
}

func TestSuspectComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		mesh.Join(a, b)
		h := watchEvents(t, a)
		mesh.Net.Stall("b", "a")
		time.Sleep(12 * time.Second)
		mesh.Net.Heal("a", "b")
		time.Sleep(time.Second)
		if got := h.events(); !slices.Equal(got, []string{"joined b", "suspect b", "back b"}) {
			t.Fatalf("got %v", got)
		}
	})
}

func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b, c := mesh.Peer("a"), mesh.Peer("b"), mesh.Peer("c")
		mesh.Join(a, b, c)
		h := watchEvents(t, a)
		synctest.Wait()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mesh.Net.Cut("a", "c")
		time.Sleep(time.Minute)
		want := []string{"joined b", "joined c", "left b bye", "left c lost", "joined c"}
		if got := h.events(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v: a cut link is dialled again", got, want)
		}
		if _, err := a.Request(t.Context(), nil, "x.y", api.To("b"), nil, nil); !errors.Is(err, api.ErrUnknownPeer) {
			t.Errorf("calling who left: %v", err)
		}
		if err := b.Join(t.Context()); !errors.Is(err, peer.ErrJoined) {
			t.Errorf("joining after Close: %v", err)
		}
		if _, err := b.Notify(t.Context(), nil, "x.y", api.All, nil); !errors.Is(err, api.ErrClosed) {
			t.Errorf("sending after Close: %v", err)
		}
	})
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		id, err := security.NewIdentity("b")
		if err != nil {
			t.Fatal(err)
		}
		keep := func(c *peer.Config) { c.Identity = id }
		a, b := mesh.Peer("a"), mesh.Peer("b", keep)
		mesh.Join(a, b)
		view := api.Bind(a, lab.API.Invert())
		port := api.Bind(b, lab.API)
		block := make(chan struct{})
		lab.Snap.Handle(port, func(context.Context, lab.SnapParams) (lab.Image, error) { <-block; return lab.Image{}, nil })
		if err := view.Wait(t.Context(), api.To("b")); err != nil {
			t.Fatal(err)
		}
		h := watchEvents(t, a)
		call := lab.Snap.Go(t.Context(), view, api.To("b"), lab.SnapParams{})
		synctest.Wait()
		// b dies without a word, and is back as a new process before anybody has noticed.
		mesh.Net.HalfOpen("a", "b")
		time.Sleep(2 * time.Second)
		again := mesh.Peer("b", keep, func(c *peer.Config) { c.Network = mesh.Net.Host("b2") })
		if err := again.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if got := h.events(); !slices.Equal(got, []string{"joined b", "left b restarted", "joined b"}) {
			t.Errorf("got %v", got)
		}
		if _, err := call.Result(); !errors.Is(err, api.ErrGone) || !errors.Is(err, api.ErrOutcomeUnknown) {
			t.Errorf("the call that the old process had: %v", err)
		}
		close(block)
	})
}

// TestOneLink has many peers dial each other at the same time. Each pair must end with one link, whoever dialled.
func TestOneLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		const n = 8
		var peers []*peer.Peer
		for i := range n {
			p := mesh.Peer(fmt.Sprintf("p%d", i))
			for j := range n {
				if i != j {
					mesh.Net.Delay(fmt.Sprintf("p%d", i), fmt.Sprintf("p%d", j), time.Duration(1+(i*7+j*3)%400)*time.Millisecond)
				}
			}
			peers = append(peers, p)
		}
		mesh.Join(peers...)
		time.Sleep(10 * time.Second)
		for _, p := range peers {
			count := 0
			for range p.Peers() {
				count++
			}
			if links := p.Stats().Links; count != n-1 || links != n-1 {
				t.Errorf("%s has %d peers on %d links", p.Self().Name, count, links)
			}
		}
		if c := mesh.Net.Conns(); c != n*(n-1)/2 {
			t.Errorf("%d connections for %d pairs", c, n*(n-1)/2)
		}
	})
}

// TestSimultaneousDial makes both ends dial at once, again and again, and sends all the while: nothing may be lost or
// come twice when one of the two links is given up.
func TestSimultaneousDial(t *testing.T) {
	for round := range 20 {
		synctest.Test(t, func(t *testing.T) {
			mesh := peertest.New(t)
			delay := time.Duration(round) * 37 * time.Millisecond
			a, b := mesh.Peer("a"), mesh.Peer("b")
			mesh.Net.Delay("a", "b", delay)
			mesh.Net.Delay("b", "a", delay)
			cam, view := api.Bind(a, lab.API), api.Bind(b, lab.API.Invert())
			got := map[int]int{}
			var mu sync.Mutex
			lab.Frame.Handle(view, func(_ context.Context, f lab.FrameInfo) error {
				mu.Lock()
				defer mu.Unlock()
				got[f.Seq]++
				return nil
			})
			mesh.Join(a, b)
			for i := range 100 {
				rep, err := lab.Frame.Send(t.Context(), cam, api.To("b"), lab.FrameInfo{Seq: i})
				if err != nil || rep.Queued != 1 {
					t.Fatal(rep, err)
				}
				time.Sleep(20 * time.Millisecond)
			}
			time.Sleep(10 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			for i := range 100 {
				if got[i] != 1 {
					t.Fatalf("round %d: message %d came %d times", round, i, got[i])
				}
			}
		})
	}
}

func TestOwnID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		id, err := security.NewIdentity("a")
		if err != nil {
			t.Fatal(err)
		}
		a := mesh.Peer("a", func(c *peer.Config) {
			c.Identity = id
			c.Listen = []string{"10.99.0.1:7000"}
			c.Peers = []string{"10.99.0.1:7000"}
		})
		if err := a.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if s := a.Stats(); s.Links != 0 {
			t.Errorf("%d links to itself", s.Links)
		}
	})
}

func TestStaticAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		server := mesh.Peer("server", func(c *peer.Config) { c.Listen = []string{"0.0.0.0:7000"}; c.Discovery = nil })
		lonely := mesh.Peer("lonely", func(c *peer.Config) {
			c.Listen, c.Discovery = []string{}, nil
			c.Peers = []string{"10.99.0.1:7000"}
		})
		mesh.Join(server, lonely)
		// The server goes away and comes back at the same place.
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		mesh.Gone(lonely, "server")
		time.Sleep(10 * time.Minute)
		again := mesh.Peer("server", func(c *peer.Config) {
			c.Network = mesh.Net.Host("server")
			c.Listen, c.Discovery = []string{"0.0.0.0:7000"}, nil
		})
		if err := again.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		for len(slices.Collect(lonely.Peers())) == 0 && time.Since(started) < time.Hour {
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(started); d > 31*time.Second {
			t.Errorf("dialled again only after %s", d)
		}
	})
}

func TestWebSocketMesh(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	change := func(c *peer.Config) { c.Listen, c.Network, c.Discovery = []string{"127.0.0.1:0"}, nil, nil }
	server := mesh.Peer("server", change)
	if err := server.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	dialler := mesh.Peer("dialler", change, func(c *peer.Config) { c.Peers = []string{"ws://" + server.Self().Address} })
	cam, view := api.Bind(server, lab.API), api.Bind(dialler, lab.API.Invert())
	lab.Snap.Handle(cam, func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
		return lab.Image{PNG: make([]byte, 1<<20)}, nil
	})
	if err := dialler.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := view.Wait(t.Context(), api.To("server")); err != nil {
		t.Fatal(err)
	}
	img, err := lab.Snap.Call(t.Context(), view, api.To("server"), lab.SnapParams{})
	if err != nil || len(img.PNG) != 1<<20 {
		t.Fatal(len(img.PNG), err)
	}
	for i := range dialler.Peers() {
		if i.Via != "ws" {
			t.Errorf("linked by %s", i.Via)
		}
	}
}

func TestOtherKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		stranger, err := security.NewKeyring(security.Entry{Key: security.NewKey(), Send: true})
		if err != nil {
			t.Fatal(err)
		}
		a := mesh.Peer("a")
		b := mesh.Peer("b", func(c *peer.Config) { c.Keys = stranger })
		ha, hb := watchEvents(t, a), watchEvents(t, b)
		if err := errors.Join(a.Join(t.Context()), b.Join(t.Context())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := slices.Concat(ha.events(), hb.events()); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool {
			return s != "refused b refused: another key" && s != "refused a refused: another key"
		}) {
			t.Errorf("got %v", got)
		}
		if a.Stats().Refused["key"]+b.Stats().Refused["key"] == 0 {
			t.Error("nothing was counted")
		}
	})
}

func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		lab.Snap.Handle(b.port["cam1"], func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{}, nil })
		call := func() {
			t.Helper()
			if _, err := lab.Snap.Call(t.Context(), b.view, api.To("cam1"), lab.SnapParams{}); err != nil {
				t.Fatal(err)
			}
		}
		call()
		old := b.Keys.Entries()[0].Key.ID()
		next := security.NewKey()
		for _, step := range []func() error{
			func() error { return b.Keys.Add(security.Entry{Key: next}) },
			func() error { return b.Keys.Use(next.ID()) },
			func() error { b.Keys.Remove(old); return nil },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
			call()
		}
		time.Sleep(time.Minute)
		call()
	})
}

func TestKeyless(t *testing.T) {
	t.Parallel()
	none, err := security.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := peer.New(peer.Config{Name: "x", Keys: none, Throwaway: true, NoLocal: true, Listen: []string{"0.0.0.0:0"}}); err != nil {
		t.Fatal(err)
	} else if err := errors.Join(p.Join(t.Context()), p.Close()); err == nil {
		t.Error("a mesh without a key listens to the world")
	}
	dir := t.TempDir() + "/run"
	var peers []*peer.Peer
	for _, name := range []string{"a", "b"} {
		p, err := peer.Join(t.Context(), peer.Config{Mesh: "open", Name: name, Keys: none, Throwaway: true, RuntimeDir: dir, Listen: []string{"127.0.0.1:0"}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		peers = append(peers, p)
	}
	cam, view := api.Bind(peers[0], lab.API), api.Bind(peers[1], lab.API.Invert())
	lab.Snap.Handle(cam, func(ctx context.Context, _ lab.SnapParams) (lab.Image, error) {
		if s := api.Sender(ctx); s.Verified || s.Name != "b" {
			t.Errorf("the sender is %+v", s)
		}
		return lab.Image{Width: 1}, nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := view.Wait(ctx, api.To("a")); err != nil {
		t.Fatal(err)
	}
	if img, err := lab.Snap.Call(t.Context(), view, api.To("a"), lab.SnapParams{}); err != nil || img.Width != 1 {
		t.Fatal(img, err)
	}
}

// TestStopRightAfterStart closes peers at every moment of their start.
func TestStopRightAfterStart(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	for i := range 50 {
		p := mesh.Peer(fmt.Sprintf("p%d", i), func(c *peer.Config) { c.Settle = -1 })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Join(ctx) }()
		if i%3 == 0 {
			time.Sleep(time.Duration(i) * 20 * time.Microsecond) // no synchronisation: any moment will do
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil && !errors.Is(err, api.ErrClosed) && !errors.Is(err, peer.ErrJoined) {
			t.Fatal(err)
		}
	}
}

// TestWaitRunsNoUserCodeUnderALock: what chooses the receivers may ask the peer anything.
func TestWaitRunsNoUserCodeUnderALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		api.Bind(b, lab.API)
		view := api.Bind(a, lab.API.Invert())
		mesh.Join(a, b)
		err := view.Wait(t.Context(), api.Where(func(i *api.Info) bool { return a.Stats().Links > 0 && i.Name == "b" }))
		if err != nil {
			t.Fatal(err)
		}
	})
}
