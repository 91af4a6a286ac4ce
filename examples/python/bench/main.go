// Command bench is a camera that has a Python peer do its statistics: it calls back whoever calls it. See the README in
// the folder above.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/security"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg := peer.Config{Accept: security.AcceptHMAC} // the Python peer signs each message by itself
	flag.StringVar(&cfg.Mesh, "mesh", "bench", "the mesh's `name`")
	flag.StringVar(&cfg.Name, "name", "cam1", "the camera's `name`")
	flag.BoolVar(&cfg.NoMDNS, "no-mdns", false, "do not look for others on the network")
	flag.Func("listen", "`address` to listen on (default :7117, or the next free port)", func(s string) error {
		cfg.Listen = append(cfg.Listen, s)
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	p, err := peer.New(cfg)
	if err != nil {
		return err
	}
	port := api.Bind(p, lab.API)
	lab.Snap.Handle(port, func(ctx context.Context, _ lab.SnapParams) (lab.Image, error) {
		fmt.Println("a picture for", api.Sender(ctx).Name)
		return lab.Image{Width: 320, Height: 240}, nil
	})
	if err := p.Join(ctx); err != nil {
		return errors.Join(err, p.Close())
	}
	for _, a := range p.Self().Addresses {
		fmt.Println("listening", a)
	}
	for e := range p.Events(ctx) {
		if e.Kind != peer.Joined || e.Peer.ID != "" {
			continue // who has an id speaks the whole protocol, and serves no py.stats
		}
		if err := measure(ctx, p, port, e.Peer.Name); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
	return p.Close()
}

// stats is what py.stats answers.
type stats struct{ Mean, Median float64 }

// measure has a peer compute, and tells everybody. A peer that did not say what it binds is called by the bare names of
// its methods.
func measure(ctx context.Context, p *peer.Peer, port *api.Port[lab.Camera, lab.Viewer], name string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var got stats
	pixels := map[string][]float64{"values": {0.1, 0.2, 0.9}}
	if err := p.JSONRPC2(name).Call(ctx, "py.stats", pixels, &got); err != nil {
		return err
	}
	fmt.Printf("%s says: mean %.2f, median %.2f\n", name, got.Mean, got.Median)
	_, err := lab.Frame.Send(ctx, port, api.All, lab.FrameInfo{Seq: 1, Mean: got.Mean})
	return err
}
