package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peermesh/peer"
)

func (a *app) callCommand() *cobra.Command {
	var to, except []string
	var all, anyone bool
	cmd := &cobra.Command{
		Use:   "call METHOD [name=value…]",
		Short: "Call a method and print the result",
		Long: `call prints the result of one peer's method as JSON. Where several peers serve the method, say --to, --any or --all.

Params: name=value (typed by the method's schema), name:=JSON, name=@file, name:=@file, or - for JSON on stdin.`,
		Example: `  peerctl call lab.camera.snap exposure_ms=20 --to cam1 --jq '{width,height}'
  peerctl call lab.camera.snap --all -o json`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeMethod,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), args[0], args[1:], splitNames(to), splitNames(except), all, anyone)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&to, "to", nil, "peer to call, by name or id (repeatable, or a list: a,b)")
	f.StringArrayVar(&except, "except", nil, "with --all: not these")
	f.BoolVar(&all, "all", false, "call every peer that serves the method")
	f.BoolVar(&anyone, "any", false, "call one of them, whichever")
	cmd.MarkFlagsMutuallyExclusive("to", "all", "any")
	a.completePeers(cmd, "to", "except")
	return cmd
}

func (a *app) call(ctx context.Context, method string, args, to, except []string, all, anyone bool) error {
	shape, err := newShaper(a.flags.jq)
	if err != nil {
		return err
	}
	s, err := a.connect(ctx, method)
	if err != nil {
		return err
	}
	defer s.close()
	found, m, err := s.find(ctx, method, to)
	if err != nil {
		return err
	}
	receivers, err := chooseCallees(m, found, method, to, except, all, anyone)
	if err != nil {
		return err
	}
	var params json.RawMessage
	if len(found) > 0 {
		schema, err := found[0].doc.ParamsOf(found[0].method)
		if err != nil {
			return err
		}
		if params, err = a.readParams(args, schema); err != nil {
			return err
		}
		if err := validate(found[0].doc, found[0].method, params); err != nil {
			return err
		}
	} else if params, err = a.readParams(args, nil); err != nil {
		return err
	}
	single := len(receivers) == 1 && !all
	failed := 0
	var last error
	err = s.ctl.Call(ctx, peer.CallRequest{Method: method, Params: params, To: receivers, Timeout: a.flags.timeout.Milliseconds()}, func(r *peer.CallResult) {
		if r.Error != nil {
			failed++
			last = asError(r.Error, r.Peer, method)
		}
		if single {
			if r.Error == nil {
				last = a.printResult(shape, r)
			}
			return
		}
		if err := a.printOutcome(shape, r); err != nil && last == nil {
			last, failed = err, failed+1
		}
	})
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case single, failed == len(receivers) && failed == 1:
		return last
	case failed > 0:
		return &exitError{code: exitPartly, err: fmt.Errorf("%d of %d peers failed or were silent", failed, len(receivers))}
	}
	return nil
}

// chooseCallees decides whom to call.
func chooseCallees(m *peer.MeshStatus, found []provider, method string, to, except []string, all, anyone bool) ([]string, error) {
	if len(to) > 0 {
		for _, name := range to {
			p := lookupPeer(m, name)
			if p == nil {
				return nil, notFound("there is no peer %s in the mesh %q%s", name, m.Mesh, didYouMean(name, peerNames(m)))
			}
			if p.Self {
				return nil, usageError("%s is the peer that this command speaks through; it does not call itself", name)
			}
		}
		return to, nil
	}
	var ids, names []string
	for _, p := range found {
		if !slices.Contains(except, p.peer.Name) && !slices.Contains(except, p.peer.ID) {
			ids = append(ids, address(&p.peer))
			names = append(names, p.peer.Name)
		}
	}
	switch {
	case len(ids) == 0:
		return nil, notFound("nobody is left to call %s on", method)
	case all:
		return ids, nil
	case anyone || len(ids) == 1:
		return ids[:1], nil
	}
	return nil, usageError("%d peers serve %s: %s; say --to %s, --any or --all", len(ids), method, strings.Join(names, ", "), names[0])
}

// address is what a peer is addressed by: its id, or the name of one that has none.
func address(p *peer.Status) string {
	if p.ID != "" {
		return p.ID
	}
	return p.Name
}

// printResult prints the result of the only call.
func (a *app) printResult(shape *shaper, r *peer.CallResult) error {
	if err := a.printShaped(shape, r.Result); err != nil {
		return err
	}
	if isTerminal(a.err) {
		handler := ""
		if r.HandlerMS > 0 {
			handler = fmt.Sprintf(" (handler %.1f)", r.HandlerMS)
		}
		a.note("%s answered in %.1f ms%s", r.Peer, r.MS, handler)
	}
	return nil
}

// printOutcome prints one of several outcomes on a line.
func (a *app) printOutcome(shape *shaper, r *peer.CallResult) error {
	if a.flags.output == "json" || a.flags.jq != "" {
		raw, err := json.Marshal(r)
		if err != nil {
			return err
		}
		return a.printShaped(shape, raw)
	}
	text := compactValue(r.Result, 0)
	if r.Error != nil {
		text = "✗ " + clean(r.Error.Message)
		if r.Error.Code != 0 {
			text += fmt.Sprintf(" (code %d)", r.Error.Code)
		}
	}
	_, err := fmt.Fprintf(a.out, "%-12s %8.1f ms  %s\n", clean(r.Peer), r.MS, text)
	return err
}

// printShaped prints a JSON value through --jq, as JSON on one line or as YAML.
func (a *app) printShaped(shape *shaper, raw json.RawMessage) error {
	values, err := shape.apply(raw)
	if err != nil {
		return err
	}
	for _, v := range values {
		if a.flags.output == "yaml" {
			if v, err = toYAML(v); err != nil {
				return err
			}
			if _, err := a.out.Write(v); err != nil {
				return err
			}
			continue
		}
		if _, err := io.WriteString(a.out, string(v)+"\n"); err != nil {
			return err
		}
	}
	return nil
}
