// Command dashboard shows what the spectrometers of a mesh see, live, in a browser. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"time"

	"peermesh/api"
	"peermesh/examples/dashboard/optics"
	"peermesh/examples/dashboard/page"
	"peermesh/peer"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg := peer.Config{Listen: []string{"127.0.0.1:0"}}
	flag.StringVar(&cfg.Mesh, "mesh", "bench", "the mesh's `name`")
	flag.StringVar(&cfg.Name, "name", "dashboard", "the dashboard's `name`")
	flag.Func("peer", "`address` of a spectrometer that is not found by itself (repeatable)", func(s string) error {
		cfg.Peers = append(cfg.Peers, s)
		return nil
	})
	serve := flag.String("page", "127.0.0.1:8081", "`address` of this machine for the page")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	ln, err := net.Listen("tcp", *serve)
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }() // for when the server does not come to it
	host := ln.Addr().String()
	if at, err := netip.ParseAddrPort(host); err != nil || !at.Addr().IsLoopback() {
		return fmt.Errorf("%s is not for this machine alone: say 127.0.0.1:8081", *serve)
	}
	p, err := peer.New(cfg)
	if err != nil {
		return err
	}
	port := api.Bind(p, optics.API.Invert())
	site := page.New(port, host)
	events := p.Events(ctx)
	if err := p.Join(ctx); err != nil {
		return errors.Join(err, p.Close())
	}
	fmt.Printf("open http://%s/\n", host)
	server := &http.Server{Handler: site, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	var wg sync.WaitGroup
	wg.Go(func() {
		for e := range events {
			fmt.Println(e.Kind, e.Peer.Name)
			site.Changed()
		}
	})
	wg.Go(func() {
		<-ctx.Done()
		_ = server.Close() // there is nothing to report
	})
	if err = server.Serve(ln); errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	stop()
	wg.Wait()
	return errors.Join(err, p.Close())
}
