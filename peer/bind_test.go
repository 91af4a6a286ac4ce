package peer_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
)

func TestTwoPeersOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		desk := mesh.Peer("desk")
		twin1 := mesh.Peer("twin", func(c *peer.Config) { c.Network = mesh.Net.Host("host1") })
		twin2 := mesh.Peer("twin", func(c *peer.Config) { c.Network = mesh.Net.Host("host2") })
		view := api.Bind(desk, lab.API.Invert())
		for i, p := range []*peer.Peer{twin1, twin2} {
			lab.Snap.Handle(api.Bind(p, lab.API), func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: i + 1}, nil })
		}
		for _, p := range []*peer.Peer{twin1, twin2, desk} {
			if err := p.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		mesh.Linked(desk, "twin")
		for {
			n := 0
			for range view.Peers() {
				n++
			}
			if n == 2 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if _, err := lab.Snap.Call(t.Context(), view, api.To("twin"), lab.SnapParams{}); !errors.Is(err, api.ErrAmbiguousPeer) {
			t.Errorf("by the name of two: %v", err)
		}
		img, err := lab.Snap.Call(t.Context(), view, api.To(twin2.Self().ID), lab.SnapParams{})
		if err != nil || img.Width != 2 {
			t.Errorf("by id: %+v, %v", img, err)
		}
		rep, err := lab.Gain.Send(t.Context(), view, api.All, lab.GainParams{DB: 1})
		if err != nil || rep.Queued != 2 {
			t.Errorf("a broadcast reaches %d, %v", rep.Queued, err)
		}
	})
}

func TestTwoAPIsOfOneRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		other := api.Define[lab.Camera, lab.Viewer]("lab.other", "1", "Another API with the same roles.")
		poke := api.Incoming[api.None](other, "poke", "Poke.")
		p := mesh.Peer("p")
		cam := api.Bind(p, lab.API)
		view := api.Bind(mesh.Peer("q"), lab.API.Invert())
		mesh.Join(p)
		if _, err := poke.Send(t.Context(), view, api.All, api.None{}); !errors.Is(err, api.ErrWrongPort) {
			t.Errorf("send through the wrong port: %v", err)
		}
		defer func() {
			if recover() == nil {
				t.Error("Handle on the wrong port did not panic")
			}
		}()
		poke.Handle(cam, func(context.Context, api.None) error { return nil })
	})
}

func TestBindTwice(t *testing.T) {
	t.Parallel()
	p := peertest.New(t).Peer("p")
	api.Bind(p, lab.API)
	for name, bind := range map[string]func(){
		"the same side":  func() { api.Bind(p, lab.API) },
		"the other side": func() { api.Bind(p, lab.API.Invert()) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("binding %s as well did not panic", name)
				}
			}()
			bind()
		}()
	}
}

func TestBindAfterJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		mesh.Join(a, b)
		view := api.Bind(b, lab.API.Invert())
		waited := make(chan error, 1)
		go func() { waited <- view.Wait(t.Context(), api.To("a")) }()
		synctest.Wait()
		lab.Snap.Handle(api.Bind(a, lab.API), func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: 7}, nil })
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		img, err := lab.Snap.Call(t.Context(), view, api.Any, lab.SnapParams{})
		if err != nil || img.Width != 7 {
			t.Fatal(img, err)
		}
	})
}

func TestRequireHandlers(t *testing.T) {
	t.Parallel()
	p := peertest.New(t).Peer("p", func(c *peer.Config) { c.RequireHandlers = true })
	port := api.Bind(p, lab.API)
	if got := port.Unhandled(); !slices.Equal(got, []string{"snap", "gain"}) {
		t.Errorf("unhandled: %v", got)
	}
	if err := p.Join(t.Context()); !errors.Is(err, peer.ErrUnhandled) {
		t.Errorf("Join: %v", err)
	}
}
