package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Port is one side of an API bound to a mesh: what methods are handled on and sent through. It is safe for concurrent
// use.
type Port[Near, Far any] struct{ p *port }

type port struct {
	mesh     Mesh
	def      *definition
	inverted bool
	entries  map[string]*entry // of the incoming methods, by name
	incoming []*Method
}

// entry holds the handlers of one incoming method.
type entry struct {
	m  *Method
	mu sync.Mutex // guards the first Handle
	r  atomic.Value
}

type runner interface {
	run(ctx context.Context, m *Method, params, dst []byte) ([]byte, error)
	len() int
}

// Bind binds the side of the API that s is a view of, tells the mesh, and freezes the definition. It panics when the
// mesh has that side bound already: two programs' halves in one process need one peer each.
func Bind[Near, Far any](mesh Mesh, s Spec[Near, Far]) *Port[Near, Far] {
	s.def.freeze()
	p := &port{mesh: mesh, def: s.def, inverted: s.inverted, entries: map[string]*entry{}}
	for _, m := range s.def.methods {
		if s.def.handles(m, s.inverted) {
			p.entries[m.Name] = &entry{m: m}
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

func (p *port) Hash() string            { return p.def.hash() }
func (p *port) Document() Document      { return p.def.document(p.inverted) }
func (p *port) Method(n string) *Method { return p.def.byName[n] }
func (p *port) Incoming() []*Method     { return p.incoming }
func (p *port) Unhandled() (names []string) {
	for _, m := range p.incoming {
		if r, ok := p.entries[m.Name].r.Load().(runner); !ok || r.len() == 0 {
			names = append(names, m.Name)
		}
	}
	return names
}

func (p *port) Dispatch(ctx context.Context, method string, params, dst []byte) ([]byte, error) {
	e := p.entries[method]
	if e == nil {
		return dst, errNotFound
	}
	r, ok := e.r.Load().(runner)
	if !ok || r.len() == 0 {
		return dst, errNotFound
	}
	return r.run(ctx, e.m, params, dst)
}

var errNotFound = &Error{Code: CodeMethodNotFound, Message: "method not found"}

// NotificationError is what Dispatch returns when some handlers of a notification failed; all of them ran. The mesh
// logs and counts each; a peer that asked for an answer still gets null.
type NotificationError struct{ Errs []error }

func (e *NotificationError) Error() string { return errors.Join(e.Errs...).Error() }

// Unwrap returns the handlers' errors.
func (e *NotificationError) Unwrap() []error { return e.Errs }

// PanicError is a handler's panic. Its text goes to nobody but our own log; callers get CodeInternal.
type PanicError struct {
	Method string
	Value  any
	Stack  []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("the handler of %s panicked: %v", e.Method, e.Value)
}

// handlers is a list of handlers that is read without a lock.
type handlers[F any] struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*F]
}

func (h *handlers[F]) load() []*F {
	if l := h.list.Load(); l != nil {
		return *l
	}
	return nil
}

func (h *handlers[F]) len() int { return len(h.load()) }

// add appends f and returns what removes it again; removing twice does nothing.
func (h *handlers[F]) add(f F) (off func()) {
	ref := &f
	h.change(func(old []*F) []*F { return append(old, ref) })
	return func() {
		h.change(func(old []*F) []*F {
			kept := old[:0]
			for _, o := range old {
				if o != ref {
					kept = append(kept, o)
				}
			}
			return kept
		})
	}
}

func (h *handlers[F]) change(f func([]*F) []*F) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := f(append([]*F(nil), h.load()...))
	h.list.Store(&l)
}

// listOf returns the entry's handlers, made on first use. The type is the same each time, because a method has one.
func listOf[L runner](e *entry, fresh func() L) L {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l, ok := e.r.Load().(L); ok {
		return l
	}
	l := fresh()
	e.r.Store(l)
	return l
}

type noteHandlers[P any] struct {
	handlers[func(context.Context, P) error]
}

func (h *noteHandlers[P]) run(ctx context.Context, m *Method, params, dst []byte) ([]byte, error) {
	var p P
	if err := decodeParams(m, params, &p); err != nil {
		return dst, err
	}
	var failed []error
	for _, f := range h.load() {
		if err := runNote(ctx, m, *f, p); err != nil {
			failed = append(failed, err)
		}
	}
	dst = append(dst, "null"...)
	if failed != nil {
		return dst, &NotificationError{failed}
	}
	return dst, nil
}

func runNote[P any](ctx context.Context, m *Method, f func(context.Context, P) error, p P) (err error) {
	defer recovered(m, &err)
	return f(ctx, p)
}

type callHandlers[P, R any] struct {
	handlers[func(context.Context, P) (R, error)]
}

func (h *callHandlers[P, R]) run(ctx context.Context, m *Method, params, dst []byte) ([]byte, error) {
	var p P
	if err := decodeParams(m, params, &p); err != nil {
		return dst, err
	}
	for _, f := range h.load() {
		r, err := runCall(ctx, m, *f, p)
		if errors.Is(err, ErrPass) {
			continue
		}
		if err != nil {
			return dst, err
		}
		return encodeResult(m, dst, &r)
	}
	return dst, errNotFound
}

func runCall[P, R any](ctx context.Context, m *Method, f func(context.Context, P) (R, error), p P) (r R, err error) {
	defer recovered(m, &err)
	return f(ctx, p)
}

func recovered(m *Method, err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{Method: m.Wire, Value: v, Stack: debug.Stack()}
	}
}

// encodeResult appends a handler's result. One that breaks its own schema is the handler's fault, not the caller's.
func encodeResult[R any](m *Method, dst []byte, r *R) ([]byte, error) {
	start := len(dst)
	if m.Result.typ == rawType {
		raw := *any(r).(*json.RawMessage)
		if len(raw) == 0 {
			return append(dst, "null"...), nil
		}
		if !json.Valid(raw) {
			return dst, Errorf(CodeInternal, "the result of %s is no JSON", m.Wire)
		}
		return append(dst, raw...), nil
	}
	dst, err := marshal(dst, r)
	if err != nil {
		return dst[:start], Errorf(CodeInternal, "the result of %s has no JSON form", m.Wire)
	}
	if m.Result.check != nil {
		if err := m.Result.verify(dst[start:]); err != nil {
			return dst[:start], Errorf(CodeInternal, "the result of %s breaks its schema", m.Wire)
		}
	}
	return dst, nil
}
