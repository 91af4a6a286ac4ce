package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// None is the parameter type of a method that takes none, and the result type of a call that returns nothing. As
// params it is absent on the wire (an empty object or array is accepted); as a result it is null.
type None struct{}

// MarshalJSON writes null.
func (None) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// UnmarshalJSON takes any value, so that a peer may later return something where it returned nothing.
func (*None) UnmarshalJSON([]byte) error { return nil }

// Roles that are built in; a policy may name more.
const (
	RoleGuest  = "guest"
	RoleMember = "member"
	RoleAdmin  = "admin"
)

// Method is the untyped definition of one notification or call: what a document says of it. It does not change after
// its API was bound.
type Method struct {
	Name       string // within the API
	Wire       string // as on the wire: the API's name, a dot, the name
	Doc        string
	IsCall     bool          // answered with a result; otherwise a notification
	Incoming   bool          // handled by the side it is listed on; see Document
	Positional bool          // params may come as an array, in the order of the fields
	Idempotent bool          // may be sent again on another link when the first one broke
	DropOldest bool          // a full queue drops the oldest such message instead of refusing the new one
	Concurrent int           // how many handlers run at once; 0: one at a time per sender and API
	Timeout    time.Duration // the deadline of a call whose context has none; 0: 30 s
	MinRole    string        // who may call it at least; empty: member
	Examples   []ExampleOf
	Params     *Body // what it takes
	Result     *Body // what it returns; nil for a notification

	none bool
}

// ExampleOf is one example of a method: its params and, for a call, its result, as JSON.
type ExampleOf struct {
	Params json.RawMessage
	Result json.RawMessage
}

// Body is what a method takes or returns.
type Body struct {
	Name   string // of the Go type; empty when it has none
	Schema *jsonschema.Schema

	typ    reflect.Type
	check  *check
	fields []string // a struct's members in order, for params by position
	valid  bool     // the type has Validate() error
}

// An Option changes how a method behaves; give it where the method is defined.
type Option func(*Method)

// MinRole sets who may call the method at least: RoleGuest, RoleMember (the default), RoleAdmin or a role of the policy.
func MinRole(role string) Option { return func(m *Method) { m.MinRole = role } }

// Idempotent says that running the method twice does no harm. A call of it whose link broke is sent again, once, when
// its receiver is back before the deadline.
func Idempotent() Option { return func(m *Method) { m.Idempotent = true } }

// DropOldest has a full queue drop the oldest message of this method, counted, instead of refusing the newest: for
// measurements of which only the last one matters. It is for notifications.
func DropOldest() Option { return func(m *Method) { m.DropOldest = true } }

// Timeout sets the deadline of calls whose context has none. The default is 30 s.
func Timeout(d time.Duration) Option { return func(m *Method) { m.Timeout = d } }

// Concurrent lets up to n handlers of this method run at once, in no order, for all senders together. Without it the
// messages of one sender to one API run one at a time in the order of their arrival.
func Concurrent(n int) Option { return func(m *Method) { m.Concurrent = n } }

// Positional accepts params as an array too, mapped onto the struct's fields in their order.
func Positional() Option { return func(m *Method) { m.Positional = true } }

// Example documents params and, for a call, a result. Both are checked against the method's types when it is defined.
func Example(params any, result ...any) Option {
	return func(m *Method) {
		var e ExampleOf
		var err error
		if e.Params, err = marshal(nil, params); err != nil {
			panic(fmt.Sprintf("api: example of %s: %v", m.Wire, err))
		}
		if len(result) > 0 {
			if e.Result, err = marshal(nil, result[0]); err != nil {
				panic(fmt.Sprintf("api: example of %s: %v", m.Wire, err))
			}
		}
		m.Examples = append(m.Examples, e)
	}
}

// DefaultTimeout is the deadline of a call whose context has none and whose method says nothing.
const DefaultTimeout = 30 * time.Second

func newBody(t reflect.Type) (*Body, error) {
	s, err := schemaOf(t)
	if err != nil {
		return nil, err
	}
	b := &Body{Name: t.Name(), Schema: s, typ: t, check: compileCheck(s)}
	if strings.ContainsAny(b.Name, "[*") || t.PkgPath() == "" {
		b.Name = "" // generic and built-in types have no name worth showing
	}
	if t.Kind() == reflect.Struct {
		b.fields = s.PropertyOrder
	}
	_, b.valid = reflect.New(t).Interface().(validator)
	return b, nil
}

type validator interface{ Validate() error }

func newParams(t reflect.Type) (*Body, error) {
	switch {
	case t == noneType, t == rawType:
	case t.Kind() == reflect.Struct && t != timeType, t.Kind() == reflect.Map:
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
	default:
		return nil, fmt.Errorf("%s cannot be params: JSON-RPC takes a structured value, so wrap it in a struct", t)
	}
	b, err := newBody(t)
	if err != nil {
		return nil, err
	}
	if t.Kind() == reflect.Struct && t != noneType && len(b.Schema.Type) == 0 && b.Schema.Ref == "" {
		return nil, fmt.Errorf("%s cannot be params: it writes its own JSON, which need not be an object", t)
	}
	return b, nil
}

