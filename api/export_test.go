package api

import (
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
)

// Verify holds raw against a schema the way methods do, types and all, and returns what is wrong as texts.
func Verify(s *jsonschema.Schema, raw []byte) (bad []string) {
	for _, v := range compileCheck(s).verify(raw, true) {
		bad = append(bad, v.Pointer+" "+v.Message)
	}
	return bad
}

// Fill puts the defaults of a schema into raw.
func Fill(s *jsonschema.Schema, raw []byte) []byte {
	k := compileCheck(s)
	if k == nil {
		return raw
	}
	out, rest := k.fill(nil, raw, 0)
	return append(out, rest...)
}

// CompareNumbers compares two JSON numbers.
func CompareNumbers(a, b string) int {
	x, y := parseDecimal([]byte(a)), parseDecimal([]byte(b))
	return x.compare(&y)
}

// IsIntegral reports whether a JSON number is an integer.
func IsIntegral(a string) bool {
	d := parseDecimal([]byte(a))
	return d.integral()
}

// HasLayout reports whether values of T are written and read without the library where possible.
func HasLayout[T any]() bool { return layoutOf(reflect.TypeFor[T]()) != nil }

// ReadPlain reads raw by the layout of T, several times with the same strings at hand.
func ReadPlain[T any](raw []byte) (v T, ok bool) {
	l := layoutOf(reflect.TypeFor[T]())
	last := make(lastStrings, l.places(0))
	for range 2 {
		v = *new(T)
		ok = l.read(raw, reflect.ValueOf(&v).Elem(), last)
	}
	return v, ok
}

// WritePlain writes v by the layout of T.
func WritePlain[T any](v T) ([]byte, bool) {
	return layoutOf(reflect.TypeFor[T]()).write(nil, reflect.ValueOf(&v).Elem())
}

// Marshal is how the library writes v, Unmarshal how it reads raw.
func Marshal(v any) ([]byte, error)        { return marshal(nil, v) }
func Unmarshal(raw []byte, into any) error { return unmarshal(raw, into) }
