// Command browser has a water bath, and a web page at which to see it and to set it. The page is a peer: it calls, hears
// what is broadcast, and is called. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"peermesh/api"
	"peermesh/examples/browser/page"
	"peermesh/peer"
	"peermesh/security"
)

// Bath and Page are the two sides.
type (
	Bath struct{}
	Page struct{}
)

// API is written from the bath's side.
var API = api.Define[Bath, Page]("lab.bath", "1.0.0", "A water bath with a thermostat.")

var (
	// Set sets the temperature to hold. For a hot one the bath asks the caller back.
	Set = api.IncomingCall[Target, State](API, "set", "Set the temperature to hold.", api.Timeout(patience))
	// Reading tells how warm the water is.
	Reading = api.Outgoing[State](API, "reading", "How warm the water is.", api.DropOldest())
	// Confirm asks whoever sits at the page.
	Confirm = api.OutgoingCall[Question, Answer](API, "confirm", "Ask whoever sits at the page.", api.Timeout(patience))
)

// Target is the temperature to hold.
type Target struct {
	Celsius float64 `json:"celsius" minimum:"5" maximum:"95"`
}

// State is how warm the water is and shall be.
type State struct {
	Celsius float64 `json:"celsius"`
	Target  float64 `json:"target"`
}

// Question is one for a person, to be answered by yes or no.
type Question struct {
	Text string `json:"text"`
}

// Answer is a person's.
type Answer struct {
	Yes bool `json:"yes"`
}

const (
	patience = time.Minute // that a person is given to answer
	hot      = 60.0        // °C; above, somebody must say that the lid is closed
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	cfg := peer.Config{Accept: security.AcceptHMAC, Listen: []string{"127.0.0.1:0"}, NoMDNS: true} // pages sign message by message
	flag.StringVar(&cfg.Mesh, "mesh", "bench", "the mesh's `name`")
	flag.StringVar(&cfg.Name, "name", "bath", "the bath's `name`")
	listen := flag.String("listen", "127.0.0.1:8080", "`address` of this machine for the page")
	every := flag.Duration("every", 500*time.Millisecond, "`time` between two readings")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	if cfg.Keys, err = keyring(cfg.Mesh); err != nil {
		return err
	}
	ln, origin, err := page.Listen(*listen)
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }() // for when the server does not come to it
	cfg.Origins = []string{origin}
	p, err := peer.New(cfg)
	if err != nil {
		return err
	}
	b := bath{celsius: 21, target: 37}
	port := api.Bind(p, API)
	Set.Handle(port, func(ctx context.Context, in Target) (State, error) { return b.set(ctx, port, in) })
	if err := p.Join(ctx); err != nil {
		return errors.Join(err, p.Close())
	}
	fmt.Println("listening", p.Self().Address)
	site := page.New(p, cfg.Keys, origin, func(link string) { fmt.Println("open", link) })
	web := &http.Server{Handler: site, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}

	var wg sync.WaitGroup
	wg.Go(func() { // the pages that come and go
		for e := range p.Events(ctx) {
			switch e.Kind {
			case peer.Joined:
				fmt.Println("+", e.Peer.Name)
			case peer.Left:
				fmt.Println("-", e.Peer.Name)
				site.Forget(e.Peer.Name)
			}
		}
	})
	wg.Go(func() {
		for tick := time.Tick(*every); ctx.Err() == nil; {
			select {
			case <-tick:
				if _, err := Reading.Send(ctx, port, api.All, b.step()); err != nil && ctx.Err() == nil {
					fmt.Fprintln(os.Stderr, "browser:", err)
				}
			case <-ctx.Done():
			}
		}
	})
	wg.Go(func() {
		<-ctx.Done()
		_ = web.Close() // there is nothing to report
	})
	if err = web.Serve(ln); errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	stop()
	wg.Wait()
	return errors.Join(err, p.Close())
}

// keyring returns the mesh's keys, to which those of the pages are added while the program runs. Without a key file the
// mesh is this program and its pages.
func keyring(mesh string) (*security.Keyring, error) {
	entries := []security.Entry{{Key: security.NewKey(), Send: true}}
	if path, err := peer.KeyFile(mesh); err == nil {
		switch found, err := security.ReadKeyFile(path); {
		case err == nil:
			entries = found
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return security.NewKeyring(entries...)
}

// bath is the device. Handlers of different senders run beside each other.
type bath struct {
	mu              sync.Mutex
	celsius, target float64
}

// set answers Set. It waits for a person while the readings go on, and gives up when the caller does.
func (b *bath) set(ctx context.Context, port *api.Port[Bath, Page], in Target) (State, error) {
	who := api.Sender(ctx).Name
	if in.Celsius > hot {
		a, err := Confirm.Call(ctx, port, api.To(who), Question{fmt.Sprintf("Is the lid closed? %g °C is hot.", in.Celsius)})
		if err != nil {
			return State{}, fmt.Errorf("above %g °C somebody at a page must confirm: %w", hot, err)
		}
		if !a.Yes {
			return State{}, fmt.Errorf("above %g °C the lid must be closed", hot)
		}
	}
	fmt.Printf("%g °C, says %s\n", in.Celsius, who)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.target = in.Celsius
	return b.stateLocked(), nil
}

// step lets a little time pass in the bath.
func (b *bath) step() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.celsius += (b.target-b.celsius)*0.06 + 0.1*math.Sin(float64(time.Now().UnixMilli())/700)
	return b.stateLocked()
}

func (b *bath) stateLocked() State {
	return State{Celsius: math.Round(b.celsius*10) / 10, Target: b.target}
}
