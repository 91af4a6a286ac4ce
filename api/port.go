package api

import (
	"context"
	"fmt"
	"iter"
)

// Port is one side of an API bound to a mesh: what methods are handled on and sent through. It is safe for concurrent
// use.
type Port[Near, Far any] struct{ p *port }

type port struct {
	mesh     Mesh
	def      *definition
	inverted bool
	entries  map[string]entry // of the incoming methods, by name
	incoming []*Method
}

// entry holds the handlers of one incoming method.
type entry struct {
	m        *Method
	handlers runner
}

// Bind binds the side of the API that s is a view of, tells the mesh, and freezes the definition. It panics when the
// mesh has that side bound already: two programs' halves in one process need one peer each.
func Bind[Near, Far any](mesh Mesh, s Spec[Near, Far]) *Port[Near, Far] {
	s.def.freeze()
	p := &port{mesh: mesh, def: s.def, inverted: s.inverted, entries: map[string]entry{}}
	for _, m := range s.def.methods {
		if s.def.handles(m, s.inverted) {
			p.entries[m.Name] = entry{m, m.handlers()}
			p.incoming = append(p.incoming, m)
		}
	}
	if err := mesh.Bind(p); err != nil {
		panic(fmt.Sprintf("api: bind %s: %v", s.def.name, err))
	}
	return &Port[Near, Far]{p}
}

// Peers lists the linked peers that bind the other side.
func (p *Port[Near, Far]) Peers() iter.Seq[*Info] {
	_, other := p.p.def.side(p.p.inverted)
	return func(yield func(*Info) bool) {
		for i := range p.p.mesh.Peers() {
			if i.Binds(p.p.def.name, other) && !yield(i) {
				return
			}
		}
	}
}

// Wait returns once the receivers are there: for To all of the named peers with the other side bound, otherwise at
// least one peer. It returns ctx's error when that does not happen in time.
func (p *Port[Near, Far]) Wait(ctx context.Context, to Receivers) error {
	return p.p.mesh.Wait(ctx, p.p, to)
}

// Unhandled lists the incoming methods that have no handler now, in the order of their definition.
func (p *Port[Near, Far]) Unhandled() []string { return p.p.Unhandled() }

// Binding returns the untyped form of the port, as the mesh knows it.
func (p *Port[Near, Far]) Binding() Binding { return p.p }

func (p *port) API() (name, version, side, other string) {
	side, other = p.def.side(p.inverted)
	return p.def.name, p.def.version, side, other
}

func (p *port) Hash() string {
	p.def.freeze()
	return p.def.hash
}

func (p *port) Document() Document      { return p.def.document(p.inverted) }
func (p *port) Method(n string) *Method { return p.def.byName[n] }
func (p *port) Incoming() []*Method     { return p.incoming }

func (p *port) Unhandled() (names []string) {
	for _, m := range p.incoming {
		if p.entries[m.Name].handlers.len() == 0 {
			names = append(names, m.Name)
		}
	}
	return names
}

func (p *port) Dispatch(ctx context.Context, method string, params, dst []byte) ([]byte, error) {
	e, ok := p.entries[method]
	if !ok || e.handlers.len() == 0 {
		return dst, errNotFound
	}
	return e.handlers.run(ctx, e.m, params, dst)
}
