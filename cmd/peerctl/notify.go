package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/spf13/cobra"

	"peermesh/peer"
)

func (a *app) notifyCommand() *cobra.Command {
	var to, except []string
	var eachLine bool
	cmd := &cobra.Command{
		Use:     "notify METHOD [name=value…]",
		Aliases: []string{"broadcast"},
		Short:   "Send a notification, by default to everyone who hears it",
		Long: `notify sends a notification and says who was sent it. Params are as for call. With --each-line and - each line of
stdin is the params of one notification: a JSON object, or any JSON value, which is sent as {"value": …}.`,
		Example: `  peerctl notify lab.camera.gain db=6
  sensor | peerctl notify lab.sensor.value - --each-line`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeMethod,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.notify(cmd.Context(), args[0], args[1:], splitNames(to), splitNames(except), eachLine)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&to, "to", nil, "only to these peers, by name or id (repeatable, or a list: a,b)")
	f.StringArrayVar(&except, "except", nil, "not to these")
	f.BoolVar(&eachLine, "each-line", false, "one notification for each line of stdin")
	cmd.MarkFlagsMutuallyExclusive("to", "except")
	a.completePeers(cmd, "to", "except")
	return cmd
}

// audience says who hears a notification and who does not.
type audience struct {
	ids, names, deaf []string
	schema           *jsonschema.Schema
	check            func(json.RawMessage) error
}

func (a *app) notify(ctx context.Context, method string, args, to, except []string, eachLine bool) error {
	if eachLine && (len(args) != 1 || args[0] != "-") {
		return usageError("--each-line reads stdin: say `peerctl notify %s - --each-line`", method)
	}
	s, err := a.connect(ctx, method)
	if err != nil {
		return err
	}
	defer s.close()
	who, err := s.audience(ctx, method, to, except)
	if err != nil {
		return err
	}
	if eachLine {
		return a.notifyLines(ctx, s, method, who, len(to) == 0)
	}
	params, err := a.readParams(args, who.schema)
	if err != nil {
		return err
	}
	if err := who.check(params); err != nil {
		return err
	}
	res, err := s.ctl.Notify(ctx, peer.NotifyRequest{Method: method, Params: params, To: who.ids, All: len(to) == 0})
	if err != nil {
		return err
	}
	return a.printNotified(who, res)
}

func (s *session) audience(ctx context.Context, method string, to, except []string) (*audience, error) {
	found, m, err := s.find(ctx, method, to)
	w := &audience{check: func(json.RawMessage) error { return nil }}
	if m == nil {
		return nil, err
	}
	if len(found) > 0 {
		p := found[0]
		if w.schema, err = p.doc.ParamsOf(p.method); err != nil {
			return nil, err
		}
		w.check = func(params json.RawMessage) error { return validate(p.doc, p.method, params) }
	}
	for _, name := range to {
		if lookupPeer(m, name) == nil {
			return nil, notFound("there is no peer %s in the mesh %q%s", name, m.Mesh, didYouMean(name, peerNames(m)))
		}
	}
	for i := range m.Peers {
		p := &m.Peers[i]
		_, hearsAll := p.APIs["*"]
		serves := slices.ContainsFunc(found, func(f provider) bool { return address(&f.peer) == address(p) })
		listed := slices.Contains(to, p.Name) || slices.Contains(to, p.ID)
		switch {
		case p.Self, len(to) > 0 && !listed, slices.Contains(except, p.Name), slices.Contains(except, p.ID):
		case serves || hearsAll || len(p.APIs) == 0 || listed:
			w.ids = append(w.ids, address(p))
			w.names = append(w.names, p.Name)
		default:
			w.deaf = append(w.deaf, p.Name)
		}
	}
	return w, nil
}

func (a *app) notifyLines(ctx context.Context, s *session, method string, who *audience, all bool) error {
	lines := bufio.NewScanner(a.in)
	lines.Buffer(make([]byte, 64<<10), maxInput)
	sent, refused := 0, 0
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if !json.Valid(line) {
			quoted, _ := json.Marshal(string(line)) // a string marshals
			line = quoted
		}
		params := json.RawMessage(bytes.Clone(line))
		if line[0] != '{' && line[0] != '[' {
			params = slices.Concat([]byte(`{"value":`), line, []byte("}"))
		}
		if err := who.check(params); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		res, err := s.ctl.Notify(ctx, peer.NotifyRequest{Method: method, Params: params, To: who.ids, All: all})
		if err != nil {
			return err
		}
		sent += len(res.Queued)
		refused += len(res.Refused)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if refused > 0 {
		return &exitError{code: exitPartly, err: fmt.Errorf("%d messages were sent, %d refused", sent, refused)}
	}
	return nil
}

func (a *app) printNotified(who *audience, res *peer.NotifyResult) error {
	if a.flags.output == "json" {
		raw, err := json.Marshal(res)
		if err != nil {
			return err
		}
		shape, err := newShaper(a.flags.jq)
		if err != nil {
			return err
		}
		if err := a.printShaped(shape, raw); err != nil {
			return err
		}
	} else if !a.flags.quiet {
		text := fmt.Sprintf("sent to %s that %s it", count(len(res.Queued), "peer"), verb(len(res.Queued), "hears", "hear"))
		if len(res.Queued) > 0 {
			text += " (" + clean(strings.Join(res.Queued, " ")) + ")"
		}
		if len(who.deaf) > 0 {
			text += fmt.Sprintf(", %d %s not (%s)", len(who.deaf), verb(len(who.deaf), "does", "do"), clean(strings.Join(who.deaf, " ")))
		}
		for _, r := range res.Refused {
			text += fmt.Sprintf("\n%s was not sent it: %s", clean(r.Peer), clean(r.Reason))
		}
		fmt.Fprintln(a.out, text)
	}
	switch {
	case len(res.Refused) == 0:
		return nil
	case len(res.Queued) == 0 && len(who.ids) == 1:
		return &exitError{code: exitFailure, err: fmt.Errorf("%s: %s", res.Refused[0].Peer, res.Refused[0].Reason), shown: a.flags.output != "json"}
	}
	return &exitError{code: exitPartly, err: fmt.Errorf("%d of %d peers were not sent it", len(res.Refused), len(who.ids))}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
