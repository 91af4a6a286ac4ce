package peertest_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/peer/tap"
	"peermesh/security"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMesh is how a user's test looks: two peers in memory, a call, what was said, and faults, in no time.
func TestMesh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		camera, desk := mesh.Peer("cam1"), mesh.Peer("desk")
		cam, view := api.Bind(camera, lab.API), api.Bind(desk, lab.API.Invert())
		lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: 640}, nil })
		mesh.Join(camera, desk)
		said := peertest.Record(t, desk)
		started := time.Now()
		mesh.Net.Delay("cam1", "desk", 300*time.Millisecond)
		if _, err := lab.Snap.Call(t.Context(), view, api.To("cam1"), lab.SnapParams{}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(started); d != 300*time.Millisecond {
			t.Errorf("the answer took %s", d)
		}
		reply := said.Wait(func(r *tap.Record) bool { return r.Kind == "reply" && r.Method == "lab.camera.snap" })
		if reply.From != "cam1" || reply.MS != 300 {
			t.Errorf("recorded %+v", reply)
		}
		mesh.Net.Heal("cam1", "desk")
		mesh.Net.Cut("cam1", "desk")
		said.Wait(func(r *tap.Record) bool { return r.Kind == "peer" && r.Event == "left" && r.Peer == "cam1" })
		mesh.Linked(desk, "cam1")
		if n := mesh.Net.Conns(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// TestSecrets: a secret is found in each form; and what peers log really passes there.
func TestSecrets(t *testing.T) {
	key := security.NewKey()
	for _, text := range []string{key.Export(), string(key.Secret().Bytes()), base64.StdEncoding.EncodeToString(key.Secret().Bytes()),
		fmt.Sprint(key.Secret().Bytes()), hex.EncodeToString(key.NoisePSK().Bytes())} {
		s := &peertest.Secrets{}
		s.AddKey(key)
		fmt.Fprintf(s, "%s and the key %s", "nothing", key)
		if found := s.Found(); len(found) > 0 {
			t.Errorf("found %q where there is none", found)
		}
		fmt.Fprintf(s, "level=DEBUG msg=%q text=%s", "a slip", text)
		if len(s.Found()) == 0 {
			t.Errorf("not found: %q", text)
		}
	}
	s := &peertest.Secrets{}
	s.Add("what is logged of every link", []byte("a link ended"))
	mesh := peertest.New(t)
	a := mesh.Peer("a", func(c *peer.Config) {
		c.Logger = slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	b := mesh.Peer("b")
	mesh.Join(a, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	mesh.Gone(a, "b")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if len(s.Found()) == 0 {
		t.Error("nothing is logged at the level of debugging")
	}
}
