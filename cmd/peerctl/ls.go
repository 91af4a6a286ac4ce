package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"peermesh/api"
	"peermesh/peer"
)

func (a *app) lsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the peers of the mesh",
		Long: `ls lists who is in the mesh, as the running peer of this machine sees it, or as a peer of the command's own that looks
for --wait. The peer that it speaks through has a *. -o wide shows ids, counters and more; -o json all of it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			// Somebody else's peer knows who is there; one of our own has been looking since it joined.
			m, err := s.await(cmd.Context(), func(m *peer.MeshStatus) bool { return s.own == nil || len(m.Peers) > 1 })
			if err != nil {
				return err
			}
			return a.printPeers(s, m)
		},
	}
}

func (a *app) printPeers(s *session, m *peer.MeshStatus) error {
	shape, err := newShaper(a.flags.jq)
	if err != nil {
		return err
	}
	switch form := a.flags.output; {
	case form == "json" || form == "yaml" || a.flags.jq != "":
		raw, err := json.Marshal(m.Peers)
		if err != nil {
			return err
		}
		return a.printShaped(shape, raw)
	case form == "name":
		for _, p := range m.Peers {
			fmt.Fprintln(a.out, p.Name)
		}
		return nil
	}
	wide := a.flags.output == "wide"
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	head := []string{"PEER", "ADDRESS", "APIS", "SIDE", "RTT", "SEEN"}
	if wide {
		head = []string{"PEER", "ID", "ADDRESS", "APIS", "SIDE", "PROTECTION", "RTT", "SEEN", "TAP", "VERSION", "REFUSED", "DROPPED"}
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for i := range m.Peers {
		p := &m.Peers[i]
		name := clean(p.Name)
		if p.Self {
			name += "*"
		}
		apis, sides := apiColumns(p)
		rtt, seen := "–", "now"
		if p.RTT > 0 {
			rtt = fmt.Sprintf("%.1f ms", p.RTT)
		}
		if ago := time.Since(p.Seen); !p.Self && ago >= 2*time.Second {
			seen = ago.Round(time.Second).String() + " ago"
		}
		if p.State == api.Suspect {
			seen += " (suspect)"
		}
		row := []string{name, orDash(p.Address), apis, sides, rtt, seen}
		if wide {
			row = []string{name, orDash(clip(p.ID, 9)), orDash(p.Address), apis, sides, p.Protection, rtt, seen, p.Tap, orDash(clean(p.Version)),
				fmt.Sprint(p.Refused), fmt.Sprint(p.Dropped)}
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(m.Peers) == 1 {
		a.note("nobody else is in the mesh %q; see `peerctl doctor`", m.Mesh)
	}
	if s.own != nil && wide {
		a.note("no peer of this machine is running: the counters are those of the last second")
	}
	return nil
}

func apiColumns(p *peer.Status) (apis, sides string) {
	var names, roles []string
	for _, name := range sortedKeys(p.APIs) {
		b := p.APIs[name]
		if name == "*" {
			names, roles = append(names, "*"), append(roles, "hears all")
			continue
		}
		if name == "" {
			name = `""`
		}
		names, roles = append(names, clean(name+" "+b.Version)), append(roles, clean(b.Side))
	}
	return orDash(strings.Join(names, ", ")), orDash(strings.Join(roles, ", "))
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
