package api

import (
	"math"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// write appends v as JSON to dst. It reports false for what the library is to write, or to refuse.
func (l *layout) write(dst []byte, v reflect.Value) (out []byte, ok bool) {
	switch l.kind {
	case reflect.Struct:
		return l.writeStruct(dst, v)
	case reflect.Slice:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, ok = l.elem.write(dst, v.Index(i)); !ok {
				return dst, false
			}
		}
		return append(dst, ']'), true
	case reflect.String:
		return writeString(dst, v.String())
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool()), true
	case reflect.Float32, reflect.Float64:
		f := v.Float()
		if size := math.Abs(f); size != 0 && !(size >= 1e-6 && size < 1e20) {
			return dst, false // with an exponent, or not a number
		}
		return strconv.AppendFloat(dst, f, 'f', -1, l.bits), true
	}
	if v.CanInt() {
		return strconv.AppendInt(dst, v.Int(), 10), true
	}
	return strconv.AppendUint(dst, v.Uint(), 10), true
}

func (l *layout) writeStruct(dst []byte, v reflect.Value) (out []byte, ok bool) {
	dst = append(dst, '{')
	first := len(dst)
	for i := range l.fields {
		m := &l.fields[i]
		field := v.Field(m.index)
		if m.omit == omitZero && field.IsZero() || m.omit == omitEmpty && field.Len() == 0 {
			continue
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = append(dst, m.lead...)
		if dst, ok = m.layout.write(dst, field); !ok {
			return dst, false
		}
	}
	return append(dst, '}'), true
}

func writeString(dst []byte, s string) (out []byte, ok bool) {
	start := len(dst)
	dst = append(append(dst, '"'), s...)
	if plainPrefix(dst[start+1:]) == len(s) {
		return append(dst, '"'), true
	}
	dst, err := jsontext.AppendQuote(dst[:start], s)
	return dst, err == nil
}
