package main

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/itchyny/gojq"
)

// shaper applies a jq expression; the zero expression leaves everything as it is, byte for byte.
type shaper struct{ code *gojq.Code }

func newShaper(expr string) (*shaper, error) {
	if expr == "" {
		return &shaper{}, nil
	}
	q, err := gojq.Parse(expr)
	if err != nil {
		return nil, usageError("--jq: %w", err)
	}
	code, err := gojq.Compile(q)
	if err != nil {
		return nil, usageError("--jq: %w", err)
	}
	return &shaper{code}, nil
}

// apply returns what the expression makes of a value, as compact JSON.
func (s *shaper) apply(raw json.RawMessage) ([]json.RawMessage, error) {
	if s.code == nil {
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			return nil, err
		}
		return []json.RawMessage{compact.Bytes()}, nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	var out []json.RawMessage
	for it := s.code.Run(v); ; {
		v, ok := it.Next()
		if !ok {
			return out, nil
		}
		if err, ok := v.(error); ok {
			var halt *gojq.HaltError
			if errors.As(err, &halt) && halt.Value() == nil {
				return out, nil
			}
			return nil, usageError("--jq: %w", err)
		}
		raw, err := gojq.Marshal(v)
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
}

func toYAML(raw json.RawMessage) ([]byte, error) { return yaml.JSONToYAML(raw) }
