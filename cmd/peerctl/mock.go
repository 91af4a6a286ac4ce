package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/spf13/cobra"

	"peermesh/api"
	"peermesh/peer"
)

func (a *app) mockCommand() *cobra.Command {
	var host hostFlags
	var delay time.Duration
	cmd := &cobra.Command{
		Use:   "mock OPENRPC-FILE",
		Short: "Answer an API's methods from the examples in its document, then from its schema",
		Long: `mock is a peer that serves an API from its OpenRPC document: a call is answered with the result of the first example
of the method, else with a value made from the result's schema. Params are held against the schema.`,
		Example: "  peerctl describe lab.camera -o json > camera.openrpc.json\n  peerctl mock camera.openrpc.json --name cam-sim",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := host.config(a)
			if err != nil {
				return err
			}
			return a.mock(cmd.Context(), cfg, args[0], delay)
		},
	}
	cmd.Flags().DurationVar(&delay, "delay", 0, "wait this long before each answer")
	host.add(a, cmd)
	return cmd
}

func (a *app) mock(ctx context.Context, cfg peer.Config, path string, delay time.Duration) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return usageError("%w", err)
	}
	doc, err := api.Parse(text)
	if err != nil {
		return usageError("%s: %w", path, err)
	}
	b, err := api.Serve(doc, 0, func(ctx context.Context, m *api.DocumentMethod, _ json.RawMessage) (json.RawMessage, error) {
		if delay > 0 {
			select {
			case <-time.After(delay):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		for _, e := range m.Examples {
			if e.Result != nil {
				return e.Result.Value, nil
			}
		}
		s, err := doc.ResultOf(m)
		if err != nil || s == nil {
			return nil, err
		}
		return json.Marshal(sample(s, s.Defs, 0))
	})
	if err != nil {
		return usageError("%s: %w", path, err)
	}
	return a.host(ctx, cfg, func(p *peer.Peer) error { return p.Bind(b) })
}

// sample makes a value that fits a schema.
func sample(s *jsonschema.Schema, defs map[string]*jsonschema.Schema, depth int) any {
	if s == nil || depth > 8 {
		return nil
	}
	if name, ok := cutRef(s.Ref); ok {
		return sample(defs[name], defs, depth+1)
	}
	switch {
	case s.Default != nil:
		return s.Default
	case s.Const != nil:
		return *s.Const
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.Examples) > 0:
		return s.Examples[0]
	}
	t := s.Type
	if t == "" && len(s.Types) > 0 {
		t = s.Types[0]
	}
	switch t {
	case "object":
		out := map[string]any{}
		for _, name := range s.Required {
			out[name] = sample(s.Properties[name], defs, depth+1)
		}
		return out
	case "array":
		out := []any{}
		if s.MinItems != nil {
			for range *s.MinItems {
				out = append(out, sample(s.Items, defs, depth+1))
			}
		}
		return out
	case "integer", "number":
		v := 0.0
		if s.Minimum != nil {
			v = *s.Minimum
		}
		if s.Maximum != nil && v > *s.Maximum {
			v = *s.Maximum
		}
		return v
	case "string":
		text := ""
		if s.MinLength != nil {
			for range *s.MinLength {
				text += "x"
			}
		}
		return text
	case "boolean":
		return false
	}
	return nil
}

func cutRef(ref string) (string, bool) {
	const prefix = "#/$defs/"
	if len(ref) > len(prefix) && ref[:len(prefix)] == prefix {
		return ref[len(prefix):], true
	}
	return "", false
}
