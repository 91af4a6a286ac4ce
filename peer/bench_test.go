package peer_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/security"
)

// pairOf makes a camera and viewers that are linked on loopback.
func pairOf(b testing.TB, viewers int, scheme string, change ...func(*peer.Config)) (*api.Port[lab.Camera, lab.Viewer], []*api.Port[lab.Viewer, lab.Camera], *atomic.Int64) {
	b.Helper()
	keys, err := security.NewKeyring(security.Entry{Key: security.NewKey(), Send: true})
	if err != nil {
		b.Fatal(err)
	}
	join := func(name string, peers ...string) *peer.Peer {
		known, err := security.OpenKnownPeers("")
		if err != nil {
			b.Fatal(err)
		}
		cfg := peer.Config{Mesh: "bench", Name: name, Keys: keys, Throwaway: true, KnownPeers: known, Listen: []string{"127.0.0.1:0"},
			NoMDNS: true, NoLocal: true, Peers: peers, Settle: -1}
		for _, f := range change {
			f(&cfg)
		}
		p, err := peer.New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = p.Close() })
		return p
	}
	camera := join("cam1")
	cam := api.Bind(camera, lab.API)
	lab.Snap.Handle(cam, func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
		return lab.Image{Width: in.ExposureMS}, nil
	})
	if err := camera.Join(b.Context()); err != nil {
		b.Fatal(err)
	}
	var received atomic.Int64
	var views []*api.Port[lab.Viewer, lab.Camera]
	for i := range viewers {
		p := join(fmt.Sprintf("desk%d", i), scheme+"://"+camera.Self().Address)
		view := api.Bind(p, lab.API.Invert())
		lab.Frame.Handle(view, func(context.Context, lab.FrameInfo) error { received.Add(1); return nil })
		if err := p.Join(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := view.Wait(b.Context(), api.To("cam1")); err != nil {
			b.Fatal(err)
		}
		if err := cam.Wait(b.Context(), api.To(p.Self().Name)); err != nil {
			b.Fatal(err)
		}
		views = append(views, view)
	}
	return cam, views, &received
}

// ways are how messages may travel.
var ways = []struct {
	name, scheme string
	change       func(*peer.Config)
}{
	{"sealed", "tcp", func(*peer.Config) {}},
	{"signed", "tcp", func(c *peer.Config) { c.Protection = security.Signed }},
	{"unsigned", "tcp", func(c *peer.Config) { c.Keys = &security.Keyring{} }},
	{"websocket", "ws", func(*peer.Config) {}},
}

// BenchmarkCall is one call after the other, both ends in one process, typed.
func BenchmarkCall(b *testing.B) {
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			_, views, _ := pairOf(b, 1, way.scheme, way.change)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := lab.Snap.Call(b.Context(), views[0], api.To("cam1"), lab.SnapParams{ExposureMS: 20}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCall64 has 64 callers on one link.
func BenchmarkCall64(b *testing.B) {
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			_, views, _ := pairOf(b, 1, way.scheme, way.change)
			b.ReportAllocs()
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := lab.Snap.Call(b.Context(), views[0], api.To("cam1"), lab.SnapParams{ExposureMS: 20}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkBroadcast counts a broadcast as done when all its receivers have handled it.
func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("to=%d", n), func(b *testing.B) {
			cam, _, received := pairOf(b, n, "tcp")
			b.ReportAllocs()
			var queued, refused int64
			for b.Loop() {
				rep, err := lab.Frame.Send(b.Context(), cam, api.All, lab.FrameInfo{Seq: 1, Mean: 0.5})
				if err != nil {
					b.Fatal(err)
				}
				queued += int64(rep.Queued)
				refused += int64(len(rep.Refused))
				for wait := time.Now(); queued-received.Load() > 512*int64(n) && time.Since(wait) < time.Second; {
					time.Sleep(10 * time.Microsecond) // stay below the bound of the queues
				}
			}
			for wait := time.Now(); received.Load() < queued && time.Since(wait) < time.Second; {
				time.Sleep(10 * time.Microsecond)
			}
			if lost := queued - received.Load(); lost > 0 {
				b.Errorf("%d of %d were not received", lost, queued)
			}
			b.ReportMetric(float64(queued)/b.Elapsed().Seconds(), "deliveries/s")
			if refused > 0 {
				b.Errorf("%d refused", refused)
			}
		})
	}
}
