package api

import (
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// Document is an OpenRPC 1.3.2 document of one side of an API: what the side handles under Methods, what it sends under
// Outgoing ("x-outgoing"). It marshals to JSON and is read back by Parse, which is the inverse.
type Document struct {
	OpenRPC    string              `json:"openrpc"`
	Info       DocumentInfo        `json:"info"`
	Side       string              `json:"x-side,omitempty"`     // the role of this side, in lower case
	Other      string              `json:"x-other,omitempty"`    // the role of the other side
	Inverted   bool                `json:"x-inverted,omitempty"` // whether this is the far side of the definition
	Methods    []DocumentMethod    `json:"methods"`
	Outgoing   []DocumentMethod    `json:"x-outgoing,omitempty"`
	APIs       map[string]APIInfo  `json:"x-apis,omitempty"` // of a peer's whole document: what it binds
	Components *DocumentComponents `json:"components,omitempty"`
}

// DocumentInfo names the API.
type DocumentInfo struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description,omitempty"`
}

// DocumentComponents holds the schemas that are referred to from several places.
type DocumentComponents struct {
	Schemas map[string]stdjson.RawMessage `json:"schemas,omitempty"`
}

// DocumentMethod describes a method by its name on the wire. A notification has no Result.
type DocumentMethod struct {
	Name           string               `json:"name"`
	Description    string               `json:"description,omitempty"`
	ParamStructure string               `json:"paramStructure,omitempty"` // by-name, by-position or either
	Params         []DocumentDescriptor `json:"params"`
	ParamsSchema   stdjson.RawMessage   `json:"x-params,omitempty"` // of params that are not a struct
	Result         *DocumentDescriptor  `json:"result,omitempty"`
	Role           string               `json:"x-role,omitempty"` // who may call it at least; absent: member
	Idempotent     bool                 `json:"x-idempotent,omitempty"`
	TimeoutMS      int64                `json:"x-timeout-ms,omitempty"`
	Examples       []DocumentExample    `json:"examples,omitempty"`
}

// DocumentDescriptor describes one parameter, or the result.
type DocumentDescriptor struct {
	Name        string             `json:"name"`
	Description string             `json:"description,omitempty"`
	Required    bool               `json:"required,omitempty"`
	Schema      stdjson.RawMessage `json:"schema"`
}

// DocumentExample pairs params with a result.
type DocumentExample struct {
	Name   string          `json:"name"`
	Params []DocumentValue `json:"params"`
	Result *DocumentValue  `json:"result,omitempty"`
}

// DocumentValue is a value in an example.
type DocumentValue struct {
	Name  string             `json:"name"`
	Value stdjson.RawMessage `json:"value"`
}

// OpenRPCVersion is the version of the documents that are written.
const OpenRPCVersion = "1.3.2"

// Parse reads an OpenRPC document of any 1.x version. A document without x-outgoing describes a side that sends
// nothing. The error names the member that is wrong; a name that stands twice, and one that JSON-RPC reserves, are
// errors too.
func Parse(data []byte) (Document, error) {
	var d Document
	if err := json.Unmarshal(data, &d); err != nil {
		return Document{}, fmt.Errorf("api: OpenRPC document: %w", err)
	}
	if !strings.HasPrefix(d.OpenRPC, "1.") {
		return Document{}, fmt.Errorf("api: OpenRPC document: member openrpc is %q, want 1.x", d.OpenRPC)
	}
	if d.Methods == nil {
		return Document{}, fmt.Errorf("api: OpenRPC document: member methods is absent")
	}
	seen := map[string]int{}
	for list, methods := range [][]DocumentMethod{d.Methods, d.Outgoing} {
		for _, m := range methods {
			switch {
			case m.Name == "" || strings.HasPrefix(m.Name, "rpc.") || strings.HasPrefix(m.Name, "$/"):
				return Document{}, fmt.Errorf("api: OpenRPC document: a method may not be called %q", m.Name)
			case seen[m.Name] == list+1 || seen[m.Name] != 0 && d.Side != d.Other:
				return Document{}, fmt.Errorf("api: OpenRPC document: method %s stands twice", m.Name)
			}
			seen[m.Name] = list + 1
			if s, err := d.paramsOf(&m); err != nil {
				return Document{}, fmt.Errorf("api: OpenRPC document: params of %s: %w", m.Name, err)
			} else if _, err := s.Resolve(nil); err != nil {
				return Document{}, fmt.Errorf("api: OpenRPC document: params of %s: %w", m.Name, err)
			}
		}
	}
	return d, nil
}

// Invert returns the document of the other side: methods and x-outgoing change places.
func (d Document) Invert() Document {
	if d.Side == d.Other && d.Side != "" {
		return d // a mesh of equals
	}
	d.Methods, d.Outgoing = d.Outgoing, d.Methods
	if d.Methods == nil {
		d.Methods = []DocumentMethod{}
	}
	if len(d.Outgoing) == 0 {
		d.Outgoing = nil
	}
	d.Side, d.Other = d.Other, d.Side
	d.Inverted = !d.Inverted
	return d
}

