package api

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// Where definitions stand, in a document and in a schema of its own.
const (
	refInDocument   = "#/components/schemas/"
	refInSchema     = "#/$defs/"
	refToDescriptor = "#/components/contentDescriptors/"
)

// ParamsOf returns the schema of the params of a method of this document as one object (or array), with all that it
// refers to under $defs. The schema is the caller's own.
func (d Document) ParamsOf(m *DocumentMethod) (*jsonschema.Schema, error) {
	if m.ParamsSchema != nil {
		return d.schema(m.ParamsSchema)
	}
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}}
	for i := range m.Params {
		p, err := d.descriptor(&m.Params[i])
		if err == nil && s.Properties[p.Name] != nil {
			err = fmt.Errorf("it stands twice")
		}
		var f *jsonschema.Schema
		if err == nil {
			f, err = parseSchema(p.Schema)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Params[i].Name, err)
		}
		s.Properties[p.Name] = f
		s.PropertyOrder = append(s.PropertyOrder, p.Name)
		if p.Required {
			s.Required = append(s.Required, p.Name)
		}
	}
	return s, d.complete(s)
}

// ResultOf returns the schema of the result of a call of this document, with all that it refers to under $defs; nil for
// a notification. The schema is the caller's own.
func (d Document) ResultOf(m *DocumentMethod) (*jsonschema.Schema, error) {
	if m.Result == nil {
		return nil, nil
	}
	r, err := d.descriptor(m.Result)
	if err != nil {
		return nil, err
	}
	return d.schema(r.Schema)
}

// descriptor follows the reference of p, if it is one.
func (d *Document) descriptor(p *DocumentDescriptor) (*DocumentDescriptor, error) {
	if p.Ref == "" {
		return p, nil
	}
	if name, ok := strings.CutPrefix(p.Ref, refToDescriptor); ok && d.Components != nil {
		if to, ok := d.Components.Descriptors[name]; ok && to.Ref == "" {
			return &to, nil
		}
	}
	return nil, fmt.Errorf("there is nothing at %q", p.Ref)
}

func (d *Document) schema(raw stdjson.RawMessage) (*jsonschema.Schema, error) {
	s, err := parseSchema(raw)
	if err != nil {
		return nil, err
	}
	return s, d.complete(s)
}

// complete puts all that s refers to under its $defs.
func (d *Document) complete(s *jsonschema.Schema) error {
	s.Defs = nil
	for todo := refsOf(s); len(todo) > 0; {
		name, rest := todo[0], todo[1:]
		todo = rest
		if s.Defs[name] != nil {
			continue
		}
		var raw stdjson.RawMessage
		if d.Components != nil {
			raw = d.Components.Schemas[name]
		}
		if raw == nil {
			return fmt.Errorf("there is no components/schemas/%s", name)
		}
		sub, err := parseSchema(raw)
		if err != nil {
			return fmt.Errorf("components/schemas/%s: %w", name, err)
		}
		if s.Defs == nil {
			s.Defs = map[string]*jsonschema.Schema{}
		}
		s.Defs[name] = sub
		todo = append(todo, refsOf(sub)...)
	}
	return nil
}

// refsOf lists the definitions that s refers to.
func refsOf(s *jsonschema.Schema) []string {
	names := map[string]bool{}
	eachSchema(s, func(sub *jsonschema.Schema, _ bool) {
		if name, ok := strings.CutPrefix(sub.Ref, refInSchema); ok {
			names[name] = true
		}
	})
	return slices.Sorted(maps.Keys(names))
}

// eachSchema calls f for s and all schemas in it. here tells whether a schema applies to the very value that s applies
// to, and not to a part of it.
func eachSchema(s *jsonschema.Schema, f func(sub *jsonschema.Schema, here bool)) {
	var walk func(s *jsonschema.Schema, here bool)
	one := func(s *jsonschema.Schema, here bool) {
		if s != nil {
			walk(s, here)
		}
	}
	walk = func(s *jsonschema.Schema, here bool) {
		f(s, here)
		for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, {s.Not, s.If, s.Then, s.Else}} {
			for _, sub := range list {
				one(sub, here)
			}
		}
		for _, group := range []map[string]*jsonschema.Schema{s.DependentSchemas, s.DependencySchemas} {
			for _, sub := range group {
				one(sub, here)
			}
		}
		for _, group := range []map[string]*jsonschema.Schema{s.Properties, s.PatternProperties, s.Defs, s.Definitions} {
			for _, sub := range group {
				one(sub, false)
			}
		}
		for _, list := range [][]*jsonschema.Schema{s.PrefixItems, s.ItemsArray, {s.Items, s.AdditionalItems, s.Contains,
			s.UnevaluatedItems, s.AdditionalProperties, s.PropertyNames, s.UnevaluatedProperties, s.ContentSchema}} {
			for _, sub := range list {
				one(sub, false)
			}
		}
	}
	walk(s, true)
}

// parseSchema reads a schema of a document, whose references then lead to $defs.
func parseSchema(raw stdjson.RawMessage) (*jsonschema.Schema, error) {
	s := new(jsonschema.Schema)
	if len(raw) == 0 {
		return s, nil
	}
	raw = rewriteRefs(raw, func(ref string) string {
		if name, ok := strings.CutPrefix(ref, refInDocument); ok {
			return refInSchema + name
		}
		return ref
	})
	if err := stdjson.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("no JSON Schema: %w", err)
	}
	return s, nil
}

// rewriteRefs changes the references of a JSON text, and nothing else of it but white space. A text that is no JSON
// stays as it is.
func rewriteRefs(raw stdjson.RawMessage, f func(string) string) stdjson.RawMessage {
	if !bytes.Contains(raw, []byte(`$ref"`)) {
		return raw
	}
	var out bytes.Buffer
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	enc := jsontext.NewEncoder(&out)
	for ref := false; ; {
		if dec.PeekKind() == '0' || dec.PeekKind() == '"' && !ref {
			v, err := dec.ReadValue() // numbers and strings stay as they are written
			if err != nil || enc.WriteValue(v) != nil {
				return raw
			}
			kind, n := dec.StackIndex(dec.StackDepth())
			ref = kind == '{' && n%2 == 1 && string(v) == `"$ref"`
			continue
		}
		t, err := dec.ReadToken()
		if err != nil {
			break
		}
		if ref && t.Kind() == '"' {
			t = jsontext.String(f(t.String()))
		}
		ref = false
		if enc.WriteToken(t) != nil {
			return raw
		}
	}
	if dec.StackDepth() != 0 {
		return raw
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
