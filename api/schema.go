package api

import (
	"encoding"
	stdjson "encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// The library's own inference refuses recursive types, closes objects and does not know how this JSON package writes
// []byte and text types, so the walk over Go types is ours and the library supplies the schema and its validation.

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	rawType      = reflect.TypeFor[stdjson.RawMessage]()
	valueType    = reflect.TypeFor[jsontext.Value]()
	noneType     = reflect.TypeFor[None]()
)

var (
	writesText = []reflect.Type{reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextAppender]()}
	readsText  = []reflect.Type{reflect.TypeFor[encoding.TextUnmarshaler]()}
	writesJSON = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.MarshalerTo]()}
	readsJSON  = []reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[json.UnmarshalerFrom]()}
)

// implements reports whether a value of type t, which is addressable, has the methods of one of the interfaces.
func implements(t reflect.Type, interfaces []reflect.Type) bool {
	return slices.ContainsFunc(interfaces, reflect.PointerTo(t).Implements)
}

// schemas infers the JSON Schemas of the Go types of one API. Recursive types become definitions, whose names are
// unique within the API.
type schemas struct {
	defs  map[string]*jsonschema.Schema
	names map[reflect.Type]string // of the recursive types
	taken map[string]bool

	active map[reflect.Type]bool // types that are being walked, to notice recursion
}

func newSchemas() *schemas {
	return &schemas{defs: map[string]*jsonschema.Schema{}, names: map[reflect.Type]string{}, taken: map[string]bool{},
		active: map[reflect.Type]bool{}}
}

// of returns the schema of t as this package writes it, complete with the definitions that it refers to. A type that
// JSON cannot carry is an error that names the field.
func (w *schemas) of(t reflect.Type) (*jsonschema.Schema, error) {
	s, err := w.schema(t, t.String())
	if err != nil {
		clear(w.active)
		return nil, err
	}
	if name, ok := strings.CutPrefix(s.Ref, refInSchema); ok { // the root is recursive: it is spelled out
		s = w.defs[name].CloneSchemas()
	}
	defs := map[string]*jsonschema.Schema{}
	w.collect(s, defs)
	if len(defs) > 0 {
		s.Defs = defs
	}
	return s, nil
}

// collect gathers copies of the definitions that s refers to, directly or not.
func (w *schemas) collect(s *jsonschema.Schema, into map[string]*jsonschema.Schema) {
	if s == nil {
		return
	}
	if name, ok := strings.CutPrefix(s.Ref, refInSchema); ok && into[name] == nil {
		into[name] = w.defs[name].CloneSchemas()
		w.collect(into[name], into)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		w.collect(s.Properties[name], into)
	}
	w.collect(s.Items, into)
	w.collect(s.AdditionalProperties, into)
	for _, sub := range s.AnyOf {
		w.collect(sub, into)
	}
}

// schema returns the schema of t. Named types that lead back to themselves are walked once and referred to.
func (w *schemas) schema(t reflect.Type, at string) (*jsonschema.Schema, error) {
	if _, ok := w.names[t]; !ok && !w.active[t] {
		if t.Name() == "" || t.Kind() < reflect.Array || t.Kind() == reflect.String {
			return w.infer(t, at)
		}
		w.active[t] = true
		s, err := w.infer(t, at)
		delete(w.active, t)
		if err != nil {
			return nil, err
		}
		name, ok := w.names[t]
		if !ok {
			return s, nil
		}
		if s.Ref != "" || len(s.AnyOf) > 0 {
			return nil, fmt.Errorf("%s: a pointer to itself has no JSON form", at)
		}
		w.defs[name] = s
	}
	return &jsonschema.Schema{Ref: refInSchema + w.name(t)}, nil
}

