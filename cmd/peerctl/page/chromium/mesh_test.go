package chromium_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/cmd/peerctl/page"
	"peermesh/peer"
	"peermesh/peer/tap"
	"peermesh/security"
)

// The mesh of the tests: a stage and two cameras that a desk uses.
type (
	device struct{}
	user   struct{}
)

type snapParams struct {
	ExposureMS int      `json:"exposure_ms" minimum:"0" maximum:"1000" default:"10" jsonschema:"exposure time in milliseconds"`
	Mode       string   `json:"mode,omitempty" enum:"fast,fine"`
	Labels     []string `json:"labels,omitempty"`
	Crop       *crop    `json:"crop,omitempty"`
	APIKey     string   `json:"api_key,omitempty"`
}

type crop struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

type image struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	By     string `json:"by"`
}

type frame struct {
	Seq  int     `json:"seq"`
	Mean float64 `json:"mean"`
}

var (
	labAPI = api.Define[device, user]("lab.camera", "1.2.0", "A camera on the bench.")
	snap   = api.IncomingCall[snapParams, image](labAPI, "snap", "Take one picture.", api.Example(snapParams{ExposureMS: 20}, image{640, 480, "cam1"}))
	fail   = api.IncomingCall[api.None, api.None](labAPI, "fail", "It never works.")
	gain   = api.Incoming[struct {
		DB float64 `json:"db"`
	}](labAPI, "gain", "Set the analogue gain.")
	framed = api.Outgoing[frame](labAPI, "frame", "A new frame is ready.")
)

// bench is a mesh in this process, and a site that watches it through the desk.
type bench struct {
	site *page.Site
	desk *peer.Peer
	view *api.Port[user, device]
	cams []*api.Port[device, user]
}

func startBench(t *testing.T) *bench {
	t.Helper()
	keys, err := security.NewKeyring(security.Entry{Key: security.NewKey(), Send: true})
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	join := func(name string) *peer.Peer {
		p, err := peer.New(peer.Config{Mesh: "bench", Name: name, Keys: keys, Throwaway: true, Listen: []string{"127.0.0.1:0"}, Peers: addresses,
			NoMDNS: true, NoLocal: true, Tap: tap.Full, Version: "test"})
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
	b := &bench{}
	for _, name := range []string{"cam1", "cam2"} {
		p := join(name)
		port := api.Bind(p, labAPI)
		snap.Handle(port, func(ctx context.Context, in snapParams) (image, error) {
			select {
			case <-time.After(time.Duration(in.ExposureMS) * time.Millisecond):
				return image{640, 480, name}, nil
			case <-ctx.Done():
				return image{}, ctx.Err()
			}
		})
		gain.Handle(port, func(context.Context, struct {
			DB float64 `json:"db"`
		}) error {
			return nil
		})
		fail.Handle(port, func(context.Context, api.None) (api.None, error) {
			return api.None{}, api.Errorf(7, "the shutter is stuck").WithData(map[string]string{"token": "hush", "part": "shutter"})
		})
		b.cams = append(b.cams, port)
		if err := p.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, p.Self().Address)
	}
	b.desk = join("desk")
	b.view = api.Bind(b.desk, labAPI.Invert())
	framed.Handle(b.view, func(context.Context, frame) error { return nil })
	if err := b.desk.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.view.Wait(ctx, api.To("cam1", "cam2")); err != nil {
		t.Fatal(err)
	}
	for _, c := range b.cams {
		if err := c.Wait(ctx, api.To("desk")); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	b.site = serve(t, page.Config{Open: func(context.Context) (page.Mesh, error) {
		mine, theirs := net.Pipe()
		wg.Go(func() { b.desk.ServeControl(context.Background(), theirs) })
		return peer.NewControl(mine), nil
	}, Doctor: func(context.Context) ([]page.Finding, error) {
		return []page.Finding{{Level: "ok", Text: "key 7f3a… of mesh \"bench\""}, {Level: "ok", Text: "interface eth0: 192.168.1.20, multicast"},
			{Level: "warn", Text: "the clock of pi-old is 41 s off", Next: "run NTP on both"},
			{Level: "FAIL", Text: "no multicast was heard, not even our own", Next: "a switch or the Wi-Fi drops multicast; use --peer HOST:PORT meanwhile"}}, nil
	}})
	return b
}

// serve runs a site until the test ends.
func serve(t *testing.T, cfg page.Config) *page.Site {
	t.Helper()
	ln, err := page.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	site, err := page.New(ln, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := site.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return site
}

// talk has the bench say all kinds of things, once.
func (b *bench) talk(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range n {
		_, err := framed.Send(ctx, b.cams[i%2], api.All, frame{i, 0.5 + float64(i)/100})
		_, err2 := gain.Send(ctx, b.view, api.All, struct {
			DB float64 `json:"db"`
		}{float64(i)})
		_, err3 := snap.Call(ctx, b.view, api.To("cam1"), snapParams{ExposureMS: 5 + i, APIKey: "hush-hush"})
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
	}
}

// flood is a mesh in which as much is said as a test wants.
type flood struct {
	mu    sync.Mutex
	f     func(*tap.Record)
	ready chan struct{}
	done  chan struct{}
	once  sync.Once
	more  string // in each notification
}

func newFlood() *flood { return &flood{ready: make(chan struct{}), done: make(chan struct{})} }

func (f *flood) Peers(context.Context) (*peer.MeshStatus, error) {
	return &peer.MeshStatus{Mesh: "flood", Peers: []peer.Status{{Name: "desk", Self: true, State: api.Linked}, {Name: "cam1", State: api.Linked}}}, nil
}
func (f *flood) Stats(context.Context) (*peer.Stats, error) { return &peer.Stats{}, nil }
func (f *flood) Describe(context.Context, string) (json.RawMessage, error) {
	return nil, errors.New("it says nothing")
}
func (f *flood) Call(context.Context, peer.CallRequest, func(*peer.CallResult)) error { return nil }
func (f *flood) Notify(context.Context, peer.NotifyRequest) (*peer.NotifyResult, error) {
	return &peer.NotifyResult{}, nil
}
func (f *flood) Watch(_ context.Context, g func(*tap.Record)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.f = g
	f.once.Do(func() { close(f.ready) })
	return nil
}
func (f *flood) Done() <-chan struct{} { return f.done }
func (f *flood) Close() error          { return nil }
