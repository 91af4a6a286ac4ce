package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peermesh/cmd/peerctl/page"
	"peermesh/discovery"
	"peermesh/peer"
	"peermesh/security"
)

func (a *app) doctorCommand() *cobra.Command {
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why peers do not see each other",
		Long: `doctor joins the mesh for some seconds and says what works and what does not: the key, the network interfaces, whether
multicast is heard and answered, who else uses port 5353, the peers with their clocks, what was refused, and what to
do next. --peer ADDR tries an address. It exits with 1 when something FAILs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.doctor(cmd.Context(), length)
		},
	}
	cmd.Flags().DurationVar(&length, "for", 3*time.Second, "how long to look")
	return cmd
}

// examination is what doctor does: it looks at things one after the other, and keeps what it finds.
type examination struct {
	app      *app
	findings []page.Finding
}

func (x *examination) add(level, next, format string, args ...any) {
	x.findings = append(x.findings, page.Finding{Level: level, Text: fmt.Sprintf(format, args...), Next: next})
}

func (a *app) doctor(ctx context.Context, length time.Duration) error {
	return a.examine(ctx, length).print()
}

// examine examines the mesh of the flags.
func (a *app) examine(ctx context.Context, length time.Duration) *examination {
	x := &examination{app: a}
	listen := "127.0.0.1:0"
	if x.key() {
		listen = ":0"
	}
	x.interfaces()
	x.owners()
	if all, err := peer.Controls(ctx, "", a.flags.mesh, ""); err == nil { // else none is running
		for _, c := range all {
			defer func() { _ = c.Close() }()
		}
		x.running(ctx, all)
	}
	x.mesh(ctx, length, a.peerConfig(peer.Config{Listen: []string{listen}}))
	return x
}

// key examines the key file of the mesh.
func (x *examination) key() bool {
	a := x.app
	path, err := a.keyPath(a.flags.mesh)
	if err != nil {
		x.add("warn", "set HOME or XDG_DATA_HOME", "no place for keys: %v", err)
		return false
	}
	entries, err := security.ReadKeyFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.add("warn", "peerctl key new "+a.flags.mesh+", or key import what another machine exports", "the mesh %q has no key: it is for this machine alone", a.flags.mesh)
		return false
	case err != nil:
		x.add("FAIL", "chmod 600 the file, or see what is wrong with it", "the key of mesh %q: %v", a.flags.mesh, err)
		return false
	}
	for _, e := range entries {
		if e.Valid(time.Now()) {
			x.add("ok", "", "key %s of mesh %q", e.Key.ID(), a.flags.mesh)
		} else {
			x.add("warn", "peerctl key new, and take it to all machines", "key %s of mesh %q is not valid now", e.Key.ID(), a.flags.mesh)
		}
	}
	return true
}

// interfaces lists what discovery can use.
func (x *examination) interfaces() {
	ifs, err := net.Interfaces()
	if err != nil {
		x.add("FAIL", "", "network interfaces: %v", err)
		return
	}
	usable := 0
	for _, i := range ifs {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, _ := i.Addrs() // an interface that has just gone has none
		var texts []string
		for _, addr := range addrs {
			if n, ok := addr.(*net.IPNet); ok {
				texts = append(texts, n.IP.String())
			}
		}
		multicast := "multicast"
		if i.Flags&net.FlagMulticast == 0 {
			multicast = "no multicast"
		} else {
			usable++
		}
		x.add("ok", "", "interface %s: %s, %s", i.Name, orDash(strings.Join(texts, " ")), multicast)
	}
	if usable == 0 {
		x.add("warn", "peers on this machine find each other all the same; for others use --peer HOST:PORT", "no network interface that is up has multicast")
	}
}

// owners tells who else uses the port of mDNS.
func (x *examination) owners() {
	names, err := portOwners(5353)
	switch {
	case err != nil:
		x.add("skip", "", "who owns port 5353: %v", err)
	case len(names) == 0:
		x.add("ok", "", "nobody else uses port 5353")
	default:
		x.add("ok", "", "port 5353 is shared with %s", strings.Join(names, ", "))
	}
}

// running asks peers that run here what they have refused and dropped.
func (x *examination) running(ctx context.Context, all []*peer.Control) {
	for _, c := range all {
		m, err := c.Peers(ctx)
		if err != nil {
			continue
		}
		stats, err := c.Stats(ctx)
		if err != nil {
			continue
		}
		name := m.Peers[0].Name
		x.add("ok", "", "%s runs here, with %s", name, count(len(m.Peers)-1, "peer"))
		for _, reason := range sortedKeys(stats.Refused) {
			x.add("warn", refusalCounters[reason], "%s has refused %s: %s", name, count(int(stats.Refused[reason]), "message"), reason)
		}
		if stats.Dropped > 0 {
			x.add("warn", "a peer, or a handler of its, is too slow", "%s has dropped %s", name, count(int(stats.Dropped), "message"))
		}
		if stats.Panics > 0 {
			x.add("warn", "see its log", "%s has seen %s of handlers", name, count(int(stats.Panics), "panic"))
		}
	}
}

// mesh looks around as a peer of its own for a while.
func (x *examination) mesh(ctx context.Context, length time.Duration, cfg peer.Config) {
	if err := x.lookAround(ctx, length, cfg); err != nil {
		x.add("FAIL", "", "cannot join the mesh: %v", err)
	}
}

func (x *examination) lookAround(ctx context.Context, length time.Duration, cfg peer.Config) error {
	cfg.Name, cfg.Throwaway, cfg.HearAll, cfg.Settle = peer.HostName()+"-doctor", true, true, -1
	p, err := peer.New(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	if err := p.Join(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var refused []string
	for ev := range p.Events(ctx) {
		if ev.Kind == peer.Refused {
			refused = append(refused, ev.Peer.Address)
			x.add("FAIL", refusedAdvice(ev.Reason), "%s at %s %s", ev.Peer.Name, ev.Peer.Address, ev.Reason)
		}
	}
	stats := p.Stats()
	for _, s := range stats.Discovery.Sources {
		x.source(&s)
	}
	linked := x.peers(p)
	for _, addr := range cfg.Peers {
		if !slices.ContainsFunc(linked, func(l string) bool { return strings.Contains(addr, l) }) && len(refused) == 0 {
			x.tryAddress(ctx, addr)
		}
	}
	for _, reason := range sortedKeys(stats.Refused) {
		x.add("warn", refusalCounters[reason], "%d messages were refused: %s", stats.Refused[reason], reason)
	}
	return nil
}

var refusalCounters = map[string]string{
	"key":       "somebody signs with another key: peerctl key export on one machine, key import on the other",
	"stale":     "the clocks differ by more than a minute: run NTP",
	"unsigned":  "somebody without a key calls; --accept guest would let them in",
	"signature": "messages were altered on their way, or made by somebody who does not hold the key",
	"replay":    "somebody sends recorded messages again",
	"receiver":  "messages for another peer arrive here",
	"session":   "somebody signs single messages, as programs in other languages do; --accept hmac would let them in",
	"handshake": "somebody shakes hands with another key or for another mesh, or is in between",
	"hello":     "somebody introduces himself in a way that is not taken here",
	"hellos":    "one address introduces itself more than 20 times a second",
	"refused":   "a peer proved who it is, and is not wanted: peerctl peers ls",
	"sequence":  "frames of a session were lost, repeated or put into another order on their way",
	"form":      "frames of a session were altered on their way",
	"forbidden": "somebody may not call what he calls: peerctl policy check PEER METHOD",
	"oversized": "messages are larger than is taken here",
}

func refusedAdvice(reason string) string {
	switch {
	case strings.Contains(reason, "key"):
		return "the two machines hold different keys: peerctl key export MESH on one, key rm and key import MESH on the other"
	case strings.Contains(reason, "clock"):
		return "run NTP on both"
	}
	return "see its log"
}

// source tells how one source of discovery does.
func (x *examination) source(s *discovery.SourceStatus) {
	if s.Err != nil {
		x.add("FAIL", "", "discovery by %s: %v", s.Name, s.Err)
		return
	}
	for _, note := range s.Notes {
		level, next := "ok", ""
		if strings.Contains(note, "no multicast route") || strings.Contains(note, "failed") || strings.Contains(note, "cannot") {
			level, next = "warn", "use --peer HOST:PORT meanwhile"
		}
		x.add(level, next, "discovery by %s: %s", s.Name, note)
	}
	if s.Name != "mdns" {
		return
	}
	c := s.Counters
	switch {
	case c["own"] == 0 && c["packets"] == 0:
		x.add("FAIL", "a firewall, a switch or the Wi-Fi drops multicast (IGMP snooping, \"client isolation\"); use --peer HOST:PORT meanwhile", "no multicast was heard, not even our own")
	case c["packets"] == c["own"]:
		x.add("ok", "", "our own multicast was heard (%d packets); nobody else's", c["own"])
	default:
		x.add("ok", "", "multicast is heard: %d packets, %d of them our own; %d questions came in, %d answers went out", c["packets"], c["own"], c["queries"], c["answered"]+c["unicast"])
	}
	if n := c["proof"]; n > 0 {
		x.add("warn", refusedAdvice("key"), "%d announcements were made with another key", n)
	}
}

// peers tells who is there.
func (x *examination) peers(p *peer.Peer) (addresses []string) {
	n := 0
	for i := range p.Peers() {
		n++
		addresses = append(addresses, i.Address)
		text := fmt.Sprintf("peer %s at %s", i.Name, i.Address)
		if i.RTT > 0 { // it was measured
			text += fmt.Sprintf(", %.1f ms", float64(i.RTT.Microseconds())/1000)
		}
		switch skew := i.Clock.Round(time.Second); {
		case skew.Abs() > security.Window/2:
			x.add("warn", "run NTP on both: signatures are refused beyond "+security.Window.String(), "%s; its clock is %s off", text, skew)
		case skew != 0:
			x.add("ok", "", "%s; its clock is %s off", text, skew)
		default:
			x.add("ok", "", "%s", text)
		}
	}
	if n == 0 {
		x.add("warn", "start one elsewhere with `peerctl join --mesh "+p.Mesh()+"`; where multicast does not get through, use --peer HOST:PORT", "nobody else is in the mesh %q", p.Mesh())
	}
	return addresses
}

// tryAddress finds out how far an address that did not become a peer can be reached.
func (x *examination) tryAddress(ctx context.Context, addr string) {
	host := addr
	if _, rest, ok := strings.Cut(addr, "://"); ok {
		host, _, _ = strings.Cut(rest, "/")
	}
	d := net.Dialer{Timeout: 2 * time.Second}
	c, err := d.DialContext(context.WithoutCancel(ctx), "tcp", host)
	if err != nil {
		x.add("FAIL", "is the peer running there, and does a firewall let the port through?", "%s cannot be reached: %v", addr, err)
		return
	}
	_ = c.Close()
	x.add("FAIL", "is it a peer of this mesh, with this key?", "%s accepts connections but is no peer of ours", addr)
}

func (x *examination) print() error {
	failed := false
	for _, f := range x.findings {
		failed = failed || f.Level == "FAIL"
	}
	if x.app.flags.output == "json" {
		raw, err := json.Marshal(x.findings)
		if err != nil {
			return err
		}
		fmt.Fprintf(x.app.out, "%s\n", raw)
	} else {
		r := renderer{color: x.app.colored(x.app.out)}
		colors := map[string]string{"ok": colorGreen, "warn": colorBlue, "FAIL": colorRed, "skip": colorDim}
		for _, f := range x.findings {
			fmt.Fprintf(x.app.out, "%s %s\n", r.paint(colors[f.Level], pad(f.Level, 4)), clean(f.Text))
			if f.Next != "" {
				fmt.Fprintf(x.app.out, "     → %s\n", f.Next)
			}
		}
	}
	if failed {
		return &exitError{code: exitFailure, err: errors.New("something fails"), shown: true}
	}
	return nil
}
