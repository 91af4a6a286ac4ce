package api

import (
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// Hash returns the first 16 hex digits of the SHA-256 of the near side's document in RFC 8785 form without docs and
// examples. Both sides of one definition have the same; a difference means that the programs were built from
// different definitions. Descriptions, titles, comments, examples and Extra do not count; all else does.
func (d Document) Hash() string {
	if d.Inverted {
		d = d.Invert()
	}
	bare := Document{OpenRPC: d.OpenRPC, Info: DocumentInfo{Title: d.Info.Title, Version: d.Info.Version}, Side: d.Side, Other: d.Other,
		Methods: bareMethods(d.Methods), Outgoing: bareMethods(d.Outgoing)}
	if d.Components != nil {
		bare.Components = &DocumentComponents{Schemas: map[string]stdjson.RawMessage{}, Descriptors: map[string]DocumentDescriptor{}}
		for name, s := range d.Components.Schemas {
			bare.Components.Schemas[name] = bareSchema(s)
		}
		for name, p := range d.Components.Descriptors {
			bare.Components.Descriptors[name] = bareDescriptor(p)
		}
	}
	text, err := bare.MarshalJSON()
	v := jsontext.Value(text)
	if err != nil || v.Canonicalize() != nil {
		return "" // the document was put together by hand and is no JSON
	}
	sum := sha256.Sum256(v)
	return hex.EncodeToString(sum[:8])
}

func bareMethods(methods []DocumentMethod) []DocumentMethod {
	var out []DocumentMethod
	for _, m := range methods {
		m.Description, m.Examples, m.Extra = "", nil, nil
		m.ParamsSchema = bareSchema(m.ParamsSchema)
		m.Params = slices.Clone(m.Params)
		for i := range m.Params {
			m.Params[i] = bareDescriptor(m.Params[i])
		}
		if m.Result != nil {
			r := bareDescriptor(*m.Result)
			m.Result = &r
		}
		out = append(out, m)
	}
	return out
}

func bareDescriptor(p DocumentDescriptor) DocumentDescriptor {
	return DocumentDescriptor{Ref: p.Ref, Name: p.Name, Required: p.Required, Schema: bareSchema(p.Schema)}
}

// bareSchema drops what documents and does not constrain.
func bareSchema(raw stdjson.RawMessage) stdjson.RawMessage {
	if raw == nil {
		return nil
	}
	s, err := parseSchema(raw)
	if err != nil {
		return raw
	}
	eachSchema(s, func(sub *jsonschema.Schema, _ bool) {
		sub.Title, sub.Description, sub.Comment, sub.Examples = "", "", "", nil
	})
	out, err := stdjson.Marshal(s)
	if err != nil {
		return raw
	}
	return out
}
