package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"peermesh/api"
	"peermesh/examples/lab"
)

// schemasUnderFuzz are what FuzzCheck compares on: all that the check knows, alone and together.
var schemasUnderFuzz = []string{
	`{"type":"integer"}`,
	`{"type":["number","null"],"minimum":-1.5,"maximum":100}`,
	`{"minimum":9007199254740992}`,
	`{"type":"string","minLength":1,"maxLength":3,"pattern":"^a*$"}`,
	`{"enum":["a",1,true,null,1.5,"\u00e4"]}`,
	`{"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2}`,
	`{"type":"object","properties":{"a":{"type":"integer","maximum":3},"b":{"type":"array","items":{"type":"string"}},"c":{}},"required":["a","z"]}`,
	`{"type":"object","additionalProperties":{"type":["object","null"],"properties":{"x":{"minLength":2}}}}`,
	`{"$ref":"#/$defs/N","$defs":{"N":{"type":"object","properties":{"v":{"type":"integer","minimum":1},"n":{"anyOf":[{"$ref":"#/$defs/N"},{"type":"null"}]},"l":{"type":"array","items":{"$ref":"#/$defs/N"}}},"required":["v"]}}}`,
	`{}`,
}

// FuzzCheck holds texts against schemas by the walk over raw JSON and by the library, which must agree.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{`1`, `-1.5`, `9007199254740993`, `1e2`, `1.0`, `null`, `true`, `"a"`, `"\u0061\ud83d\ude00"`, `[true]`, `[]`, `[1,2,3]`,
		`{}`, `{"a":3,"b":["x"],"z":null}`, `{"\u0061":4,"z":1}`, `{"k":{"x":"y"},"l":null}`, `{"v":1,"n":{"v":0},"l":[{"v":2},{}]}`, `{"a":1 "b":2}`,
		`[1 2]`, `{"a":1,}`, `{"a"}`, `tru`, `1e99999999999`, `-`, `"`, `[[[[`, `]`, `{"":{"":[]}}`, `1e-400`, `0.00`, `-0`} {
		for i := range schemasUnderFuzz {
			f.Add(byte(i), []byte(text))
		}
	}
	var schemas []*jsonschema.Schema
	var resolved []*jsonschema.Resolved
	for _, text := range schemasUnderFuzz {
		s := new(jsonschema.Schema)
		if err := json.Unmarshal([]byte(text), s); err != nil {
			f.Fatal(err)
		}
		r, err := s.Resolve(nil)
		if err != nil {
			f.Fatal(err)
		}
		schemas, resolved = append(schemas, s), append(resolved, r)
	}
	f.Fuzz(func(t *testing.T, i byte, raw []byte) {
		n := int(i) % len(schemas)
		bad := api.Verify(schemas[n], raw)
		filled := api.Fill(schemas[n], raw)
		if jsontext.Value(filled).IsValid() != jsontext.Value(raw).IsValid() {
			t.Fatalf("%q was filled up to %q", raw, filled)
		}
		if !jsontext.Value(raw).IsValid() {
			return // nothing but an end is promised
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil || hugeNumbers(raw) {
			return
		}
		v, ok := exact(v)
		if !ok || depthOf(v) > 60 {
			return
		}
		if err := resolved[n].Validate(v); (err == nil) != (len(bad) == 0) {
			t.Fatalf("%s against %s: library: %v, check: %v", raw, schemasUnderFuzz[n], err, bad)
		}
	})
}

// hugeNumbers reports whether there may be a number in raw whose exponent the library would calculate with.
func hugeNumbers(raw []byte) bool {
	for i, c := range raw {
		if (c == 'e' || c == 'E') && i+4 < len(raw) && strings.Trim(string(raw[i+1:i+4]), "+-0123456789") == "" {
			return true
		}
	}
	return false
}

// exact turns the numbers of v into ones that the library compares exactly: float64 where they are one, int64 or not at
// all.
func exact(v any) (any, bool) {
	switch v := v.(type) {
	case json.Number:
		r, ok := new(big.Rat).SetString(v.String())
		if !ok {
			return nil, false
		}
		if n, err := v.Int64(); err == nil {
			return n, true
		}
		x, err := v.Float64()
		if err != nil || new(big.Rat).SetFloat64(x).Cmp(r) != 0 {
			return nil, false
		}
		return x, true
	case []any:
		for i := range v {
			var ok bool
			if v[i], ok = exact(v[i]); !ok {
				return nil, false
			}
		}
	case map[string]any:
		for k := range v {
			var ok bool
			if v[k], ok = exact(v[k]); !ok {
				return nil, false
			}
		}
	}
	return v, true
}

