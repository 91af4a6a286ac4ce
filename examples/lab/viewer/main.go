// Command viewer uses the cameras of a mesh: it binds the other side of lab.API. See the README in the folder above.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "viewer:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg := peer.Config{Control: true} // peerctl can use the mesh through this peer
	flag.StringVar(&cfg.Mesh, "mesh", "bench", "the mesh's `name`")
	flag.StringVar(&cfg.Name, "name", "", "the viewer's `name` (default: the host's)")
	flag.BoolVar(&cfg.NoMDNS, "no-mdns", false, "do not look for others on the network")
	flag.Func("listen", "`address` to listen on (default :7117, or the next free port)", into(&cfg.Listen))
	flag.Func("peer", "`address` of a peer that is not found by itself (repeatable)", into(&cfg.Peers))
	gain := flag.Float64("gain", 6, "gain of the cameras, in `dB`")
	once := flag.String("snap", "", "wait for the camera of this `name`, take one picture, and leave")
	out := flag.String("o", "", "`file` for the picture of -snap")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	p, err := peer.New(cfg)
	if err != nil {
		return err
	}
	view := &viewer{port: api.Bind(p, lab.API.Invert()), gain: *gain}
	if *once == "" {
		lab.Frame.Handle(view.port, func(ctx context.Context, f lab.FrameInfo) error {
			fmt.Printf("%s: frame %d, mean %.2f\n", api.Sender(ctx).Name, f.Seq, f.Mean)
			return nil
		})
	}
	if err := p.Join(ctx); err != nil {
		return errors.Join(err, p.Close())
	}
	for _, a := range p.Self().Addresses {
		fmt.Println("listening", a)
	}
	if *once != "" {
		return errors.Join(view.snapOnce(ctx, *once, *out), p.Close())
	}
	view.follow(ctx, p)
	return p.Close()
}

func into(list *[]string) func(string) error {
	return func(s string) error {
		*list = append(*list, s)
		return nil
	}
}

type viewer struct {
	port *api.Port[lab.Viewer, lab.Camera]
	gain float64
}

// follow greets each camera that comes.
func (v *viewer) follow(ctx context.Context, p *peer.Peer) {
	var greetings sync.WaitGroup
	defer greetings.Wait()
	for e := range p.Events(ctx) {
		switch {
		case e.Kind == peer.Refused:
			fmt.Printf("! %s: %s\n", e.Peer.Address, e.Reason)
		case !e.Peer.Binds("lab.camera", "camera"): // another viewer
		case e.Kind == peer.Joined:
			fmt.Println("+", e.Peer.Name)
			greetings.Go(func() { v.greet(ctx, e.Peer) })
		case e.Kind == peer.Left:
			fmt.Println("-", e.Peer.Name)
		}
	}
}

// greet sets the gain of a camera and takes a picture. What goes to one peer arrives in order.
func (v *viewer) greet(ctx context.Context, cam *api.Info) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := lab.Gain.Send(ctx, v.port, api.To(cam), lab.GainParams{DB: v.gain}); err != nil {
		fmt.Println("!", err)
		return
	}
	img, err := lab.Snap.Call(ctx, v.port, api.To(cam), lab.SnapParams{ExposureMS: 20})
	if err != nil {
		fmt.Println("!", err)
		return
	}
	fmt.Printf("%s: a picture, %d x %d, %d bytes\n", cam.Name, img.Width, img.Height, len(img.PNG))
}

// snapOnce takes a picture with a camera that need not be there yet.
func (v *viewer) snapOnce(ctx context.Context, name, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := v.port.Wait(ctx, api.To(name)); err != nil {
		return fmt.Errorf("no camera %s: %w", name, err)
	}
	img, err := lab.Snap.Call(ctx, v.port, api.To(name), lab.SnapParams{ExposureMS: 20})
	if err != nil {
		return err
	}
	fmt.Printf("%s: a picture, %d x %d, %d bytes\n", name, img.Width, img.Height, len(img.PNG))
	if file == "" {
		return nil
	}
	return os.WriteFile(file, img.PNG, 0o644)
}
