// Command spectrometer is a spectrometer without one: a lamp with a few lines, and noise, are computed. It broadcasts
// what it sees. See the README in the folder above.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"peermesh/api"
	"peermesh/examples/dashboard/optics"
	"peermesh/peer"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "spectrometer:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg := peer.Config{}
	flag.StringVar(&cfg.Mesh, "mesh", "bench", "the mesh's `name`")
	flag.StringVar(&cfg.Name, "name", "spectrometer", "the spectrometer's `name`")
	flag.Func("listen", "`address` to listen on (default :7117, or the next free port)", func(s string) error {
		cfg.Listen = append(cfg.Listen, s)
		return nil
	})
	every := flag.Duration("every", 100*time.Millisecond, "`time` between two spectra")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	p, err := peer.New(cfg)
	if err != nil {
		return err
	}
	var exposure atomic.Int64 // ms; handlers run beside what follows
	exposure.Store(20)
	port := api.Bind(p, optics.API)
	optics.Expose.Handle(port, func(ctx context.Context, in optics.Exposure) (optics.Exposure, error) {
		exposure.Store(int64(in.MS))
		fmt.Printf("exposure %d ms, says %s\n", in.MS, api.Sender(ctx).Name)
		return in, nil
	})
	if err := p.Join(ctx); err != nil {
		return errors.Join(err, p.Close())
	}
	for _, a := range p.Self().Addresses {
		fmt.Println("listening", a)
	}
	tick := time.Tick(*every)
	for seq := 1; ctx.Err() == nil; seq++ {
		select {
		case <-tick:
			if _, err := optics.Spectrum.Send(ctx, port, api.All, measure(seq, float64(exposure.Load()))); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "spectrometer:", err)
			}
		case <-ctx.Done():
		}
	}
	return p.Close()
}

// lines of a mercury lamp, in nanometres, and how bright they are.
var lines = map[float64]float64{404.7: 0.4, 435.8: 0.9, 491.6: 0.08, 546.1: 1, 577.0: 0.55, 579.1: 0.5, 623.4: 0.05}

// measure computes a spectrum of 380 to 680 nm.
func measure(seq int, exposure float64) optics.Spectral {
	s := optics.Spectral{Seq: seq, From: 380, Step: 0.5, Counts: make([]float64, 601)}
	flicker := 1 + 0.05*math.Sin(float64(seq)/4)
	for i := range s.Counts {
		nm, light := s.From+s.Step*float64(i), 0.02
		for at, bright := range lines {
			light += flicker * bright * math.Exp(-(nm-at)*(nm-at)/2)
		}
		mean := 30 * exposure * light
		s.Counts[i] = math.Round(max(0, mean+math.Sqrt(mean)*rand.NormFloat64()))
	}
	return s
}
