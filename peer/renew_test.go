package peer_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

// TestRotation changes the mesh's key while calls go both ways, and links break and come again: none fails.
func TestRotation(t *testing.T) {
	t.Parallel()
	old, next := security.NewKey(), security.NewKey()
	rings := map[string]*security.Keyring{}
	mesh := peertest.New(t)
	ring := func(c *peer.Config) {
		r, err := security.NewKeyring(security.Entry{Key: old, Send: true})
		if err != nil {
			t.Fatal(err)
		}
		c.Keys, rings[c.Name] = r, r
	}
	a, b := mesh.Peer("a", ring), mesh.Peer("b", ring)
	ports := map[*peer.Peer]*api.Port[lab.Camera, lab.Viewer]{}
	views := map[*peer.Peer]*api.Port[lab.Viewer, lab.Camera]{}
	ports[a] = api.Bind(a, lab.API)
	views[b] = api.Bind(b, lab.API.Invert())
	lab.Snap.Handle(ports[a], func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
		return lab.Image{Width: in.ExposureMS}, nil
	})
	mesh.Join(a, b)
	var calls, failed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				img, err := lab.Snap.Call(context.Background(), views[b], api.To("a"), lab.SnapParams{ExposureMS: 7})
				if err != nil || img.Width != 7 {
					failed.Add(1)
					t.Errorf("a call failed: %v", err)
					return
				}
				calls.Add(1)
			}
		})
	}
	step := func(f func(*security.Keyring) error) {
		for _, r := range rings {
			if err := f(r); err != nil {
				t.Error(err)
			}
			before := calls.Load()
			eventually(func() bool { return calls.Load() > before+50 })
		}
	}
	step(func(r *security.Keyring) error { return r.Add(security.Entry{Key: next}) })
	step(func(r *security.Keyring) error { return r.Use(next.ID()) })
	step(func(r *security.Keyring) error { r.Remove(old.ID()); return nil })
	// Who has the new key gets in, who has the old one alone does not.
	newcomer := mesh.Peer("newcomer", func(c *peer.Config) {
		c.Keys, _ = security.NewKeyring(security.Entry{Key: next, Send: true})
	})
	if err := newcomer.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	mesh.Linked(newcomer, "a")
	late := mesh.Peer("late", func(c *peer.Config) { c.Keys, _ = security.NewKeyring(security.Entry{Key: old, Send: true}) })
	hl := watchEvents(t, late)
	if err := late.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool {
		return slices.ContainsFunc(hl.events(), func(e string) bool { return strings.Contains(e, "refused: another key") })
	}) {
		t.Errorf("the old key: %q", hl.events())
	}
	stop()
	wg.Wait()
	if failed.Load() > 0 || calls.Load() < 300 {
		t.Errorf("%d calls, %d failed", calls.Load(), failed.Load())
	}
	t.Logf("%d calls, %d failed", calls.Load(), failed.Load())
}

// TestRenewal: after 23 hours a new session takes over. No message is lost, none overtakes, and nobody notices.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		cam, desk := mesh.Peer("cam"), mesh.Peer("desk")
		port, view := api.Bind(cam, lab.API), api.Bind(desk, lab.API.Invert())
		var seen []int
		var answered atomic.Int64
		release := make(chan struct{})
		lab.Frame.Handle(view, func(_ context.Context, f lab.FrameInfo) error {
			time.Sleep(time.Millisecond) // so that many wait when the links change
			seen = append(seen, f.Seq)
			return nil
		})
		lab.Snap.Handle(port, func(ctx context.Context, in lab.SnapParams) (lab.Image, error) {
			if in.ExposureMS == 999 {
				<-release // a call that is in flight all the time
			}
			answered.Add(1)
			return lab.Image{Width: in.ExposureMS}, nil
		})
		mesh.Join(cam, desk)
		before := sessionOf(t, desk, "cam")
		hc, hd := watchEvents(t, cam), watchEvents(t, desk)
		time.Sleep(22*time.Hour + 59*time.Minute)
		long := lab.Snap.Go(timeout(t, time.Hour), view, api.To("cam"), lab.SnapParams{ExposureMS: 999})
		sent, deadline := 0, time.Now().Add(15*time.Minute)
		for time.Now().Before(deadline) {
			for range 20 {
				sent++
				if rep, err := lab.Frame.Send(t.Context(), port, api.All, lab.FrameInfo{Seq: sent}); err != nil || rep.Queued != 1 {
					t.Fatalf("send %d: %+v, %v", sent, rep, err)
				}
			}
			time.Sleep(250 * time.Millisecond)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		after := sessionOf(t, desk, "cam")
		if after == before {
			t.Fatal("the session was not renewed")
		}
		if len(seen) != sent || !slices.IsSorted(seen) {
			t.Errorf("%d of %d notifications, in order %v", len(seen), sent, slices.IsSorted(seen))
		}
		if n := mesh.Net.Conns(); n != 2 {
			t.Errorf("%d connections while a call is in flight on the old one, want 2", n)
		}
		close(release)
		if img, err := long.Result(); err != nil || img.Width != 999 {
			t.Errorf("the call that was in flight: %+v, %v", img, err)
		}
		time.Sleep(5 * time.Second)
		if n := mesh.Net.Conns(); n != 1 {
			t.Errorf("%d connections afterwards, want 1", n)
		}
		for _, h := range []*history{hc, hd} {
			for _, e := range h.events()[1:] { // the first tells who was there
				t.Errorf("event: %s", e)
			}
		}
		if d := desk.Stats().Dropped + cam.Stats().Dropped; d > 0 {
			t.Errorf("%d messages were dropped", d)
		}
	})
}

func timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// sessionOf names the session of the link to a peer.
func sessionOf(t *testing.T, p *peer.Peer, name string) string {
	t.Helper()
	for i := range p.Peers() {
		if i.Name == name {
			return i.Session
		}
	}
	t.Fatalf("%s has no link with %s", p.Self().Name, name)
	return ""
}

// TestRenewalBetweenCalls: calls one after the other, across the change, all get their answers.
func TestRenewalBetweenCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		cam, desk := mesh.Peer("cam"), mesh.Peer("desk")
		port, view := api.Bind(cam, lab.API), api.Bind(desk, lab.API.Invert())
		lab.Snap.Handle(port, func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
			return lab.Image{Width: in.ExposureMS}, nil
		})
		mesh.Join(cam, desk)
		mesh.Net.Delay("cam", "desk", 20*time.Millisecond)
		mesh.Net.Delay("desk", "cam", 20*time.Millisecond)
		sessions := map[string]bool{}
		for end := time.Now().Add(50 * time.Hour); time.Now().Before(end); {
			for range 4 {
				if _, err := lab.Snap.Call(t.Context(), view, api.To("cam"), lab.SnapParams{ExposureMS: 3}); err != nil {
					t.Fatal(err)
				}
			}
			sessions[sessionOf(t, desk, "cam")] = true
			time.Sleep(30 * time.Second)
		}
		if len(sessions) != 3 {
			t.Errorf("%d sessions in 50 hours, want 3", len(sessions))
		}
	})
}