func (w *schemas) infer(t reflect.Type, at string) (*jsonschema.Schema, error) {
	switch {
	case t.Kind() == reflect.Pointer:
		return w.pointer(t, at)
	case t.Kind() == reflect.Interface && t.NumMethod() > 0:
		return nil, fmt.Errorf("%s: an interface with methods cannot be decoded", at)
	case t == rawType, t == valueType:
		return &jsonschema.Schema{}, nil
	case t == timeType:
		return &jsonschema.Schema{Type: "string", Format: "date-time"}, nil
	case t == durationType:
		return nil, fmt.Errorf("%s: time.Duration has no JSON form: use a number whose name tells the unit, such as timeout_ms", at)
	case t == noneType:
		return &jsonschema.Schema{Type: "null"}, nil
	case implements(t, writesJSON) || implements(t, readsJSON):
		if !implements(t, readsJSON) && !implements(t, readsText) {
			return nil, fmt.Errorf("%s: %s writes its own JSON and cannot read it: give it UnmarshalJSON", at, t)
		}
		if !implements(t, writesJSON) && !implements(t, writesText) {
			return nil, fmt.Errorf("%s: %s reads its own JSON and does not write it: give it MarshalJSON", at, t)
		}
		return &jsonschema.Schema{}, nil // it writes what it likes
	case implements(t, writesText), implements(t, readsText):
		if t.Kind() != reflect.String && implements(t, writesText) != implements(t, readsText) {
			return nil, fmt.Errorf("%s: %s needs both MarshalText and UnmarshalText", at, t)
		}
		return &jsonschema.Schema{Type: "string"}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &jsonschema.Schema{Type: "integer"}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return &jsonschema.Schema{Type: "integer", Minimum: unsignedMinimum}, nil
	case reflect.Float32, reflect.Float64:
		return &jsonschema.Schema{Type: "number"}, nil
	case reflect.String:
		return &jsonschema.Schema{Type: "string"}, nil
	case reflect.Interface:
		return &jsonschema.Schema{}, nil
	case reflect.Slice, reflect.Array:
		return w.list(t, at)
	case reflect.Map:
		return w.dictionary(t, at)
	case reflect.Struct:
		return w.object(t, at)
	}
	return nil, fmt.Errorf("%s: %s has no JSON form", at, t)
}

// pointer makes the schema of what a pointer points to accept null too.
func (w *schemas) pointer(t reflect.Type, at string) (*jsonschema.Schema, error) {
	s, err := w.schema(t.Elem(), at)
	switch {
	case err != nil || len(s.AnyOf) > 0 || slices.Contains(s.Types, "null") || s.Type == "null":
	case s.Ref != "":
		s = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{s, {Type: "null"}}}
	case s.Type != "":
		s.Types, s.Type = []string{s.Type, "null"}, ""
	}
	return s, err
}

func (w *schemas) list(t reflect.Type, at string) (*jsonschema.Schema, error) {
	if t.Elem().Kind() == reflect.Uint8 && t.Elem().PkgPath() == "" {
		return &jsonschema.Schema{Type: "string", ContentEncoding: "base64"}, nil
	}
	items, err := w.schema(t.Elem(), at+"[]")
	if err != nil {
		return nil, err
	}
	s := &jsonschema.Schema{Type: "array", Items: items}
	if t.Kind() == reflect.Array {
		n := t.Len()
		s.MinItems, s.MaxItems = &n, &n
	}
	return s, nil
}

func (w *schemas) dictionary(t reflect.Type, at string) (*jsonschema.Schema, error) {
	switch k := t.Key(); {
	case k.Kind() == reflect.String, implements(k, writesText) && implements(k, readsText):
	case k.Kind() >= reflect.Int && k.Kind() <= reflect.Float64 && k != durationType:
	default:
		return nil, fmt.Errorf("%s: a map with keys of type %s has no JSON form", at, k)
	}
	values, err := w.schema(t.Elem(), at+"[]")
	if err != nil {
		return nil, err
	}
	return &jsonschema.Schema{Type: "object", AdditionalProperties: values}, nil
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// name returns the name of a recursive type under $defs: its own, with the package's where another type has that, and
// a number where that is not enough.
func (w *schemas) name(t reflect.Type) string {
	if name, ok := w.names[t]; ok {
		return name
	}
	short := typeName(t)
	name := short
	for i := 1; w.taken[name]; i++ {
		if name = path.Base(t.PkgPath()) + "." + short; i > 1 {
			name += "_" + strconv.Itoa(i)
		}
	}
	w.names[t], w.taken[name] = name, true
	return name
}

var packagePath = regexp.MustCompile(`[\w./~-]*/`)

// typeName returns the name of a type, in the form of Page_lab.Item where it is generic.
func typeName(t reflect.Type) string {
	return strings.Trim(notInName.ReplaceAllString(packagePath.ReplaceAllString(t.Name(), ""), "_"), "_")
}
