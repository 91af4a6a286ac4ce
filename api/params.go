package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeParams reads the params of one message into p. What is wrong is a *Error, in general with CodeInvalidParams,
// or a *PanicError.
func decodeParams[P any](m *Method, raw []byte, p *boxed[P]) error {
	b := m.params
	raw = skipSpace(raw)
	switch {
	case b.typ == noneType:
		if len(raw) > 0 && !isEmptyValue(raw) {
			return Errorf(CodeInvalidParams, "%s takes no params", m.Wire)
		}
		return nil
	case len(raw) == 0 && b.typ == rawType:
		return nil
	case len(raw) == 0 && b.typ.Kind() == reflect.Slice:
		raw = []byte("[]")
	case len(raw) == 0:
		raw = []byte("{}")
	case raw[0] == '[' && b.typ.Kind() == reflect.Struct:
		if !m.Positional {
			return Errorf(CodeInvalidParams, "%s takes params by name, not by position", m.Wire)
		}
		var err error
		if raw, err = byName(m.Wire, b.fields, b.schema.Required, raw); err != nil {
			return err
		}
	}
	if err := decode(b, m.Wire, raw, p); err != nil {
		return invalidParams(err)
	}
	return nil
}

// encodeParams appends p as the params of m to dst, validated; nothing for None. The error is like that of
// decodeParams.
func encodeParams[P any](m *Method, dst []byte, p *P) ([]byte, error) {
	switch m.params.typ {
	case noneType:
		return dst, nil
	case rawType:
		raw := skipSpace(*any(p).(*json.RawMessage))
		if len(raw) == 0 {
			return dst, nil
		}
		if raw[0] != '{' && raw[0] != '[' {
			return dst, Errorf(CodeInvalidParams, "params are an object or an array")
		}
	}
	dst, err := encode(m.params, m.Wire, dst, p)
	if err != nil {
		return dst, invalidParams(err)
	}
	return dst, nil
}

// encodeResult appends a handler's result to dst, validated. A result that is wrong is the handler's fault, not the
// caller's.
func encodeResult[R any](m *Method, dst []byte, result R) ([]byte, error) {
	r := box[R](m.result)
	defer unbox(m.result, r)
	r.v = result
	if m.result.typ == noneType || m.result.typ == rawType && len(*any(&r.v).(*json.RawMessage)) == 0 {
		return append(dst, "null"...), nil
	}
	dst, err := encode(m.result, m.Wire, dst, &r.v)
	if err == nil || isPanic(err) {
		return dst, err
	}
	return dst, Errorf(CodeInternal, "the result of %s does not fit its definition: %v", m.Wire, err)
}

// decodeResult reads a peer's raw result. One that does not fit the definition is an error of the call, not of the
// peer: the handler ran.
func decodeResult[R any](m *Method, peer string, raw []byte) (r R, err error) {
	if m.result.typ == noneType {
		return r, nil
	}
	held := box[R](m.result)
	defer unbox(m.result, held)
	err = decode(m.result, m.Wire, raw, held)
	if err == nil {
		return held.v, nil
	}
	if !isPanic(err) {
		err = errors.New(err.Error()) // not the peer's *Error, whatever Validate returns
	}
	return r, &CallError{Peer: peer, Method: m.Wire, Err: fmt.Errorf("%w: the result does not fit the definition: %w", ErrOutcomeUnknown, err)}
}

func isPanic(err error) bool {
	var panicked *PanicError
	return errors.As(err, &panicked)
}

// byName turns params by position into an object.
func byName(method string, fields, required []string, raw []byte) ([]byte, error) {
	out := []byte{'{'}
	n := 0
	rest := skipSpace(raw[1:])
	for ; len(rest) > 0 && rest[0] != ']'; n++ {
		if n == len(fields) {
			return nil, Errorf(CodeInvalidParams, "too many params: %s takes %d", method, len(fields))
		}
		after, ok := skipValue(rest)
		if !ok {
			break
		}
		if n > 0 {
			out = append(out, ',')
		}
		out, _ = jsontext.AppendQuote(out, fields[n]) // the name of a field is UTF-8
		out = append(append(out, ':'), rest[:len(rest)-len(after)]...)
		if rest, ok = nextItem(after, ']'); !ok {
			break
		}
	}
	if len(rest) == 0 || rest[0] != ']' || len(skipSpace(rest[1:])) > 0 {
		return nil, invalidParams(violations{{"", "is no valid JSON"}})
	}
	for _, name := range fields[n:] {
		if slices.Contains(required, name) {
			return nil, Errorf(CodeInvalidParams, "too few params: %s needs %s", method, name)
		}
	}
	return append(out, '}'), nil
}
