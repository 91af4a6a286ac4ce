package api

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
)

// Spec is one side's view of an API definition. Near is the side that the view belongs to, Far the other one; both are
// types of the caller's that serve as names. A Spec is a small comparable value and is safe to copy and share: all
// views of one Define share one definition.
type Spec[Near, Far any] struct {
	def      *definition
	inverted bool
}

// definition is what all views share. It is written from the side that Define was called for: a method's Incoming is
// that side's.
type definition struct {
	name, version, doc string
	near, far          string // role names in lower case
	symmetric          bool

	mu      sync.Mutex
	frozen  bool
	methods []*Method
	byName  map[string]*Method
	docs    [2]Document // of both sides, once frozen
	hashes  [2]string
}

var (
	apiName    = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	methodName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	bareName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)
)

// Define starts an API, written from the side of Near. Name is the prefix of the methods on the wire: letters, digits,
// - and _ in parts joined by dots, not beginning with "rpc."; the empty name puts bare method names on the wire.
// Version is free text, by custom major.minor.patch. Define panics on a name that breaks the rules: a definition is
// part of the program.
//
// When Near and Far are the same type the API is a mesh of equals: both sides handle and send every method.
func Define[Near, Far any](name, version, doc string) Spec[Near, Far] {
	if name != "" && !apiName.MatchString(name) {
		panic(fmt.Sprintf("api: %q is no API name: letters, digits, - and _, in parts joined by dots", name))
	}
	if name == "rpc" || strings.HasPrefix(name, "rpc.") {
		panic(fmt.Sprintf("api: the name %q is reserved by JSON-RPC", name))
	}
	near, far := reflect.TypeFor[Near](), reflect.TypeFor[Far]()
	d := &definition{name: name, version: version, doc: doc, near: roleName(near), far: roleName(far),
		symmetric: near == far, byName: map[string]*Method{}}
	if !d.symmetric && d.near == d.far {
		panic(fmt.Sprintf("api: the two roles of %q are both called %s", name, d.near))
	}
	return Spec[Near, Far]{def: d}
}

func roleName(t reflect.Type) string {
	if t.Name() == "" {
		panic(fmt.Sprintf("api: the role %s has no name: declare a type such as `type Camera struct{}`", t))
	}
	return strings.ToLower(t.Name())
}

// Invert returns the same API as the other side sees it: what came in goes out. It copies and freezes nothing, and
// inverting twice gives back the very same value. A mesh of equals is its own inverse.
func (s Spec[Near, Far]) Invert() Spec[Far, Near] {
	return Spec[Far, Near]{def: s.def, inverted: !s.inverted && !s.def.symmetric}
}

// Name returns the API's name.
func (s Spec[Near, Far]) Name() string { return s.def.name }

// Version returns the API's version.
func (s Spec[Near, Far]) Version() string { return s.def.version }

// OpenRPC returns the document of this side. It freezes the definition.
func (s Spec[Near, Far]) OpenRPC() Document { return s.def.document(s.inverted) }

// add puts a method into the definition. incoming is meant from the side of Define.
func (d *definition) add(m *Method, params, result reflect.Type, opts []Option) *Method {
	d.mu.Lock()
	defer d.mu.Unlock()
	m.Wire = m.Name
	if d.name != "" {
		m.Wire = d.name + "." + m.Name
	}
	switch {
	case d.frozen:
		panic(fmt.Sprintf("api: %s is added after the API was bound: define every method before the first Bind", m.Wire))
	case d.byName[m.Name] != nil:
		panic(fmt.Sprintf("api: %s is defined twice: a name is unique across both directions", m.Wire))
	case d.name != "" && !methodName.MatchString(m.Name):
		panic(fmt.Sprintf("api: %q is no method name: letters, digits, - and _, and no dot", m.Name))
	case d.name == "" && !bareName.MatchString(m.Name):
		panic(fmt.Sprintf("api: %q is no method name", m.Name))
	case m.Wire == "rpc" || strings.HasPrefix(m.Wire, "rpc.") || strings.HasPrefix(m.Wire, "$/"):
		panic(fmt.Sprintf("api: the name %q is reserved by JSON-RPC", m.Wire))
	}
	var err error
	if m.Params, err = newParams(params); err != nil {
		panic(fmt.Sprintf("api: params of %s: %v", m.Wire, err))
	}
	m.none = params == noneType
	if result != nil {
		if m.Result, err = newBody(result); err != nil {
			panic(fmt.Sprintf("api: result of %s: %v", m.Wire, err))
		}
	}
	for _, opt := range opts {
		opt(m)
	}
	if m.DropOldest && m.IsCall {
		panic(fmt.Sprintf("api: %s is a call: DropOldest is for notifications", m.Wire))
	}
	if m.Concurrent < 0 || m.Timeout < 0 {
		panic(fmt.Sprintf("api: %s: Concurrent and Timeout are not negative", m.Wire))
	}
	if m.Positional && params.Kind() != reflect.Struct {
		panic(fmt.Sprintf("api: %s: Positional needs a struct, whose fields give the order", m.Wire))
	}
	d.methods = append(d.methods, m)
	d.byName[m.Name] = m
	return m
}

