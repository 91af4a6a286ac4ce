// Command chat is a chat room without a server: everybody is a peer, and all are equal. See README.md.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"unicode"

	"peermesh/api"
	"peermesh/peer"
)

// Chatter is the only role: both sides of the API are the same.
type Chatter struct{}

// API is what chatters say to each other. Its methods are handled and sent by the same side.
var API = api.Define[Chatter, Chatter]("chat", "1.0.0", "A chat room of equals.")

// What is said: to everybody, and to one alone.
var (
	Say     = api.Incoming[Line](API, "say", "Say something to the room.")
	Whisper = api.Incoming[Line](API, "whisper", "Say something to one alone.")
)

// Line is a line of talk.
type Line struct {
	Text string `json:"text" minLength:"1" maxLength:"2000"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg := peer.Config{}
	flag.StringVar(&cfg.Mesh, "mesh", "chat", "the mesh's `name`: the room")
	flag.StringVar(&cfg.Name, "name", "", "your `name` (default: the host's)")
	flag.BoolVar(&cfg.NoMDNS, "no-mdns", false, "do not look for others on the network")
	flag.Func("listen", "`address` to listen on (default :7117, or the next free port)", into(&cfg.Listen))
	flag.Func("peer", "`address` of a peer that is not found by itself (repeatable)", into(&cfg.Peers))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	p, err := peer.New(cfg)
	if err != nil {
		return err
	}
	port := api.Bind(p, API)
	Say.Handle(port, func(ctx context.Context, l Line) error {
		fmt.Printf("%s: %s\n", api.Sender(ctx).Name, printable(l.Text))
		return nil
	})
	Whisper.Handle(port, func(ctx context.Context, l Line) error {
		fmt.Printf("%s, to you: %s\n", api.Sender(ctx).Name, printable(l.Text))
		return nil
	})
	if err := p.Join(ctx); err != nil {
		return errors.Join(err, p.Close())
	}
	for _, a := range p.Self().Addresses {
		fmt.Println("listening", a)
	}
	fmt.Printf("you are %s in %s (%s)\n", p.Self().Name, p.Mesh(), reach(p.Self()))
	go func() {
		defer stop() // the end of the input is the end of the talk
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			if err := say(ctx, port, in.Text()); err != nil {
				fmt.Println("!", err)
			}
		}
	}()
	for e := range p.Events(ctx) {
		show(e)
	}
	return p.Close()
}

func into(list *[]string) func(string) error {
	return func(s string) error {
		*list = append(*list, s)
		return nil
	}
}

// reach says who can be there.
func reach(self *api.Info) string {
	if self.Protection == "none" {
		return "this machine only: the mesh has no key"
	}
	return "signed"
}

// say sends what was typed: "/to NAME text" to one, all else to everybody.
func say(ctx context.Context, port *api.Port[Chatter, Chatter], line string) error {
	if line == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(line, "/to "); ok {
		name, text, _ := strings.Cut(rest, " ")
		_, err := Whisper.Send(ctx, port, api.To(name), Line{text})
		return err
	}
	report, err := Say.Send(ctx, port, api.All, Line{line})
	for _, r := range report.Refused { // a slow reader, most likely: the others have it
		fmt.Printf("! not for %s: %v\n", r.Peer, r.Err)
	}
	return err
}

// show prints who comes, who goes, and who could not be let in.
func show(e peer.Event) {
	switch {
	case e.Kind == peer.Refused:
		fmt.Printf("! %s: %s\n", e.Peer.Address, e.Reason)
	case !e.Peer.Binds("chat", "chatter"): // an onlooker
	case e.Kind == peer.Joined:
		fmt.Println("+", e.Peer.Name)
	case e.Kind == peer.Left:
		fmt.Println("-", e.Peer.Name)
	}
}

// printable keeps what others say from playing with the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, s)
}
