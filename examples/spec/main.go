// Command spec is a peer that anybody on this machine may call: it serves the example methods of the JSON-RPC 2.0
// specification. Try it with whatever speaks JSON-RPC; see README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"peermesh/examples/spec/service"
	"peermesh/peer"
	"peermesh/security"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:7118", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "spec:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen string) error {
	keys, err := security.NewKeyring() // no key: nobody signs, and only this machine is served
	if err != nil {
		return err
	}
	p, err := peer.New(peer.Config{Mesh: "spec", Name: "spec", Keys: keys, Throwaway: true, Listen: []string{listen},
		NoMDNS: true, NoLocal: true, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		return err
	}
	service.Bind(p)
	if err := p.Join(ctx); err != nil {
		return err
	}
	for _, a := range p.Self().Addresses {
		fmt.Println("listening", a)
	}
	<-ctx.Done()
	return p.Close()
}
