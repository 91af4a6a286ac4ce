package api

import (
	"encoding"
	stdjson "encoding/json"
	"fmt"
	"maps"
	"reflect"
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
	textType     = reflect.TypeFor[encoding.TextMarshaler]()
	textToType   = reflect.TypeFor[encoding.TextAppender]()
	jsonType     = reflect.TypeFor[json.Marshaler]()
	jsonToType   = reflect.TypeFor[json.MarshalerTo]()
)

// schemaOf infers the JSON Schema of a Go type as it is written by this package. A type that JSON cannot carry is an
// error that names the field.
func schemaOf(t reflect.Type) (*jsonschema.Schema, error) {
	w := &typeWalk{active: map[reflect.Type]bool{}, defs: map[string]*jsonschema.Schema{}, named: map[reflect.Type]string{}}
	s, err := w.schema(t, t.String())
	if err != nil {
		return nil, err
	}
	if len(w.defs) > 0 {
		if s.Ref != "" { // the root itself is recursive: a copy of it carries the definitions
			c := *w.defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
			s = &c
		}
		s.Defs = w.defs
	}
	return s, nil
}

type typeWalk struct {
	active map[reflect.Type]bool   // structs being walked, to notice recursion
	named  map[reflect.Type]string // recursive structs and their names under $defs
	defs   map[string]*jsonschema.Schema
}

func (w *typeWalk) schema(t reflect.Type, at string) (*jsonschema.Schema, error) {
	switch {
	case t == rawType || t == valueType:
		return &jsonschema.Schema{}, nil
	case t == timeType:
		return &jsonschema.Schema{Type: "string", Format: "date-time"}, nil
	case t == durationType:
		return nil, fmt.Errorf("%s: time.Duration has no JSON form: use a number whose name tells the unit, such as timeout_ms", at)
	case t == noneType:
		return &jsonschema.Schema{Type: "null"}, nil
	case implements(t, jsonType), implements(t, jsonToType):
		return &jsonschema.Schema{}, nil // it writes what it likes
	case implements(t, textType), implements(t, textToType):
		return &jsonschema.Schema{Type: "string"}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &jsonschema.Schema{Type: "integer"}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return &jsonschema.Schema{Type: "integer", Minimum: new(float64)}, nil
	case reflect.Float32, reflect.Float64:
		return &jsonschema.Schema{Type: "number"}, nil
	case reflect.String:
		return &jsonschema.Schema{Type: "string"}, nil
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return nil, fmt.Errorf("%s: an interface with methods cannot be decoded", at)
		}
		return &jsonschema.Schema{}, nil
	case reflect.Pointer:
		s, err := w.schema(t.Elem(), at)
		if err != nil || s.Type == "" {
			return s, err
		}
		s.Types, s.Type = []string{s.Type, "null"}, ""
		return s, nil
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 && !implements(t.Elem(), textType) {
			return &jsonschema.Schema{Type: "string", ContentEncoding: "base64"}, nil
		}
		items, err := w.schema(t.Elem(), at+"[]")
		if err != nil {
			return nil, err
		}
		s := &jsonschema.Schema{Type: "array", Items: items}
		if t.Kind() == reflect.Array {
			n, m := t.Len(), t.Len()
			s.MinItems, s.MaxItems = &n, &m
		}
		return s, nil
	case reflect.Map:
		switch k := t.Key(); {
		case k.Kind() == reflect.String, implements(k, textType), k.Kind() >= reflect.Int && k.Kind() <= reflect.Uint64:
		default:
			return nil, fmt.Errorf("%s: a map with keys of type %s has no JSON form", at, k)
		}
		values, err := w.schema(t.Elem(), at+"[]")
		if err != nil {
			return nil, err
		}
		return &jsonschema.Schema{Type: "object", AdditionalProperties: values}, nil
	case reflect.Struct:
		return w.object(t, at)
	}
	return nil, fmt.Errorf("%s: %s has no JSON form", at, t)
}

func (w *typeWalk) object(t reflect.Type, at string) (*jsonschema.Schema, error) {
	if w.active[t] {
		name, ok := w.named[t]
		if !ok {
			name = t.Name()
			for slices.Contains(slices.Collect(maps.Values(w.named)), name) {
				name += "_"
			}
			w.named[t] = name
		}
		return &jsonschema.Schema{Ref: "#/$defs/" + name}, nil
	}
	w.active[t] = true
	defer delete(w.active, t)
	s := &jsonschema.Schema{Type: "object"}
	if err := w.fields(s, t, at); err != nil {
		return nil, err
	}
	if name, ok := w.named[t]; ok {
		w.defs[name] = s
		return &jsonschema.Schema{Ref: "#/$defs/" + name}, nil
	}
	return s, nil
}