func depthOf(v any) (d int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			d = max(d, depthOf(e))
		}
		return d + 1
	case map[string]any:
		for _, e := range v {
			d = max(d, depthOf(e))
		}
		return d + 1
	}
	return 0
}

// FuzzDecodeParams gives any bytes to handlers of several types. Nothing panics, and what does not fit is
// CodeInvalidParams; what a handler gets is within its limits.
func FuzzDecodeParams(f *testing.F) {
	for _, text := range []string{``, `{}`, `[]`, `{"n":5}`, `{"n":-5}`, `{"l":[{"a/b~c":"x"}],"m":null}`, `[1,"x"]`, `{"kids":[{"v":1}],"own":null}`,
		`{"a":1,"b":2}`, `null`, `[null]`, `{"n":1 "s":"aa"}`, "\xff", `{"q":"1","r":[1,2],"t":"2020-01-01T00:00:00Z","a":"::1","d":"aGk="}`} {
		f.Add([]byte(text))
	}
	decoders := []func([]byte) error{
		decoder(func(p limits) bool { return p.N >= -2 && p.N <= 1000 && p.F <= 0.3 }),
		decoder(func(p recursive) bool { return true }),
		decoder(func(p map[string]*inner) bool { return true }),
		decoder(func(p []limits) bool { return true }),
		decoder(func(p api.None) bool { return true }),
		decoder(func(p json.RawMessage) bool { return true }),
		decoder(func(p line) bool { return true }, api.Positional()),
		decoder(func(p Embedding) bool { return true }),
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for i, decode := range decoders {
			if err := decode(raw); err != nil && api.CodeOf(err) != api.CodeInvalidParams {
				t.Fatalf("%d: %v", i, err)
			}
		}
	})
}

func decoder[P any](within func(P) bool, opts ...api.Option) func([]byte) error {
	d := api.Define[near, far]("t", "1", "")
	c := api.IncomingCall[P, api.None](d, "m", "", opts...)
	port := api.Bind(new(network).node("a"), d)
	c.Handle(port, func(_ context.Context, p P) (api.None, error) {
		if !within(p) {
			return api.None{}, api.Errorf(api.CodeInternal, "a handler got %v", p)
		}
		return api.None{}, nil
	})
	return func(raw []byte) error {
		_, err := port.Binding().Dispatch(context.Background(), "m", raw, nil)
		return err
	}
}

// FuzzParse reads any bytes as a document. What Parse accepts can be inverted, hashed, merged, resolved and served.
func FuzzParse(f *testing.F) {
	own, err := lab.API.OpenRPC().MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte(foreign))
	f.Add([]byte(`{"openrpc":"1.3.2","info":{"title":"t","version":"1"},"x-apis":{"a":{"version":"1","side":"s","hash":"h"}},"methods":[],"x-outgoing":[]}`))
	for _, components := range []string{`"A":{"$ref":"#/components/schemas/A"}`, `"A":{"items":{"$ref":"#/components/schemas/A"}}`, `"A":true`,
		`"A":{"properties":{"a":{"anyOf":[{"$ref":"#/components/schemas/A"},{"type":"null"}]}}}`} {
		f.Add([]byte(`{"openrpc":"1.3.2","info":{"title":"t","version":"1"},"methods":[{"name":"t.m","params":[{"name":"a","schema":{"$ref":"#/components/schemas/A"}}],` +
			`"x-params":{"default":1}}],"components":{"schemas":{` + components + `}}}`))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := api.Parse(raw)
		if err != nil {
			return
		}
		text, err := d.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := api.Parse(text)
		if err != nil {
			t.Fatalf("%s\nread back: %v", text, err)
		}
		same(t, "read back", again, d)
		same(t, "inverted twice", d.Invert().Invert(), d)
		if d.Hash() != again.Hash() {
			t.Fatal("hash")
		}
		var merged api.Document
		merged.Merge(d)
		merged.Merge(d)
		for i := range d.Methods {
			if _, err := d.ParamsOf(&d.Methods[i]); err != nil {
				t.Fatal(err)
			}
			if _, err := d.ResultOf(&d.Methods[i]); err != nil {
				t.Fatal(err)
			}
		}
		b, err := api.Serve(d, 0, answerWith("1"))
		if err != nil {
			return
		}
		for _, m := range b.Incoming() {
			for _, params := range []string{"", "{}", "[1]", `{"a":{"a":{"a":null}}}`, `[[[[[1]]]]]`} {
				_, _ = b.Dispatch(context.Background(), m.Name, []byte(params), nil) // what is promised is an end
			}
		}
	})
}