// freeze ends the time of definition. Afterwards nothing in d changes.
func (d *definition) freeze() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frozen {
		return
	}
	d.frozen = true
	for side := range d.docs {
		d.docs[side] = d.describe(side == 1)
		d.hashes[side] = d.docs[side].Hash()
	}
}

func (d *definition) document(inverted bool) Document {
	d.freeze()
	return d.docs[index(inverted)]
}

// hash is the near side's for both views, so that two ends of one definition compare equal.
func (d *definition) hash() string {
	d.freeze()
	return d.hashes[0]
}

// handles reports whether the side handles m.
func (d *definition) handles(m *Method, inverted bool) bool {
	return d.symmetric || m.Incoming != inverted
}

func (d *definition) side(inverted bool) (side, other string) {
	if inverted {
		return d.far, d.near
	}
	return d.near, d.far
}

func index(inverted bool) int {
	if inverted {
		return 1
	}
	return 0
}

// Note is a notification: it goes from a port of side S to ports of side H and has no answer. It is made by Incoming
// or Outgoing and is safe for concurrent use.
type Note[H, S, P any] struct {
	def *definition
	m   *Method
}

// Call is a method that is answered: called from a port of side C, handled on ports of side H. It is made by
// IncomingCall or OutgoingCall and is safe for concurrent use.
type Call[H, C, P, R any] struct {
	def *definition
	m   *Method
}

// Incoming defines a notification that Near handles and Far sends. P is a struct, a map, a slice (by position only),
// json.RawMessage, or None. It panics when the name is taken or P has no JSON form.
func Incoming[P, Near, Far any](s Spec[Near, Far], name, doc string, opts ...Option) Note[Near, Far, P] {
	m := &Method{Name: name, Doc: doc, Incoming: !s.inverted}
	return Note[Near, Far, P]{s.def, s.def.add(m, reflect.TypeFor[P](), nil, checked[P, None](opts))}
}

// Outgoing defines a notification that Near sends and Far handles; see Incoming.
func Outgoing[P, Near, Far any](s Spec[Near, Far], name, doc string, opts ...Option) Note[Far, Near, P] {
	m := &Method{Name: name, Doc: doc, Incoming: s.inverted}
	return Note[Far, Near, P]{s.def, s.def.add(m, reflect.TypeFor[P](), nil, checked[P, None](opts))}
}

// IncomingCall defines a call that Near handles and Far makes. P is as for Incoming; R is anything that JSON carries,
// None for a call that returns nothing.
func IncomingCall[P, R, Near, Far any](s Spec[Near, Far], name, doc string, opts ...Option) Call[Near, Far, P, R] {
	m := &Method{Name: name, Doc: doc, IsCall: true, Incoming: !s.inverted}
	return Call[Near, Far, P, R]{s.def, s.def.add(m, reflect.TypeFor[P](), reflect.TypeFor[R](), checked[P, R](opts))}
}

// OutgoingCall defines a call that Near makes and Far handles; see IncomingCall.
func OutgoingCall[P, R, Near, Far any](s Spec[Near, Far], name, doc string, opts ...Option) Call[Far, Near, P, R] {
	m := &Method{Name: name, Doc: doc, IsCall: true, Incoming: s.inverted}
	return Call[Far, Near, P, R]{s.def, s.def.add(m, reflect.TypeFor[P](), reflect.TypeFor[R](), checked[P, R](opts))}
}

// checked adds a last option that holds the examples against the types.
func checked[P, R any](opts []Option) []Option {
	return append(opts[:len(opts):len(opts)], func(m *Method) {
		for i, e := range m.Examples {
			var p P
			params := e.Params
			if string(params) == "null" {
				params = nil
				m.Examples[i].Params = nil
			}
			if err := decodeParams(m, params, &p); err != nil {
				panic(fmt.Sprintf("api: example of %s: %v", m.Wire, err))
			}
			if e.Result == nil {
				continue
			}
			if !m.IsCall {
				panic(fmt.Sprintf("api: example of %s: a notification has no result", m.Wire))
			}
			var r R
			if err := unmarshal(e.Result, &r); err != nil {
				panic(fmt.Sprintf("api: example of %s: result: %v", m.Wire, err))
			}
			if err := m.Result.verify(e.Result); err != nil {
				panic(fmt.Sprintf("api: example of %s: result: %v", m.Wire, err))
			}
		}
	})
}
