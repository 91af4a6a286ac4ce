package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"peermesh/api"
	"peermesh/cmd/peerctl/page"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/tap"
	"peermesh/security"
)

func (a *app) demoCommand() *cobra.Command {
	var length time.Duration
	var noUI bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run three peers in one process, talking and watched",
		Long: `demo runs a mesh in one process: two cameras and a desk, each a full peer with listeners of its own. They find each
other by discovery, talk over TCP on loopback with sealed messages, and share one API definition, which the desk
inverts. What they say is printed as it happens, and shown by a page at the address that is printed. No hardware, network
or key is needed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if length > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, length)
				defer cancel()
			}
			return a.demo(ctx, !noUI)
		},
	}
	cmd.Flags().DurationVar(&length, "for", 0, "end after this time (default: at Ctrl-C)")
	cmd.Flags().BoolVar(&noUI, "no-ui", false, "do not serve the page")
	return cmd
}

// demoMesh is a running demo.
type demoMesh struct {
	app   *app
	out   *printer
	key   string      // its id
	cfg   peer.Config // what all of its peers have in common
	peers []*peer.Peer
	count demoCount
	taps  sync.WaitGroup
}

type demoCount struct {
	sync.Mutex
	messages, sealed int
}

func (a *app) demo(ctx context.Context, ui bool) error {
	key := security.NewKey()
	keys, err := security.NewKeyring(security.Entry{Key: key, Send: true})
	if err != nil {
		return err
	}
	d := &demoMesh{app: a, out: a.printer(), key: key.ID(), cfg: peer.Config{Mesh: "demo", Keys: keys, Listen: []string{"127.0.0.1:0"},
		NoMDNS: a.flags.noMDNS, NoLocal: a.flags.noLocal, Version: "peerctl/" + version, Logger: a.logger()}}
	defer d.close()
	cam1, err := d.join("cam1")
	if err != nil {
		return err
	}
	cam2, err := d.join("cam2")
	if err != nil {
		return err
	}
	desk, err := d.join("desk")
	if err != nil {
		return err
	}
	// One definition, two sides: the cameras bind it as it is written, the desk binds it inverted.
	bench := []*camera{startCamera(cam1, 640), startCamera(cam2, 800)}
	view := api.Bind(desk, lab.API.Invert())
	lab.Frame.Handle(view, func(context.Context, lab.FrameInfo) error { return nil })
	d.watch(desk)
	for i, p := range d.peers {
		if err := p.Join(ctx); err != nil {
			return err
		}
		if d.app.flags.output != "json" {
			self := p.Self()
			a.note("%s listens on %s, %s", self.Name, self.Address, []string{"a camera", "a camera", "the desk, which uses them"}[i])
		}
	}
	if ui {
		defer d.page(ctx, desk)()
	}
	a.note(`mesh "demo": look at it from another terminal with: peerctl --mesh demo ls; peerctl --mesh demo watch`)
	found, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = view.Wait(found, api.To("cam1", "cam2"))
	for _, c := range bench {
		err = errors.Join(err, c.port.Wait(found, api.To("desk")))
	}
	if err != nil {
		if ctx.Err() != nil {
			return d.summary(ctx)
		}
		return &exitError{code: exitNotFound, err: fmt.Errorf("the demo's peers did not find each other in 10 s; try `peerctl doctor`: %w", err)}
	}
	for !slices.Contains(cam1.Watchers(), "desk") || !slices.Contains(cam2.Watchers(), "desk") {
		select {
		case <-time.After(poll): // until the desk sees what they say from their side too
			continue
		case <-found.Done():
		}
		break
	}
	d.play(ctx, view, bench)
	return d.summary(ctx)
}

// watch prints what is said in the mesh, as the desk sees it.
func (d *demoMesh) watch(desk *peer.Peer) {
	records := desk.Watch(context.Background()) // until the desk closes
	d.taps.Go(func() {
		for r := range records {
			if strings.HasPrefix(r.Method, "rpc.") || r.Kind == "peer" && r.SeenBy != "desk" {
				continue
			}
			d.counted(&r)
			if d.out.print(&r) != nil {
				return
			}
		}
	})
}

// page serves the page of peerctl ui, through the desk, until the function that it returns is called.
func (d *demoMesh) page(ctx context.Context, desk *peer.Peer) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	end = func() { cancel(); wg.Wait() }
	ln, err := page.Listen("127.0.0.1:0")
	if err != nil {
		d.app.note("no page: %v", err)
		return end
	}
	site, err := page.New(ln, page.Config{Open: func(context.Context) (page.Mesh, error) { return piped(desk, &wg), nil },
		Doctor: d.findings, Timeout: d.app.flags.timeout, Version: version, Logger: d.app.logger()})
	if err != nil {
		d.app.note("no page: %v", errors.Join(err, ln.Close()))
		return end
	}
	d.app.note("page: %s", site.Address())
	wg.Go(func() {
		if err := site.Run(ctx); err != nil {
			d.app.note("the page: %v", err)
		}
	})
	return end
}

// findings examines the demo's mesh as doctor does others.
func (d *demoMesh) findings(ctx context.Context) ([]page.Finding, error) {
	x := &examination{app: d.app}
	x.add("ok", "", "key %s of mesh %q, made for this demo", d.key, d.cfg.Mesh)
	x.interfaces()
	x.owners()
	var wg sync.WaitGroup
	defer wg.Wait()
	var all []*peer.Control
	for _, p := range d.peers {
		c := piped(p, &wg)
		defer func() { _ = c.Close() }()
		all = append(all, c)
	}
	x.running(ctx, all)
	x.mesh(ctx, examined, d.cfg)
	return x.findings, nil
}

// join makes a peer of the demo.
func (d *demoMesh) join(name string) (*peer.Peer, error) {
	cfg := d.cfg
	cfg.Name, cfg.Throwaway, cfg.Control, cfg.Tap = name, true, true, tap.Full
	cfg.Logger = d.app.logger().With("peer", name)
	p, err := peer.New(cfg)
	if err != nil {
		return nil, err
	}
	d.peers = append(d.peers, p)
	return p, nil
}

func (d *demoMesh) counted(r *tap.Record) {
	if r.Kind == "peer" || r.Kind == "note" {
		return
	}
	d.count.Lock()
	defer d.count.Unlock()
	d.count.messages++
	if r.Sec != nil && r.Sec.OK && r.Sec.Sealed {
		d.count.sealed++
	}
}

// camera is a sham camera.
type camera struct {
	port *api.Port[lab.Camera, lab.Viewer]
	mu   sync.Mutex
	gain float64
	seq  int
}

func startCamera(p *peer.Peer, width int) *camera {
	c := &camera{port: api.Bind(p, lab.API)}
	lab.Snap.Handle(c.port, func(ctx context.Context, in lab.SnapParams) (lab.Image, error) {
		select {
		case <-time.After(time.Duration(in.ExposureMS) * time.Millisecond):
			return lab.Image{Width: width, Height: width * 3 / 4}, nil
		case <-ctx.Done():
			return lab.Image{}, ctx.Err()
		}
	})
	lab.Gain.Handle(c.port, func(_ context.Context, in lab.GainParams) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gain = in.DB
		return nil
	})
	return c
}

// frame tells everybody of a new frame.
func (c *camera) frame(ctx context.Context) error {
	c.mu.Lock()
	c.seq++
	info := lab.FrameInfo{Seq: c.seq, Mean: math.Round(100*(0.5+0.3*math.Sin(float64(c.seq)/3)*math.Pow(10, c.gain/20)/4)) / 100}
	c.mu.Unlock()
	_, err := lab.Frame.Send(ctx, c.port, api.All, info)
	return err
}

// play lets them talk until ctx ends: a broadcast, a notification for one, a call, a call to all.
func (d *demoMesh) play(ctx context.Context, view *api.Port[lab.Viewer, lab.Camera], bench []*camera) {
	beat := time.NewTicker(500 * time.Millisecond)
	defer beat.Stop()
	for step := 0; ctx.Err() == nil; step++ {
		var err error
		round := step / 5
		switch step % 5 {
		case 0:
			err = bench[round%2].frame(ctx)
		case 1:
			_, err = lab.Gain.Send(ctx, view, api.All, lab.GainParams{DB: float64(round % 4)})
		case 2:
			_, err = lab.Gain.Send(ctx, view, api.To("cam1"), lab.GainParams{DB: float64(3 + round%4)})
		case 3:
			_, err = lab.Snap.Call(ctx, view, api.To("cam1"), lab.SnapParams{ExposureMS: 20})
		case 4:
			for _, r := range lab.Snap.CallEach(ctx, view, api.All, lab.SnapParams{ExposureMS: 10}) {
				err = errors.Join(err, r.Err)
			}
		}
		if err != nil && ctx.Err() == nil {
			d.app.note("demo: %v", err)
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
		}
	}
}

// summary ends the demo. That its time is over, or that somebody pressed Ctrl-C, is no failure.
func (d *demoMesh) summary(context.Context) error {
	d.close()
	d.count.Lock()
	defer d.count.Unlock()
	text := fmt.Sprintf("%d messages, %d of them sealed, %d peers", d.count.messages, d.count.sealed, len(d.peers))
	return d.out.print(&tap.Record{V: tap.RecordVersion, T: time.Now().UTC(), Kind: "note", Text: text, Count: uint64(d.count.messages)})
}

func (d *demoMesh) close() {
	var wg sync.WaitGroup
	for _, p := range d.peers {
		wg.Go(func() {
			if err := p.Close(); err != nil {
				d.app.note("demo: %v", err)
			}
		})
	}
	wg.Wait()
	d.taps.Wait()
}
