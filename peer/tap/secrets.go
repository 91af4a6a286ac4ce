package tap

import (
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"peermesh/api"
)

// methodSecrets is what is secret of a method.
type methodSecrets struct{ params, result parts }

// part says which parts of a value its schema calls writeOnly. Schemas that refer to themselves make a circle of parts.
type part struct {
	hide     bool
	members  map[string]*part
	patterns []pattern
	rest     *part // of members that neither of these names
	places   []*part
	items    *part   // behind the places
	each     *part   // of the items, wherever they stand
	also     []*part // of other schemas for the same value
}

type pattern struct {
	names *regexp.Regexp // nil: any
	part  *part
}

// learn keeps what a document says of a method. When that cannot be read, all that the method says is secret.
func (r *Redactor) learn(d *api.Document, m *api.DocumentMethod) {
	all := &part{hide: true}
	params, result := all, all
	if s, err := d.ParamsOf(m); err == nil {
		b := partsBuilder{root: s, done: map[*jsonschema.Schema]*part{}}
		params = b.part(s)
		if m.ParamsSchema == nil { // the params may come in their order, too
			for _, name := range s.PropertyOrder {
				params.places = append(params.places, params.members[name])
			}
		}
	}
	if s, err := d.ResultOf(m); err == nil {
		b := partsBuilder{root: s, done: map[*jsonschema.Schema]*part{}}
		result = b.part(s)
	}
	found := r.methods[m.Name]
	if found == nil {
		found = &methodSecrets{}
	}
	if params.hidesAny(map[*part]bool{}) {
		found.params = found.params.with(params)
	}
	if result.hidesAny(map[*part]bool{}) {
		found.result = found.result.with(result)
	}
	if found.params != nil || found.result != nil {
		r.methods[m.Name] = found
	}
}

// partsBuilder reads a schema whose definitions are its own.
type partsBuilder struct {
	root *jsonschema.Schema
	done map[*jsonschema.Schema]*part
}

// part returns what is secret by a schema; nil where there is none.
func (b *partsBuilder) part(s *jsonschema.Schema) *part {
	if s == nil {
		return nil
	}
	if p := b.done[s]; p != nil {
		return p
	}
	p := &part{hide: s.WriteOnly, members: map[string]*part{}}
	b.done[s] = p // before what is in it, which may lead back here
	p.each = b.part(s.Contains)
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		p.also = append(p.also, b.part(b.root.Defs[name]))
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, {s.If, s.Then, s.Else}} {
		for _, sub := range list {
			p.also = append(p.also, b.part(sub))
		}
	}
	for _, group := range []map[string]*jsonschema.Schema{s.DependentSchemas, s.DependencySchemas} {
		for _, sub := range group {
			p.also = append(p.also, b.part(sub))
		}
	}
	for name, sub := range s.Properties {
		p.members[name] = b.part(sub)
	}
	for expr, sub := range s.PatternProperties {
		names, _ := regexp.Compile(expr) // one that is none is taken for any
		p.patterns = append(p.patterns, pattern{names, b.part(sub)})
	}
	p.rest = &part{also: []*part{b.part(s.AdditionalProperties), b.part(s.UnevaluatedProperties)}}
	for _, sub := range slices.Concat(s.PrefixItems, s.ItemsArray) {
		p.places = append(p.places, b.part(sub))
	}
	p.items = &part{also: []*part{b.part(s.Items), b.part(s.AdditionalItems), b.part(s.UnevaluatedItems)}}
	return p
}

// hidesAny reports whether anything is secret at all.
func (p *part) hidesAny(seen map[*part]bool) bool {
	if p == nil || seen[p] {
		return false
	}
	seen[p] = true
	any := func(p *part) bool { return p.hidesAny(seen) }
	if p.hide || any(p.rest) || any(p.items) || any(p.each) || slices.ContainsFunc(p.places, any) || slices.ContainsFunc(p.also, any) {
		return true
	}
	for _, c := range p.members {
		if any(c) {
			return true
		}
	}
	return slices.ContainsFunc(p.patterns, func(x pattern) bool { return any(x.part) })
}

// parts are what several schemas say of one value. None: nothing in it is secret.
type parts []*part

// with adds a part, and what else it says holds.
func (ps parts) with(p *part) parts {
	if p == nil || slices.Contains(ps, p) {
		return ps
	}
	ps = append(ps, p)
	for _, o := range p.also {
		ps = ps.with(o)
	}
	return ps
}

func (ps parts) hide() bool { return slices.ContainsFunc(ps, func(p *part) bool { return p.hide }) }

// member returns what is said of a member.
func (ps parts) member(name string) (found parts) {
	for _, p := range ps {
		c, known := p.members[name]
		found = found.with(c)
		for _, x := range p.patterns {
			if x.names == nil || x.names.MatchString(name) {
				known = true
				found = found.with(x.part)
			}
		}
		if !known {
			found = found.with(p.rest)
		}
	}
	return found
}

// item returns what is said of an item.
func (ps parts) item(i int) (found parts) {
	for _, p := range ps {
		if i < len(p.places) {
			found = found.with(p.places[i])
		} else {
			found = found.with(p.items)
		}
		found = found.with(p.each)
	}
	return found
}
