// Command camera is a camera on the bench, without the camera: its pictures are computed. It serves the side of
// lab.API that is defined there. See the README in the folder above.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/signal"
	"sync"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/security"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "camera:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg := peer.Config{}
	flag.StringVar(&cfg.Mesh, "mesh", "bench", "the mesh's `name`")
	flag.StringVar(&cfg.Name, "name", "", "the camera's `name` (default: the host's)")
	flag.BoolVar(&cfg.NoMDNS, "no-mdns", false, "do not look for others on the network")
	flag.Func("listen", "`address` to listen on (default :7117, or the next free port)", into(&cfg.Listen))
	flag.Func("peer", "`address` of a peer that is not found by itself (repeatable)", into(&cfg.Peers))
	flag.Func("accept", "least that is `taken`: session, hmac (programs in other languages) or guest (default session)", func(s string) (err error) {
		cfg.Accept, err = security.ParseAccept(s)
		return err
	})
	every := flag.Duration("every", 500*time.Millisecond, "`time` between two frames")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	p, err := peer.New(cfg)
	if err != nil {
		return err
	}
	var cam camera
	port := api.Bind(p, lab.API)
	lab.Snap.Handle(port, cam.snap)
	lab.Gain.Handle(port, cam.setGain)
	if err := p.Join(ctx); err != nil {
		return errors.Join(err, p.Close())
	}
	for _, a := range p.Self().Addresses {
		fmt.Println("listening", a)
	}
	for tick := time.Tick(*every); ctx.Err() == nil; {
		select {
		case <-tick:
			if _, err := lab.Frame.Send(ctx, port, api.All, cam.frame()); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "camera:", err)
			}
		case <-ctx.Done():
		}
	}
	return p.Close()
}

func into(list *[]string) func(string) error {
	return func(s string) error {
		*list = append(*list, s)
		return nil
	}
}

// camera is the device. Its methods are called from several goroutines: handlers run beside each other for different
// senders.
type camera struct {
	mu   sync.Mutex
	gain float64 // dB
	seq  int
}

// snap answers lab.Snap. The params are within their limits, and defaults are filled in.
func (c *camera) snap(ctx context.Context, in lab.SnapParams) (lab.Image, error) {
	select {
	case <-time.After(time.Duration(in.ExposureMS) * time.Millisecond):
	case <-ctx.Done(): // the caller gave up, or is gone
		return lab.Image{}, ctx.Err()
	}
	c.mu.Lock()
	gray := c.gray(float64(in.ExposureMS) / 10)
	c.mu.Unlock()
	img := image.NewGray(image.Rect(0, 0, 320, 240))
	for y := range 240 {
		for x := range 320 {
			img.SetGray(x, y, color.Gray{Y: uint8(gray * float64(x+y) / 558 * 255)})
		}
	}
	var text bytes.Buffer
	if err := png.Encode(&text, img); err != nil {
		return lab.Image{}, err
	}
	fmt.Printf("a picture for %s, %d ms\n", api.Sender(ctx).Name, in.ExposureMS)
	return lab.Image{Width: 320, Height: 240, PNG: text.Bytes()}, nil
}

// setGain hears lab.Gain.
func (c *camera) setGain(ctx context.Context, in lab.GainParams) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gain = in.DB
	fmt.Printf("gain %g dB, says %s\n", in.DB, api.Sender(ctx).Name)
	return nil
}

// frame takes the next frame.
func (c *camera) frame() lab.FrameInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	return lab.FrameInfo{Seq: c.seq, Mean: math.Round(c.gray(1)*100) / 100}
}

// gray is how bright the bench is now, 0 to 1; the caller must hold mu.
func (c *camera) gray(exposure float64) float64 {
	light := 0.25 + 0.05*math.Sin(float64(c.seq)/3)
	return min(1, light*exposure*math.Pow(10, c.gain/20))
}
