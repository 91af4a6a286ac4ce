package api

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// body is what a method takes or returns: a Go type, its schema, and the schema compiled.
type body struct {
	name   string // of the Go type; empty when it has none
	schema *jsonschema.Schema
	typ    reflect.Type
	check  *check
	layout *layout  // nil: the library reads and writes it
	places int      // of the strings in the layout
	fields []string // a struct's members in order
	valid  validity
	nulls  bool      // its JSON may hold a null
	boxes  sync.Pool // of *boxed[T]
}

// boxed is where a value is decoded into or encoded from: what reflection looks at lives on the heap, and this is used
// again.
type boxed[T any] struct {
	v    T
	last lastStrings
}

// box returns an empty one; unbox gives it back.
func box[T any](b *body) *boxed[T] {
	if v, ok := b.boxes.Get().(*boxed[T]); ok {
		return v
	}
	return &boxed[T]{last: make(lastStrings, b.places)}
}

func unbox[T any](b *body, v *boxed[T]) {
	var empty T
	v.v = empty
	b.boxes.Put(v)
}

// validity says on what of a value Validate is called.
type validity uint8

const (
	noValidate      validity = iota
	validateValue            // on the value, which is a pointer or interface
	validatePointer          // on a pointer to it
)

type validator interface{ Validate() error }

func (w *schemas) body(t reflect.Type) (*body, error) {
	s, err := w.of(t)
	if err != nil {
		return nil, err
	}
	b := &body{schema: s, typ: t, check: compileCheck(s), layout: layoutOf(t), nulls: writesNull(t, map[reflect.Type]bool{})}
	if b.layout != nil {
		b.places = b.layout.places(0)
	}
	if t.PkgPath() != "" && !strings.Contains(t.Name(), "[") {
		b.name = t.Name() // built-in and generic types have no name worth showing
	}
	if t.Kind() == reflect.Struct {
		b.fields = s.PropertyOrder
	}
	switch validates := reflect.TypeFor[validator](); {
	case t.Kind() == reflect.Pointer && t.Implements(validates):
		b.valid = validateValue
	case reflect.PointerTo(t).Implements(validates):
		b.valid = validatePointer
	}
	return b, nil
}

// writesNull reports whether the JSON of a value may hold a null. Types that write their own JSON may.
func writesNull(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if implements(t, writesJSON) {
		return true
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return false
	case reflect.Struct:
		for f := range t.Fields() {
			if strings.Contains(f.Tag.Get("json"), "emitnull") || writesNull(f.Type, seen) {
				return true
			}
		}
		return false
	case reflect.Array, reflect.Slice, reflect.Map: // one that is nil is written as an empty one
		return writesNull(t.Elem(), seen)
	}
	return true
}

// paramsBody is the body of params: JSON-RPC takes an object or an array.
func (w *schemas) paramsBody(t reflect.Type) (*body, error) {
	switch k := t.Kind(); {
	case t == noneType, t == rawType:
		return w.body(t)
	case k == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		return nil, fmt.Errorf("%s cannot be params: use %s itself", t, t.Elem())
	case k != reflect.Struct && k != reflect.Map && k != reflect.Slice:
		return nil, fmt.Errorf("%s cannot be params: JSON-RPC takes an object or an array, so wrap it in a struct", t)
	}
	b, err := w.body(t)
	switch {
	case err != nil:
		return nil, err
	case b.schema.Type == "":
		return nil, fmt.Errorf("%s cannot be params: it writes its own JSON, which need not be an object", t)
	case b.schema.Type != "object" && b.schema.Type != "array":
		return nil, fmt.Errorf("%s cannot be params: its JSON is a %s, so wrap it in a struct", t, b.schema.Type)
	}
	return b, nil
}

// decode reads, completes and validates one value. What is wrong with it is an error of type violations, what Validate
// said, or a *PanicError.
func decode[T any](b *body, method string, raw []byte, into *boxed[T]) (err error) {
	v := &into.v
	if b.typ == rawType {
		*any(v).(*stdjson.RawMessage) = append(stdjson.RawMessage(nil), raw...)
		return nil
	}
	defer recovered(method, &err)
	tried := !b.constrained() // else it is held against the constraints first
	if tried && b.readPlain(raw, reflect.ValueOf(v), into.last) {
		return validate(b, v)
	}
	if bad := b.check.verify(raw, false); len(bad) > 0 {
		return violations(bad)
	}
	if b.check != nil && b.check.defaults {
		buf := getBuffer()
		defer putBuffer(&buffers, buf)
		filled, rest := b.check.fill(buf.b, raw, 0)
		buf.b = append(filled, rest...)
		raw, tried = buf.b, false
	}
	if tried || !b.readPlain(raw, reflect.ValueOf(v), into.last) {
		if err := unmarshal(raw, v); err != nil {
			return violations(decodeViolation(err, b.check))
		}
	}
	return validate(b, v)
}

// constrained reports whether a value of the type may be wrong.
func (b *body) constrained() bool { return b.check != nil && b.check.limits }

// readPlain reads raw into what v points to, by the layout of its type. It leaves it empty where that is not possible.
func (b *body) readPlain(raw []byte, v reflect.Value, last lastStrings) bool {
	if b.layout == nil {
		return false
	}
	if b.layout.read(raw, v.Elem(), last) {
		return true
	}
	v.Elem().SetZero()
	return false
}

// encode appends v to dst, validated. The error is like that of decode.
func encode[T any](b *body, method string, dst []byte, v *T) (out []byte, err error) {
	start := len(dst)
	defer func() {
		if err != nil {
			out = dst[:start]
		}
	}()
	if b.typ == rawType {
		raw := jsontext.Value(*any(v).(*stdjson.RawMessage))
		if !raw.IsValid() {
			return dst, violations{{"", "is no valid JSON"}}
		}
		return append(dst, raw...), nil
	}
	defer recovered(method, &err)
	if err := validate(b, v); err != nil {
		return dst, err
	}
	ok := false
	if b.layout != nil {
		out, ok = b.layout.write(dst, reflect.ValueOf(v).Elem())
	}
	if !ok {
		out, err = marshal(dst, v)
	}
	if err != nil {
		return dst, violations{encodeViolation(err)}
	}
	if b.check == nil || !b.check.limits && !(b.nulls && bytes.Contains(out[start:], []byte("null"))) {
		return out, nil // every member of a Go value is there, and of its type
	}
	return out, asError(b.check.verify(out[start:], false))
}

func validate[T any](b *body, v *T) error {
	switch b.valid {
	case validatePointer:
		return any(v).(validator).Validate()
	case validateValue:
		if own := any(*v); !reflect.ValueOf(own).IsNil() {
			return own.(validator).Validate()
		}
	}
	return nil
}

// encodeViolation says what cannot be written, and where.
func encodeViolation(err error) violation {
	v := violation{Message: "has no JSON form"}
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		v.Pointer = string(sem.JSONPointer)
		if sem.Err != nil {
			err = sem.Err
		}
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		v.Pointer += string(syn.JSONPointer)
		err = syn.Err
	}
	v.Message += ": " + err.Error()
	return v
}

// recovered turns a panic into an error.
func recovered(method string, err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{Method: method, Value: v, Stack: debug.Stack()}
	}
}
