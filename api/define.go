package api

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
)

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

// Incoming defines a notification that Near handles and Far sends. P is what it carries: a struct, a map, a slice (then
// by position only), json.RawMessage, or None.
//
// The name is letters, digits, - and _, and unique in the API across both directions; in an API without a name it may
// have dots and slashes too. Incoming panics on a name that breaks these rules, on a P that has no JSON form or whose
// tags do not fit, on an Example that does not fit, and once the API is frozen; see Bind.
func Incoming[P, Near, Far any](s Spec[Near, Far], name, doc string, opts ...Option) Note[Near, Far, P] {
	return Note[Near, Far, P]{s.def, addNote[P](s.def, !s.inverted, name, doc, opts)}
}

// Outgoing defines a notification that Near sends and Far handles; for the rest see Incoming.
func Outgoing[P, Near, Far any](s Spec[Near, Far], name, doc string, opts ...Option) Note[Far, Near, P] {
	return Note[Far, Near, P]{s.def, addNote[P](s.def, s.inverted, name, doc, opts)}
}

// IncomingCall defines a call that Near handles and Far makes. R is what it returns: anything that JSON carries, None
// for nothing. For the rest see Incoming.
func IncomingCall[P, R, Near, Far any](s Spec[Near, Far], name, doc string, opts ...Option) Call[Near, Far, P, R] {
	return Call[Near, Far, P, R]{s.def, addCall[P, R](s.def, !s.inverted, name, doc, opts)}
}

// OutgoingCall defines a call that Near makes and Far handles; see IncomingCall.
func OutgoingCall[P, R, Near, Far any](s Spec[Near, Far], name, doc string, opts ...Option) Call[Far, Near, P, R] {
	return Call[Far, Near, P, R]{s.def, addCall[P, R](s.def, s.inverted, name, doc, opts)}
}

func addNote[P any](d *definition, nearHandles bool, name, doc string, opts []Option) *Method {
	m := &Method{Name: name, Doc: doc, nearHandles: nearHandles, handlers: func() runner { return new(noteHandlers[P]) }}
	return d.add(m, reflect.TypeFor[P](), nil, opts, func() error { return holdExamples[P, None](m) })
}

func addCall[P, R any](d *definition, nearHandles bool, name, doc string, opts []Option) *Method {
	m := &Method{Name: name, Doc: doc, IsCall: true, nearHandles: nearHandles, handlers: func() runner { return new(callHandlers[P, R]) }}
	return d.add(m, reflect.TypeFor[P](), reflect.TypeFor[R](), opts, func() error { return holdExamples[P, R](m) })
}

// add puts a method into the definition, or panics. hold checks its examples.
func (d *definition) add(m *Method, params, result reflect.Type, opts []Option, hold func() error) *Method {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.Wire = m.Name; d.name != "" {
		m.Wire = d.name + "." + m.Name
	}
	if err := d.check(m.Name, m.Wire); err != nil {
		panic("api: " + err.Error())
	}
	var err error
	if m.params, err = d.schemas.paramsBody(params); err != nil {
		panic(fmt.Sprintf("api: params of %s: %v", m.Wire, err))
	}
	if result != nil {
		if m.result, err = d.schemas.body(result); err != nil {
			panic(fmt.Sprintf("api: result of %s: %v", m.Wire, err))
		}
	}
	for _, opt := range opts {
		opt(m)
	}
	switch {
	case m.DropOldest && m.IsCall:
		panic(fmt.Sprintf("api: %s is a call: DropOldest is for notifications", m.Wire))
	case m.Timeout != 0 && !m.IsCall:
		panic(fmt.Sprintf("api: %s is a notification: Timeout is for calls", m.Wire))
	case m.Concurrent < 0 || m.Timeout < 0:
		panic(fmt.Sprintf("api: %s: Concurrent and Timeout are not negative", m.Wire))
	case m.Positional && (params.Kind() != reflect.Struct || params == noneType):
		panic(fmt.Sprintf("api: %s: Positional needs a struct, whose fields give the order", m.Wire))
	}
	if err := hold(); err != nil {
		panic(fmt.Sprintf("api: example of %s: %v", m.Wire, err))
	}
	d.methods = append(d.methods, m)
	d.byName[m.Name] = m
	return m
}

// check says what speaks against a method of that name.
func (d *definition) check(name, wire string) error {
	switch {
	case d.frozen:
		return fmt.Errorf("%s is added after the API was bound: define every method before the first Bind", wire)
	case d.byName[name] != nil:
		return fmt.Errorf("%s is defined twice: a name is unique across both directions", wire)
	case d.name != "" && !methodName.MatchString(name):
		return fmt.Errorf("%q is no method name: letters, digits, - and _, and no dot", name)
	case d.name == "" && !bareName.MatchString(name):
		return fmt.Errorf("%q is no method name", name)
	case wire == "rpc" || strings.HasPrefix(wire, "rpc."):
		return fmt.Errorf("the name %q is reserved by JSON-RPC", wire)
	}
	return nil
}

// holdExamples holds the examples of m against its types, and keeps their JSON.
func holdExamples[P, R any](m *Method) error {
	for i := range m.examples {
		e := &m.examples[i]
		if err := holdParams(m, e, box[P](m.params)); err != nil {
			return err
		}
		switch {
		case !e.hasResult:
			continue
		case !m.IsCall:
			return errors.New("a notification has no result")
		}
		var err error
		if e.rawResult, err = marshal(nil, e.result); err != nil {
			return fmt.Errorf("result: %v", encodeViolation(err))
		}
		if err := decode(m.result, m.Wire, e.rawResult, box[R](m.result)); err != nil {
			return fmt.Errorf("result: %w", err)
		}
	}
	return nil
}

func holdParams[P any](m *Method, e *example, p *boxed[P]) error {
	raw, err := marshal(nil, e.params)
	switch {
	case err != nil:
		return fmt.Errorf("params: %v", encodeViolation(err))
	case string(raw) == "null": // nil, or None
	case raw[0] == '[' && m.Positional:
		if e.rawParams, err = byName(m.Wire, m.params.fields, m.params.schema.Required, raw); err != nil {
			return err
		}
	default:
		e.rawParams = raw
	}
	if err := decodeParams(m, e.rawParams, p); err != nil {
		return err
	}
	if e.rawParams != nil && m.params.typ != noneType {
		var again P
		if err := json.Unmarshal(e.rawParams, &again, json.RejectUnknownMembers(true)); errors.Is(err, json.ErrUnknownName) {
			return violations(decodeViolation(err, nil))
		}
	}
	return nil
}