// decodeParams reads, completes and validates the params of one message. What is wrong is a CodeInvalidParams error.
func decodeParams[P any](m *Method, raw []byte, p *P) error {
	raw = skipSpace(raw)
	b := m.Params
	switch {
	case m.none:
		if len(raw) > 0 && !isEmpty(raw) {
			return Errorf(CodeInvalidParams, "%s takes no params", m.Wire)
		}
		return nil
	case b.typ == rawType:
		*any(p).(*json.RawMessage) = append(json.RawMessage(nil), raw...)
		return nil
	case len(raw) == 0:
		raw = []byte("{}")
		if b.typ.Kind() == reflect.Slice {
			raw = []byte("[]")
		}
	}
	if raw[0] == '[' && b.typ.Kind() == reflect.Struct {
		var err error
		if raw, err = b.byName(m, raw); err != nil {
			return err
		}
	}
	if b.check != nil {
		if err := b.verify(raw); err != nil {
			return err
		}
		if b.check.defaults {
			raw, _ = b.check.fill(make([]byte, 0, 2*len(raw)+64), raw)
		}
	}
	if err := unmarshal(raw, p); err != nil {
		return paramsError(err)
	}
	return b.validate(p)
}

// verify checks raw against the schema's constraints.
func (b *Body) verify(raw []byte) error {
	if b.check == nil {
		return nil
	}
	_, bad := b.check.verify(raw, nil)
	return violationError(bad)
}

func (b *Body) validate(v any) error {
	if !b.valid {
		return nil
	}
	err := v.(validator).Validate()
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	return Errorf(CodeInvalidParams, "invalid params: %v", err)
}

func violationError(bad []violation) error {
	if len(bad) == 0 {
		return nil
	}
	where := bad[0].Pointer
	if where == "" {
		where = "the value"
	}
	return Errorf(CodeInvalidParams, "invalid params: %s %s", where, bad[0].Message).WithData(bad)
}

// paramsError turns what the decoder says into an error that names the place and no Go type.
func paramsError(err error) error {
	var where jsontext.Pointer
	message := "is no JSON that fits"
	var sem *jsonSemanticError
	var syn *jsontext.SyntacticError
	switch {
	case errors.As(err, &sem):
		where = sem.JSONPointer
		message = "does not fit"
		if k := sem.JSONKind; k != 0 {
			message = fmt.Sprintf("must not be %s", kindName(k))
		}
		if sem.Err != nil && sem.JSONKind == '0' {
			message = "is out of range"
		}
	case errors.As(err, &syn):
		where = syn.JSONPointer
		if errors.Is(err, jsontext.ErrDuplicateName) {
			message = "stands twice"
		}
	}
	return violationError([]violation{{string(where), message}})
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string of this form"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "of this kind"
}

// byName turns params by position into an object.
func (b *Body) byName(m *Method, raw []byte) ([]byte, error) {
	if !m.Positional {
		return nil, Errorf(CodeInvalidParams, "%s takes params by name, not by position", m.Wire)
	}
	out := []byte{'{'}
	n := 0
	for rest := skipSpace(raw[1:]); len(rest) > 0 && rest[0] != ']'; n++ {
		if n == len(b.fields) {
			return nil, Errorf(CodeInvalidParams, "too many params: %s takes %d", m.Wire, len(b.fields))
		}
		after := skipValue(rest)
		if len(after) == len(rest) {
			break
		}
		name, _ := json.Marshal(b.fields[n])
		if n > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), rest[:len(rest)-len(after)]...)
		rest = skipComma(after)
	}
	for _, name := range b.fields[n:] {
		if slices.Contains(b.Schema.Required, name) {
			return nil, Errorf(CodeInvalidParams, "too few params: %s needs %s", m.Wire, name)
		}
	}
	return append(out, '}'), nil
}

// encodeParams appends p as the params of m to dst, validated; nothing for None.
func encodeParams[P any](m *Method, dst []byte, p *P) ([]byte, error) {
	if m.none {
		return dst, nil
	}
	if err := m.Params.validate(p); err != nil {
		return dst, err
	}
	start := len(dst)
	if m.Params.typ == rawType {
		raw := *any(p).(*json.RawMessage)
		if len(raw) > 0 && !json.Valid(raw) {
			return dst, Errorf(CodeInvalidParams, "the params of %s are no JSON", m.Wire)
		}
		return append(dst, raw...), nil
	}
	dst, err := marshal(dst, p)
	if err != nil {
		return dst[:start], Errorf(CodeInvalidParams, "the params of %s have no JSON form: %v", m.Wire, err)
	}
	switch { // a nil map or slice is written as an empty one, which is structured as the specification asks
	case m.Params.check == nil:
		return dst, nil
	default:
		return dst, m.Params.verify(dst[start:])
	}
}

func isEmpty(raw []byte) bool {
	raw = skipSpace(raw)
	if len(raw) < 2 || raw[0] != '{' && raw[0] != '[' {
		return false
	}
	inner := skipSpace(raw[1:])
	return len(inner) > 0 && inner[0] == raw[0]+2
}
