package peer_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/security"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir() + "/run"
	keys, _ := security.NewKeyring(security.Entry{Key: security.NewKey(), Send: true})
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mk := func(name string) *peer.Peer {
		p, err := peer.New(peer.Config{Mesh: "lab", Name: name, Keys: keys, Throwaway: true, RuntimeDir: dir, NoMDNS: true, Listen: []string{"127.0.0.1:0"}, Logger: log.With("me", name)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b := mk("cam1"), mk("desk")
	cam := api.Bind(a, lab.API)
	view := api.Bind(b, lab.API.Invert())
	lab.Snap.Handle(cam, func(ctx context.Context, p lab.SnapParams) (lab.Image, error) {
		return lab.Image{Width: p.ExposureMS}, nil
	})
	got := make(chan lab.FrameInfo, 10)
	lab.Frame.Handle(view, func(ctx context.Context, p lab.FrameInfo) error { got <- p; return nil })
	start := time.Now()
	if err := a.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Log("a", time.Since(start))
	if err := b.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Log("b", time.Since(start))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	t.Log(view.Wait(ctx, api.To("cam1")))
	t.Log("wait", time.Since(start))
	img, err := lab.Snap.Call(t.Context(), view, api.To("cam1"), lab.SnapParams{ExposureMS: 20})
	t.Log(img, err)
	rep, err := lab.Frame.Send(t.Context(), cam, api.All, lab.FrameInfo{Seq: 1})
	t.Log(rep, err)
	t.Log(<-got)
	t.Log(b.Close(), a.Close())
	t.Log("closed", time.Since(start))
}
