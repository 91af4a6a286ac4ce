package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/spf13/cobra"

	"peermesh/api"
	"peermesh/peer"
)

func (a *app) describeCommand() *cobra.Command {
	var invert bool
	cmd := &cobra.Command{
		Use:   "describe PEER|API|METHOD",
		Short: "Show what a peer, an API or a method takes and returns",
		Long: `describe shows an API as the side sees it that serves it: → comes in, ← goes out. --invert shows the other side.
-o json is the OpenRPC document, -o markdown a page.`,
		Example:           "  peerctl describe lab.camera\n  peerctl describe cam1 -o json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeDescribe,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.describe(cmd.Context(), args[0], invert)
		},
	}
	cmd.Flags().BoolVar(&invert, "invert", false, "show the other side")
	return cmd
}

// described is what describe has found.
type described struct {
	doc          api.Document
	served, used []string
}

func (a *app) describe(ctx context.Context, what string, invert bool) error {
	shape, err := newShaper(a.flags.jq)
	if err != nil {
		return err
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	d, err := s.describe(ctx, what)
	if err != nil {
		return err
	}
	if invert {
		d.doc = d.doc.Invert()
		d.served, d.used = d.used, d.served
	}
	switch {
	case a.flags.output == "json" || a.flags.output == "yaml" || a.flags.jq != "":
		raw, err := json.Marshal(d.doc)
		if err != nil {
			return err
		}
		return a.printShaped(shape, raw)
	case a.flags.output == "markdown":
		_, err = fmt.Fprint(a.out, markdown(d))
	default:
		_, err = fmt.Fprint(a.out, plain(d))
	}
	return err
}

// describe finds a peer of that name, else an API, else a method.
func (s *session) describe(ctx context.Context, what string) (*described, error) {
	var found *described
	m, err := s.await(ctx, func(m *peer.MeshStatus) bool {
		found = s.lookUp(ctx, m, what)
		return found != nil
	})
	if err != nil || found != nil {
		return found, err
	}
	names := peerNames(m)
	for _, p := range m.Peers {
		names = append(names, sortedKeys(p.APIs)...)
	}
	return nil, notFound("there is no peer, API or method %s in the mesh %q%s", what, m.Mesh, didYouMean(what, names))
}

func (s *session) lookUp(ctx context.Context, m *peer.MeshStatus, what string) *described {
	if p := lookupPeer(m, what); p != nil && len(p.APIs) > 0 {
		if d, err := s.document(ctx, p); err == nil {
			return &described{doc: d, served: []string{p.Name}}
		}
		return nil
	}
	var out *described
	for i := range m.Peers {
		p := &m.Peers[i]
		name := what
		if _, binds := p.APIs[what]; !binds {
			name = apiOf(what)
		}
		info, binds := p.APIs[name]
		if !binds {
			continue
		}
		d, err := s.document(ctx, p)
		if err != nil {
			continue
		}
		d = ofAPI(d, name)
		if name != what {
			if dm, _ := d.Find(what); dm == nil {
				continue
			}
			d = only(d, func(n string) bool { return n == what })
		}
		if d.Inverted { // the near side is the one that was written down
			d = d.Invert()
		}
		if out == nil {
			out = &described{doc: d}
		}
		if info.Side == d.Side {
			out.served = append(out.served, p.Name)
		} else {
			out.used = append(out.used, p.Name)
		}
	}
	return out
}

// ofAPI makes of a peer's document that of one API.
func ofAPI(d api.Document, name string) api.Document {
	info := d.APIs[name]
	d = only(d, func(n string) bool { return apiOf(n) == name })
	if d.Side != "" && d.Side != info.Side {
		d.Other = ""
	}
	d.Info = api.DocumentInfo{Title: name, Version: info.Version, Description: info.Description}
	d.Side, d.Inverted, d.APIs = info.Side, info.Inverted, nil
	return d
}

// only keeps the methods that keep holds for.
func only(d api.Document, keep func(string) bool) api.Document {
	drop := func(m api.DocumentMethod) bool { return !keep(m.Name) }
	d.Methods = slices.DeleteFunc(slices.Clone(d.Methods), drop)
	d.Outgoing = slices.DeleteFunc(slices.Clone(d.Outgoing), drop)
	return d
}

// plain shows a document for people: of a peer with several APIs, one after the other.
func plain(d *described) string {
	if len(d.doc.APIs) > 0 {
		var parts []string
		for _, name := range sortedKeys(d.doc.APIs) {
			parts = append(parts, plain(&described{doc: ofAPI(d.doc, name), served: d.served}))
		}
		return strings.Join(parts, "\n")
	}
	var b strings.Builder
	head := clean(strings.TrimSpace(d.doc.Info.Title + " " + d.doc.Info.Version))
	if d.doc.Info.Description != "" {
		head += " – " + clean(d.doc.Info.Description)
	}
	if len(d.served) > 0 {
		head += "       served by " + strings.Join(d.served, ", ")
	}
	if len(d.used) > 0 {
		head += "     used by " + strings.Join(d.used, ", ")
	}
	b.WriteString(head + "\n")
	type row struct{ arrow, signature, doc, note string }
	var rows []row
	width := 0
	add := func(arrow string, list []api.DocumentMethod) {
		for i := range list {
			m := &list[i]
			r := row{arrow: arrow, signature: signature(d.doc, m), doc: clean(m.Description)}
			if m.Result == nil {
				r.note = "notification"
			}
			if m.Role != "" {
				r.note = strings.TrimSpace(r.note + " for " + m.Role)
			}
			width = max(width, len([]rune(r.signature)))
			rows = append(rows, r)
		}
	}
	add("→", d.doc.Methods)
	add("←", d.doc.Outgoing)
	for _, r := range rows {
		line := fmt.Sprintf("  %s %s   %s", r.arrow, pad(r.signature, min(width, 60)), r.doc)
		if r.note != "" {
			line += "   [" + r.note + "]"
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// signature shows a method in one line: name(param type range = default) → result.
func signature(d api.Document, m *api.DocumentMethod) string {
	name := m.Name
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[i+1:]
	}
	var params []string
	for _, p := range m.Params {
		s := new(jsonschema.Schema)
		_ = json.Unmarshal(p.Schema, s) // Parse has seen it
		params = append(params, clean(p.Name)+" "+typeText(s))
	}
	if m.ParamsSchema != nil {
		s := new(jsonschema.Schema)
		_ = json.Unmarshal(m.ParamsSchema, s) // likewise
		params = append(params, typeText(s))
	}
	text := clean(name) + "(" + strings.Join(params, ", ") + ")"
	if m.Result != nil {
		result := m.Result.Name
		if result == "result" || result == "" {
			s := new(jsonschema.Schema)
			_ = json.Unmarshal(m.Result.Schema, s) // likewise
			result = typeText(s)
		}
		if result != "null" {
			text += " → " + clean(result)
		}
	}
	return text
}

func typeText(s *jsonschema.Schema) string {
	t := s.Type
	if t == "" {
		t = strings.Join(s.Types, "|")
	}
	switch {
	case s.Ref != "":
		t = s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case t == "array" && s.Items != nil:
		t = "[" + typeText(s.Items) + "]"
	case t == "":
		t = "any"
	case s.ContentEncoding == "base64":
		t = "base64"
	}
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprint(v))
		}
		t = strings.Join(values, "|")
	}
	if s.Minimum != nil || s.Maximum != nil {
		low, high := "", ""
		if s.Minimum != nil {
			low = fmt.Sprint(*s.Minimum)
		}
		if s.Maximum != nil {
			high = fmt.Sprint(*s.Maximum)
		}
		t += " " + low + ".." + high
	}
	if s.Default != nil {
		t += " = " + string(s.Default)
	}
	return clean(t)
}

func markdown(d *described) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s %s\n\n%s\n", d.doc.Info.Title, d.doc.Info.Version, d.doc.Info.Description)
	section := func(title string, list []api.DocumentMethod) {
		if len(list) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n## %s\n", title)
		for i := range list {
			m := &list[i]
			kind := "call"
			if m.Result == nil {
				kind = "notification"
			}
			fmt.Fprintf(&b, "\n### `%s`\n\n%s (%s)\n\n`%s`\n", m.Name, m.Description, kind, signature(d.doc, m))
			for _, p := range m.Params {
				if p.Description != "" {
					fmt.Fprintf(&b, "\n- `%s`: %s", p.Name, p.Description)
				}
			}
			for _, e := range m.Examples {
				params := map[string]json.RawMessage{}
				for _, v := range e.Params {
					params[v.Name] = v.Value
				}
				raw, _ := json.Marshal(params) // raw values marshal
				fmt.Fprintf(&b, "\n\n```json\n%s", raw)
				if e.Result != nil {
					fmt.Fprintf(&b, "\n%s", e.Result.Value)
				}
				b.WriteString("\n```\n")
			}
		}
	}
	section("Incoming", d.doc.Methods)
	section("Outgoing", d.doc.Outgoing)
	return b.String()
}