// Hash returns the first 16 hex digits of the SHA-256 of the near side's document in RFC 8785 form without docs and
// examples. Both sides of one definition have the same; a difference means that the programs were built from
// different definitions.
func (d Document) Hash() string {
	if d.Inverted {
		d = d.Invert()
	}
	strip := func(methods []DocumentMethod) []DocumentMethod {
		out := slices.Clone(methods)
		for i := range out {
			m := &out[i]
			m.Description, m.Examples = "", nil
			m.ParamsSchema = bareSchema(m.ParamsSchema)
			m.Params = slices.Clone(m.Params)
			for j := range m.Params {
				m.Params[j].Description = ""
				m.Params[j].Schema = bareSchema(m.Params[j].Schema)
			}
			if m.Result != nil {
				m.Result = &DocumentDescriptor{Name: m.Result.Name, Schema: bareSchema(m.Result.Schema)}
			}
		}
		return out
	}
	d.Info.Description = ""
	d.APIs = nil
	d.Methods, d.Outgoing = strip(d.Methods), strip(d.Outgoing)
	if d.Components != nil {
		c := DocumentComponents{Schemas: map[string]stdjson.RawMessage{}}
		for name, s := range d.Components.Schemas {
			c.Schemas[name] = bareSchema(s)
		}
		d.Components = &c
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return ""
	}
	v := jsontext.Value(raw)
	if err := v.Canonicalize(); err != nil {
		return ""
	}
	sum := sha256.Sum256(v)
	return hex.EncodeToString(sum[:8])
}

// Find returns the method of that name on the wire and whether this side handles it; nil when the document has none.
func (d Document) Find(wire string) (m *DocumentMethod, incoming bool) {
	for i := range d.Methods {
		if d.Methods[i].Name == wire {
			return &d.Methods[i], true
		}
	}
	for i := range d.Outgoing {
		if d.Outgoing[i].Name == wire {
			return &d.Outgoing[i], false
		}
	}
	return nil, false
}

// Merge adds the methods of another API's document to d, which then describes a peer rather than an API. Components
// of the same name that differ are kept apart by the API's name.
func (d *Document) Merge(o Document) {
	rename := map[string]string{}
	if o.Components != nil {
		for _, name := range slices.Sorted(maps.Keys(o.Components.Schemas)) {
			if d.Components == nil {
				d.Components = &DocumentComponents{Schemas: map[string]stdjson.RawMessage{}}
			}
			as := name
			if have, ok := d.Components.Schemas[name]; ok && string(have) != string(o.Components.Schemas[name]) {
				as = o.Info.Title + "." + name
				rename[refInDocument+name+`"`] = refInDocument + as + `"`
			}
			d.Components.Schemas[as] = o.Components.Schemas[name]
		}
	}
	d.Methods = append(d.Methods, o.renamed(o.Methods, rename)...)
	d.Outgoing = append(d.Outgoing, o.renamed(o.Outgoing, rename)...)
	for from, to := range rename {
		name := strings.Trim(strings.TrimPrefix(to, refInDocument), `"`)
		d.Components.Schemas[name] = stdjson.RawMessage(strings.ReplaceAll(string(d.Components.Schemas[name]), from, to))
	}
}

// renamed returns copies of methods with other names for the components.
func (Document) renamed(methods []DocumentMethod, rename map[string]string) []DocumentMethod {
	if len(rename) == 0 {
		return methods
	}
	refs := func(raw stdjson.RawMessage) stdjson.RawMessage {
		if raw == nil {
			return nil
		}
		for from, to := range rename {
			raw = stdjson.RawMessage(strings.ReplaceAll(string(raw), from, to))
		}
		return raw
	}
	out := slices.Clone(methods)
	for i := range out {
		m := &out[i]
		m.ParamsSchema = refs(m.ParamsSchema)
		m.Params = slices.Clone(m.Params)
		for j := range m.Params {
			m.Params[j].Schema = refs(m.Params[j].Schema)
		}
		if m.Result != nil {
			r := *m.Result
			r.Schema = refs(r.Schema)
			m.Result = &r
		}
	}
	return out
}

// ParamsOf returns the schema of the params of a method of this document as one object (or array), with all that it
// refers to.
func (d Document) ParamsOf(m *DocumentMethod) (*jsonschema.Schema, error) { return d.paramsOf(m) }

// ResultOf returns the schema of the result of a call of this document; nil for a notification.
func (d Document) ResultOf(m *DocumentMethod) (*jsonschema.Schema, error) {
	if m.Result == nil {
		return nil, nil
	}
	return d.readSchema(m.Result.Schema)
}

func (d Document) paramsOf(m *DocumentMethod) (*jsonschema.Schema, error) {
	if m.ParamsSchema != nil {
		return d.readSchema(m.ParamsSchema)
	}
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}}
	for _, p := range m.Params {
		f, err := d.readSchema(p.Schema)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		if f.Defs != nil {
			s.Defs, f.Defs = f.Defs, nil
		}
		s.Properties[p.Name] = f
		s.PropertyOrder = append(s.PropertyOrder, p.Name)
		if p.Required {
			s.Required = append(s.Required, p.Name)
		}
	}
	return s, nil
}