// fields adds the members that t's fields become, those of embedded structs included.
func (w *typeWalk) fields(s *jsonschema.Schema, t reflect.Type, at string) error {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("json")
		name, opts, _ := strings.Cut(tag, ",")
		if tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		optional := func(o string) bool { return slices.Contains(strings.Split(opts, ","), o) }
		if f.Anonymous && (!tagged || name == "") || optional("inline") || optional("unknown") {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				if err := w.fields(s, inner, at); err != nil {
					return err
				}
			}
			continue
		}
		if name == "" {
			name = f.Name
		}
		name = strings.Trim(name, "'")
		where := at + "." + f.Name
		p, err := w.schema(f.Type, where)
		if strings.Contains(opts, "format:") && f.Type == durationType {
			p, err = &jsonschema.Schema{}, nil // the tag gives it a form
		}
		if err != nil {
			return err
		}
		if optional("string") && (p.Type == "integer" || p.Type == "number") {
			p = &jsonschema.Schema{Type: "string"}
		}
		if p, err = applyTags(p, f, where); err != nil {
			return err
		}
		if s.Properties == nil {
			s.Properties = map[string]*jsonschema.Schema{}
		}
		s.Properties[name] = p
		s.PropertyOrder = append(s.PropertyOrder, name)
		if !optional("omitempty") && !optional("omitzero") && p.Default == nil {
			s.Required = append(s.Required, name)
		}
	}
	return nil
}

// constraintTags are the field tags that carry a JSON Schema keyword of the same name.
var constraintTags = []string{"minimum", "maximum", "default", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "writeOnly", "jsonschema"}

func applyTags(p *jsonschema.Schema, f reflect.StructField, at string) (*jsonschema.Schema, error) {
	c := *p
	for _, tag := range constraintTags {
		v, ok := f.Tag.Lookup(tag)
		if !ok {
			continue
		}
		if err := applyTag(&c, tag, v); err != nil {
			return nil, fmt.Errorf("%s: tag %s:%q: %w", at, tag, v, err)
		}
	}
	return &c, nil
}

func applyTag(s *jsonschema.Schema, tag, v string) (err error) {
	float := func(dst **float64) error {
		n, err := strconv.ParseFloat(v, 64)
		*dst = &n
		return err
	}
	count := func(dst **int) error {
		n, err := strconv.Atoi(v)
		if err == nil && n < 0 {
			err = fmt.Errorf("a count is not negative")
		}
		*dst = &n
		return err
	}
	switch tag {
	case "minimum":
		return float(&s.Minimum)
	case "maximum":
		return float(&s.Maximum)
	case "minLength":
		return count(&s.MinLength)
	case "maxLength":
		return count(&s.MaxLength)
	case "minItems":
		return count(&s.MinItems)
	case "maxItems":
		return count(&s.MaxItems)
	case "pattern":
		_, err := compilePattern(v)
		s.Pattern = v
		return err
	case "writeOnly":
		s.WriteOnly, err = strconv.ParseBool(v)
		return err
	case "jsonschema":
		s.Description = v
		return nil
	case "default":
		s.Default, err = tagValue(s, v)
		return err
	case "enum":
		for part := range strings.SplitSeq(v, ",") {
			raw, err := tagValue(s, strings.TrimSpace(part))
			if err != nil {
				return err
			}
			var e any
			if err := stdjson.Unmarshal(raw, &e); err != nil {
				return err
			}
			s.Enum = append(s.Enum, e)
		}
	}
	return nil
}

// tagValue reads a tag's text as a value of the field's type: a string field takes the text as it is, any other JSON.
func tagValue(s *jsonschema.Schema, text string) (stdjson.RawMessage, error) {
	if s.Type == "string" || slices.Contains(s.Types, "string") {
		return stdjson.Marshal(text)
	}
	raw := stdjson.RawMessage(text)
	var v any
	if err := stdjson.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("not a JSON value: %w", err)
	}
	bare := *s
	bare.Default, bare.Enum, bare.Defs = nil, nil, nil
	if r, err := bare.Resolve(nil); err == nil {
		if err := r.Validate(v); err != nil {
			return nil, err
		}
	}
	return raw, nil
}

func implements(t, iface reflect.Type) bool {
	return t.Implements(iface) || t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(iface)
}
