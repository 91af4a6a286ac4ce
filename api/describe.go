package api

import (
	stdjson "encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// describe makes the document of one side. The definition is frozen or being frozen.
func (d *definition) describe(inverted bool) Document {
	doc := Document{OpenRPC: OpenRPCVersion, Info: DocumentInfo{Title: d.name, Version: d.version, Description: d.doc},
		Inverted: inverted, Methods: []DocumentMethod{}}
	doc.Side, doc.Other = d.side(inverted)
	for _, m := range d.methods {
		dm := doc.method(m)
		if d.handles(m, inverted) {
			doc.Methods = append(doc.Methods, dm)
		}
		if d.symmetric || !d.handles(m, inverted) {
			doc.Outgoing = append(doc.Outgoing, dm)
		}
	}
	return doc
}

func (d *Document) method(m *Method) DocumentMethod {
	dm := DocumentMethod{Name: m.Wire, Description: m.Doc, Role: m.MinRole, Idempotent: m.Idempotent,
		TimeoutMS:      int64((m.Timeout + time.Millisecond - 1) / time.Millisecond),
		ParamStructure: "by-name", Params: []DocumentDescriptor{}}
	if m.Positional {
		dm.ParamStructure = "either"
	}
	d.define(m.params)
	s := m.params.schema
	switch {
	case m.params.typ == noneType:
	case m.params.fields != nil && s.AdditionalProperties == nil:
		for _, name := range m.params.fields {
			p := s.Properties[name]
			dm.Params = append(dm.Params, DocumentDescriptor{Name: name, Description: p.Description,
				Required: slices.Contains(s.Required, name), Schema: renderSchema(p)})
		}
	default:
		if s.Type == "array" {
			dm.ParamStructure = "by-position"
		}
		if m.params.typ == rawType {
			dm.ParamStructure = "either"
		}
		dm.ParamsSchema = renderSchema(s)
	}
	if m.IsCall {
		d.define(m.result)
		dm.Result = &DocumentDescriptor{Name: m.result.name, Schema: renderSchema(m.result.schema)}
		if m.result.name == "" || m.result.typ == noneType {
			dm.Result.Name = "result"
		}
	}
	for i, e := range m.examples {
		dm.Examples = append(dm.Examples, describeExample(m, i, e))
	}
	return dm
}

func describeExample(m *Method, i int, e example) DocumentExample {
	out := DocumentExample{Name: fmt.Sprintf("example %d", i+1), Params: []DocumentValue{}}
	if m.params.fields != nil && e.rawParams != nil {
		var members map[string]stdjson.RawMessage
		_ = stdjson.Unmarshal(e.rawParams, &members) // it was held against the struct
		for _, name := range m.params.fields {
			if v, ok := members[name]; ok {
				out.Params = append(out.Params, DocumentValue{Name: name, Value: v})
			}
		}
	} else if e.rawParams != nil {
		out.Params = append(out.Params, DocumentValue{Name: "params", Value: e.rawParams})
	}
	if e.hasResult {
		out.Result = &DocumentValue{Name: "result", Value: e.rawResult}
	}
	return out
}

// define puts what a body refers to among the components.
func (d *Document) define(b *body) {
	for name, def := range b.schema.Defs {
		if d.Components == nil {
			d.Components = &DocumentComponents{Schemas: map[string]stdjson.RawMessage{}}
		}
		d.Components.Schemas[name] = renderSchema(def)
	}
}

// renderSchema writes a schema for a document.
func renderSchema(s *jsonschema.Schema) stdjson.RawMessage {
	bare := *s
	bare.Defs = nil
	raw, err := stdjson.Marshal(&bare)
	if err != nil {
		panic("api: " + err.Error()) // the schema is our own
	}
	return rewriteRefs(raw, func(ref string) string {
		if name, ok := strings.CutPrefix(ref, refInSchema); ok {
			return refInDocument + name
		}
		return ref
	})
}
