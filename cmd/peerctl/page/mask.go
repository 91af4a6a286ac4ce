package page

import (
	"encoding/json"
	"strings"

	"peermesh/api"
)

// mask says which parts of a value its schema calls writeOnly. A nil mask hides nothing.
type mask struct {
	hide    bool
	members map[string]*mask
	rest    *mask // of other members
	places  []*mask
	items   *mask
}

// methodMasks are the masks of a method's params and result.
type methodMasks struct{ params, result *mask }

func (m *mask) all() bool { return m != nil && m.hide }

func (m *mask) member(name string) *mask {
	if m == nil {
		return nil
	}
	if c, ok := m.members[name]; ok {
		return c
	}
	return m.rest
}

func (m *mask) item(i int) *mask {
	if m == nil {
		return nil
	}
	if i < len(m.places) {
		return m.places[i]
	}
	return m.items
}

// schemaPart is what matters of a JSON Schema.
type schemaPart struct {
	Ref        string                     `json:"$ref"`
	WriteOnly  bool                       `json:"writeOnly"`
	Properties map[string]json.RawMessage `json:"properties"`
	Additional json.RawMessage            `json:"additionalProperties"`
	Items      json.RawMessage            `json:"items"`
	Prefix     []json.RawMessage          `json:"prefixItems"`
	AllOf      []json.RawMessage          `json:"allOf"`
	AnyOf      []json.RawMessage          `json:"anyOf"`
	OneOf      []json.RawMessage          `json:"oneOf"`
}

// masks reads which parts of a document's methods are writeOnly; of methods without any there is no entry.
func masks(d *api.Document) map[string]*methodMasks {
	out := map[string]*methodMasks{}
	r := maskReader{schemas: map[string]json.RawMessage{}}
	if d.Components != nil {
		r.schemas = d.Components.Schemas
	}
	for _, list := range [][]api.DocumentMethod{d.Methods, d.Outgoing} {
		for i := range list {
			m := &list[i]
			found := &methodMasks{params: r.read(m.ParamsSchema, 0)}
			for at, p := range m.Params {
				if c := r.read(r.descriptor(d, &p).Schema, 0); c != nil {
					if found.params == nil {
						found.params = &mask{}
					}
					found.params.put(r.descriptor(d, &p).Name, c)
					for len(found.params.places) <= at {
						found.params.places = append(found.params.places, nil)
					}
					found.params.places[at] = c
				}
			}
			if m.Result != nil {
				found.result = r.read(r.descriptor(d, m.Result).Schema, 0)
			}
			if found.params != nil || found.result != nil {
				out[m.Name] = found
			}
		}
	}
	return out
}

func (m *mask) put(name string, c *mask) {
	if m.members == nil {
		m.members = map[string]*mask{}
	}
	m.members[name] = c
}

// maskReader reads the schemas of a document.
type maskReader struct {
	schemas map[string]json.RawMessage
}

func (r *maskReader) descriptor(d *api.Document, c *api.DocumentDescriptor) *api.DocumentDescriptor {
	if name, ok := strings.CutPrefix(c.Ref, "#/components/contentDescriptors/"); ok && d.Components != nil {
		if found, ok := d.Components.Descriptors[name]; ok {
			return &found
		}
	}
	return c
}

// maskDepth is how deep schemas are followed, some of which contain themselves.
const maskDepth = 12

func (r *maskReader) read(raw json.RawMessage, depth int) *mask {
	var s schemaPart
	if depth > maskDepth || len(raw) == 0 || json.Unmarshal(raw, &s) != nil {
		return nil
	}
	if s.WriteOnly {
		return &mask{hide: true}
	}
	var m mask
	some := false
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		some = m.join(r.read(r.schemas[name], depth+1))
	}
	for name, p := range s.Properties {
		if c := r.read(p, depth+1); c != nil {
			m.put(name, c)
			some = true
		}
	}
	if c := r.read(s.Additional, depth+1); c != nil {
		m.rest, some = c, true
	}
	if c := r.read(s.Items, depth+1); c != nil {
		m.items, some = c, true
	}
	for i, p := range s.Prefix {
		if c := r.read(p, depth+1); c != nil {
			for len(m.places) <= i {
				m.places = append(m.places, nil)
			}
			m.places[i], some = c, true
		}
	}
	for _, list := range [][]json.RawMessage{s.AllOf, s.AnyOf, s.OneOf} {
		for _, p := range list {
			some = m.join(r.read(p, depth+1)) || some
		}
	}
	if !some {
		return nil
	}
	return &m
}

// join adds what another mask hides.
func (m *mask) join(o *mask) bool {
	if o == nil {
		return false
	}
	m.hide = m.hide || o.hide
	for name, c := range o.members {
		m.put(name, c)
	}
	if o.rest != nil {
		m.rest = o.rest
	}
	if o.items != nil {
		m.items = o.items
	}
	if len(o.places) > len(m.places) {
		m.places = o.places
	}
	return true
}
