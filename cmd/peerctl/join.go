package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peermesh/api"
	"peermesh/peer"
	"peermesh/peer/tap"
	"peermesh/security"
)

// hostFlags are the flags of the commands that are a peer for as long as they run.
type hostFlags struct {
	listen          []string
	accept, protect string
	tap             string
}

func (h *hostFlags) add(a *app, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&h.listen, "listen", nil, "address to listen on: host:port, tcp://… or ws://… (repeatable; default :7117, the next free port if taken)")
	f.StringVar(&h.accept, "accept", "session", "least that listeners take: session, hmac (also single signed messages) or guest (also unsigned ones)")
	f.StringVar(&h.protect, "protect", "sealed", "how messages travel: sealed (nobody else can read them) or signed (readable)")
	f.StringVar(&h.tap, "tap", "headers", "what members who watch see of this peer's messages: off, headers (who, when, which method) or full")
	for flag, words := range map[string][]string{"tap": {"off", "headers", "full"}, "accept": {"session", "hmac", "guest"}, "protect": {"sealed", "signed"}} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	}
}

// config makes the configuration of a peer that stays.
func (h *hostFlags) config(a *app) (peer.Config, error) {
	cfg := a.peerConfig(peer.Config{Listen: h.listen, Control: true, HearAll: true})
	var err error
	if cfg.Accept, err = security.ParseAccept(h.accept); err != nil {
		return cfg, usageError("--accept %s: say session, hmac or guest", h.accept)
	}
	if cfg.Protection, err = security.ParseProtection(h.protect); err != nil {
		return cfg, usageError("--protect %s: say sealed or signed", h.protect)
	}
	if cfg.Tap, err = tap.ParseLevel(h.tap); err != nil {
		return cfg, usageError("--tap %s: say off, headers or full", h.tap)
	}
	return cfg, nil
}

func (a *app) joinCommand() *cobra.Command {
	var host hostFlags
	cmd := &cobra.Command{
		Use:   "join [-]",
		Short: "Be a peer until Ctrl-C: hear every broadcast, print who comes and goes",
		Long: `join is a peer of the mesh until Ctrl-C. It prints who comes and goes, hears every broadcast (peerctl watch shows
them), and lets the other commands of this user use the mesh through it at once.

With "-" it first reads the code of a "peerctl invite" from stdin and gets the mesh's key for it.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && args[0] != "-" {
				return usageError("join takes no argument but -, which reads an invite from stdin")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := a.enroll(cmd.Context()); err != nil {
					return err
				}
			}
			cfg, err := host.config(a)
			if err != nil {
				return err
			}
			return a.host(cmd.Context(), cfg, nil)
		},
	}
	host.add(a, cmd)
	return cmd
}

// host runs a peer until ctx ends and prints who comes and goes. bind, if not nil, binds what it serves before it
// joins.
func (a *app) host(ctx context.Context, cfg peer.Config, bind func(*peer.Peer) error) error {
	cfg.Settle = -1 // who is there is printed as it is found
	p, err := peer.New(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	if bind != nil {
		if err := bind(p); err != nil {
			return err
		}
	}
	if err := p.Join(ctx); err != nil {
		return err
	}
	if err := a.printJoined(p); err != nil {
		return err
	}
	out := a.printer()
	var n uint64
	for ev := range p.Events(ctx) {
		n++
		if ev.Kind == peer.Updated && ev.Reason == "" {
			continue // that it binds one API more is for ls to show
		}
		rec := eventRecord(ev, n, p)
		if out.asJSON {
			err = out.print(rec)
		} else {
			_, err = fmt.Fprintln(a.out, out.render.membership(rec, ev.Peer))
		}
		if err != nil {
			return err
		}
	}
	return nil // Ctrl-C is how it ends
}

// printJoined says who we are and where we listen.
func (a *app) printJoined(p *peer.Peer) error {
	self := p.Self()
	if a.flags.output == "json" {
		enc := json.NewEncoder(a.out)
		for _, addr := range self.Addresses {
			if err := enc.Encode(map[string]any{"v": tap.RecordVersion, "t": time.Now().UTC(), "kind": "note", "text": "listening", "address": addr}); err != nil {
				return err
			}
		}
		return nil
	}
	fmt.Fprintf(a.out, "joined mesh %q as %s  id %s…  %s\n", p.Mesh(), self.Name, self.ID[:8], protection(self))
	for _, addr := range self.Addresses {
		fmt.Fprintf(a.out, "listening %s\n", addr)
	}
	if self.Protection == "none" {
		a.note("the mesh %q has no key, so it is for this machine alone; make one with: peerctl key new %s", p.Mesh(), p.Mesh())
	}
	return nil
}

// protection names how the messages of a peer are protected.
func protection(i *api.Info) string {
	if i.Protection == "none" {
		return "no key"
	}
	return i.Protection
}

func eventRecord(ev peer.Event, n uint64, p *peer.Peer) *tap.Record {
	i := ev.Peer
	sec := &tap.Sec{Alg: "none", OK: ev.Kind != peer.Refused}
	switch i.Protection {
	case "sealed", "signed":
		sec.Alg, sec.Sealed, sec.User = "S-HS256", i.Protection == "sealed", i.Name
	case "hmac":
		sec.Alg, sec.User = "HS256", i.Name
	}
	rec := &tap.Record{V: tap.RecordVersion, T: time.Now().UTC(), N: n, Kind: "peer", Event: string(ev.Kind), Peer: i.Name,
		Reason: ev.Reason, Address: i.Address, Via: i.Via, Sec: sec, SeenBy: p.Self().Name, Dropped: uint64(ev.Missed)}
	for _, name := range sortedKeys(i.APIs) {
		rec.APIs = append(rec.APIs, strings.TrimSpace(name+" "+i.APIs[name].Version))
	}
	if ev.Kind == peer.Refused {
		rec.Reason += "  (peerctl doctor --peer " + i.Address + ")"
	}
	return rec
}
