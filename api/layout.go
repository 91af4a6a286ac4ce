package api

import (
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A layout is how values of a plain Go type stand in JSON: a type of structs, slices, strings, numbers and booleans that
// writes and reads nothing by methods of its own. Such types are most of what is sent, and reading and writing them by
// their layout takes less than half of the library's time. It is a shorter way and no other one: what does not look exactly
// as such a type is written (another order of members, a member that is not known, an escape, a null) is left to the
// library, from its beginning, and so are all errors.
type layout struct {
	kind   reflect.Kind
	bits   int            // of a number
	place  int            // of a string: where the last one is kept
	fields []layoutMember // of a struct
	elem   *layout        // of a slice
}

type layoutMember struct {
	lead   []byte // the name as JSON, and the colon
	index  int    // of the field
	layout *layout
	omit   omission
	absent bool // it may be
}

// omission says when a member is not written.
type omission uint8

const (
	omitNever omission = iota
	omitZero           // when it is the zero value
	omitEmpty          // when it is an empty string or list
)

// layoutOf returns the layout of a type, nil where it has none. outer are the types around it.
func layoutOf(t reflect.Type, outer ...reflect.Type) *layout {
	for _, ways := range [][]reflect.Type{writesJSON, readsJSON, writesText, readsText} {
		if implements(t, ways) {
			return nil
		}
	}
	if slices.Contains(outer, t) {
		return nil
	}
	outer = append(outer[:len(outer):len(outer)], t)
	l := &layout{kind: t.Kind()}
	switch l.kind {
	case reflect.Bool, reflect.String:
		return l
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		l.bits = t.Bits()
		return l
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return nil // base64
		}
		if l.elem = layoutOf(t.Elem(), outer...); l.elem == nil {
			return nil
		}
		return l
	case reflect.Struct:
		return l.structOf(t, outer)
	}
	return nil
}

// places numbers the strings of a layout from n on, and returns the number behind the last.
func (l *layout) places(n int) int {
	switch {
	case l.kind == reflect.String:
		l.place = n
		return n + 1
	case l.elem != nil:
		return l.elem.places(n)
	}
	for i := range l.fields {
		n = l.fields[i].layout.places(n)
	}
	return n
}

// structOf adds the members of a struct; nil where one of them has no layout, or is embedded.
func (l *layout) structOf(t reflect.Type, outer []reflect.Type) *layout {
	fields, rest, err := membersOf(t)
	if err != nil || rest != nil {
		return nil
	}
	for _, f := range fields {
		m := layoutMember{index: f.index[0], layout: layoutOf(f.Type, outer...)}
		if m.layout == nil || len(f.index) > 1 || strings.ContainsRune(f.Tag.Get("json"), '\'') {
			return nil
		}
		for _, option := range f.options {
			switch {
			case option == "":
			case option == "omitzero" && !knowsZero(f.Type):
				m.omit = omitZero
			case option == "omitempty" && (m.layout.kind == reflect.String || m.layout.kind == reflect.Slice):
				m.omit = omitEmpty
			default:
				return nil
			}
		}
		_, fallback := f.Tag.Lookup("default")
		m.absent = m.omit != omitNever && !fallback
		m.lead, err = jsontext.AppendQuote(nil, f.name)
		if err != nil {
			return nil
		}
		m.lead = append(m.lead, ':')
		l.fields = append(l.fields, m)
	}
	return l
}

// knowsZero reports whether a type says itself what its zero value is.
func knowsZero(t reflect.Type) bool {
	_, ok := reflect.PointerTo(t).MethodByName("IsZero")
	return ok
}