const (
	refInDocument = `"#/components/schemas/`
	refInSchema   = `"#/$defs/`
)

// readSchema parses a schema and gives it the components it may refer to under $defs.
func (d Document) readSchema(raw stdjson.RawMessage) (*jsonschema.Schema, error) {
	s, err := parseSchema(raw)
	if err != nil || d.Components == nil {
		return s, err
	}
	for name, c := range d.Components.Schemas {
		sub, err := parseSchema(c)
		if err != nil {
			return nil, fmt.Errorf("components/schemas/%s: %w", name, err)
		}
		if s.Defs == nil {
			s.Defs = map[string]*jsonschema.Schema{}
		}
		s.Defs[name] = sub
	}
	return s, nil
}

func parseSchema(raw stdjson.RawMessage) (*jsonschema.Schema, error) {
	if len(raw) == 0 {
		return &jsonschema.Schema{}, nil
	}
	text := strings.ReplaceAll(string(raw), refInDocument, refInSchema)
	s := new(jsonschema.Schema)
	if err := stdjson.Unmarshal([]byte(text), s); err != nil {
		return nil, err
	}
	return s, nil
}

// bareSchema drops what documents and does not constrain.
func bareSchema(raw stdjson.RawMessage) stdjson.RawMessage {
	if raw == nil {
		return nil
	}
	s := new(jsonschema.Schema)
	if stdjson.Unmarshal(raw, s) != nil {
		return raw
	}
	stripDocs(s)
	out, err := stdjson.Marshal(s)
	if err != nil {
		return raw
	}
	return out
}

func stripDocs(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	s.Title, s.Description, s.Comment, s.Examples = "", "", "", nil
	for _, sub := range s.Properties {
		stripDocs(sub)
	}
	for _, sub := range s.Defs {
		stripDocs(sub)
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		for _, sub := range list {
			stripDocs(sub)
		}
	}
	stripDocs(s.Items)
	stripDocs(s.AdditionalProperties)
}

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
		TimeoutMS: int64(m.Timeout / time.Millisecond), ParamStructure: "by-name", Params: []DocumentDescriptor{}}
	if m.Positional {
		dm.ParamStructure = "either"
	}
	s := m.Params.Schema
	switch {
	case m.none:
	case m.Params.fields != nil || s.Type == "object" && s.AdditionalProperties == nil:
		for _, name := range m.Params.fields {
			p := s.Properties[name]
			dm.Params = append(dm.Params, DocumentDescriptor{Name: name, Description: p.Description,
				Required: slices.Contains(s.Required, name), Schema: d.writeSchema(p, s.Defs)})
		}
	default:
		if s.Type == "array" {
			dm.ParamStructure = "by-position"
		}
		dm.ParamsSchema = d.writeSchema(s, s.Defs)
	}
	if m.IsCall {
		name := m.Result.Name
		if name == "" || name == "None" {
			name = "result"
		}
		dm.Result = &DocumentDescriptor{Name: name, Schema: d.writeSchema(m.Result.Schema, m.Result.Schema.Defs)}
	}
	for i, e := range m.Examples {
		dm.Examples = append(dm.Examples, exampleOf(m, i, e))
	}
	return dm
}

func exampleOf(m *Method, i int, e ExampleOf) DocumentExample {
	out := DocumentExample{Name: fmt.Sprintf("example %d", i+1), Params: []DocumentValue{}}
	if m.Params.fields != nil {
		var members map[string]stdjson.RawMessage
		_ = stdjson.Unmarshal(e.Params, &members) // it was marshalled from the struct
		for _, name := range m.Params.fields {
			if v, ok := members[name]; ok {
				out.Params = append(out.Params, DocumentValue{Name: name, Value: v})
			}
		}
	} else if e.Params != nil {
		out.Params = append(out.Params, DocumentValue{Name: "params", Value: e.Params})
	}
	if e.Result != nil {
		out.Result = &DocumentValue{Name: "result", Value: e.Result}
	}
	return out
}

// writeSchema renders a schema for the document; what it refers to goes into the components.
func (d *Document) writeSchema(s *jsonschema.Schema, defs map[string]*jsonschema.Schema) stdjson.RawMessage {
	for name, def := range defs {
		if d.Components == nil {
			d.Components = &DocumentComponents{Schemas: map[string]stdjson.RawMessage{}}
		}
		d.Components.Schemas[name] = renderSchema(def)
	}
	return renderSchema(s)
}

func renderSchema(s *jsonschema.Schema) stdjson.RawMessage {
	bare := *s
	bare.Defs = nil
	raw, err := stdjson.Marshal(&bare)
	if err != nil {
		return stdjson.RawMessage("true")
	}
	return stdjson.RawMessage(strings.ReplaceAll(string(raw), refInSchema, refInDocument))
}
