package api_test

import (
	"context"
	"encoding/json"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"peermesh/api"
	"peermesh/api/testdata/other"
)

type (
	near struct{}
	far  struct{}
)

// define makes an API of one call that returns R and a notification that takes P, and returns its document.
func documentOf[P, R any](name string, opts ...api.Option) api.Document {
	d := api.Define[near, far]("t", "1", "")
	api.IncomingCall[P, R](d, name, "", opts...)
	return d.OpenRPC()
}

type (
	Empty struct{}
	Plain struct {
		S string
		B bool
		I int16
		U uint
		F float32
	}
	Embedding struct {
		Plain
		*Deep
		Own string `json:"S"` // hides Plain.S
	}
	Deep struct {
		Level int `json:"level"`
		Twice int `json:"I"` // counts, for Plain.I stands at the same depth and no tag names it
	}
	Node struct {
		Value    int     `json:"value"`
		Children []Node  `json:"children,omitempty"`
		Next     *Node   `json:"next,omitempty"`
		Others   Friends `json:"others,omitempty"`
	}
	Friends     map[string]*Node
	Tree        []Tree
	Page[T any] struct {
		Items []T      `json:"items"`
		Next  *Page[T] `json:"next,omitempty"`
	}
	Color int
	Rest  struct {
		A    int            `json:"a"`
		More map[string]int `json:",embed"`
	}
	RestRaw struct {
		A    int            `json:"a"`
		More jsontext.Value `json:",embed"`
	}
	Two struct {
		Mine   *Node       `json:"mine"`
		Theirs *other.Node `json:"theirs"`
	}
	Self *Self
)

func (c Color) MarshalText() ([]byte, error)     { return []byte{'c', '0' + byte(c)}, nil }
func (c *Color) UnmarshalText(text []byte) error { *c = Color(text[1] - '0'); return nil }

type named byte

func TestSchemas(t *testing.T) {
	t.Parallel()
	ref := func(name string) string { return `{"$ref":"#/components/schemas/` + name + `"}` }
	orNull := func(name string) string { return `{"anyOf":[` + ref(name) + `,{"type":"null"}]}` }
	for _, c := range []struct {
		doc  api.Document
		want string // the result's schema
		defs string // the components
	}{
		{doc: documentOf[api.None, api.None]("a"), want: `{"type":"null"}`},
		{doc: documentOf[api.None, Empty]("a"), want: `{"type":"object","properties":{}}`},
		{doc: documentOf[api.None, Plain]("a"), want: `{"type":"object","properties":{"S":{"type":"string"},"B":{"type":"boolean"},
			"I":{"type":"integer"},"U":{"type":"integer","minimum":0},"F":{"type":"number"}},"required":["S","B","I","U","F"]}`},
		{doc: documentOf[api.None, Embedding]("a"), want: `{"type":"object","properties":{"B":{"type":"boolean"},
			"U":{"type":"integer","minimum":0},"F":{"type":"number"},"level":{"type":"integer"},"I":{"type":"integer"},"S":{"type":"string"}},
			"required":["B","U","F","S"]}`},
		{doc: documentOf[api.None, *Plain]("a"), want: `{"type":["object","null"],"properties":{"S":{"type":"string"},"B":{"type":"boolean"},
			"I":{"type":"integer"},"U":{"type":"integer","minimum":0},"F":{"type":"number"}},"required":["S","B","I","U","F"]}`},
		{doc: documentOf[api.None, []byte]("a"), want: `{"type":"string","contentEncoding":"base64"}`},
		{doc: documentOf[api.None, [4]byte]("a"), want: `{"type":"string","contentEncoding":"base64"}`},
		{doc: documentOf[api.None, []named]("a"), want: `{"type":"array","items":{"type":"integer","minimum":0}}`},
		{doc: documentOf[api.None, [2]int]("a"), want: `{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":2}`},
		{doc: documentOf[api.None, [][]byte]("a"), want: `{"type":"array","items":{"type":"string","contentEncoding":"base64"}}`},
		{doc: documentOf[api.None, map[string][]*bool]("a"), want: `{"type":"object","additionalProperties":{"type":"array","items":{"type":["boolean","null"]}}}`},
		{doc: documentOf[api.None, map[int]string]("a"), want: `{"type":"object","additionalProperties":{"type":"string"}}`},
		{doc: documentOf[api.None, map[netip.Addr]int]("a"), want: `{"type":"object","additionalProperties":{"type":"integer"}}`},
		{doc: documentOf[api.None, any]("a"), want: `true`},
		{doc: documentOf[api.None, json.RawMessage]("a"), want: `true`},
		{doc: documentOf[api.None, jsontext.Value]("a"), want: `true`},
		{doc: documentOf[api.None, time.Time]("a"), want: `{"type":"string","format":"date-time"}`},
		{doc: documentOf[api.None, *time.Time]("a"), want: `{"type":["string","null"],"format":"date-time"}`},
		{doc: documentOf[api.None, netip.Addr]("a"), want: `{"type":"string"}`},
		{doc: documentOf[api.None, Color]("a"), want: `{"type":"string"}`},
		{doc: documentOf[api.None, *big.Float]("a"), want: `{"type":["string","null"]}`},
		{doc: documentOf[api.None, *big.Int]("a"), want: `true`},
		{doc: documentOf[api.None, Rest]("a"), want: `{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":{"type":"integer"}}`},
		{doc: documentOf[api.None, RestRaw]("a"), want: `{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}`},
		{doc: documentOf[api.None, Tree]("a"), want: `{"type":"array","items":` + ref("Tree") + `}`, defs: `{"Tree":{"type":"array","items":` + ref("Tree") + `}}`},
		{doc: documentOf[api.None, *Page[Plain]]("a"), want: orNull("Page_api_test.Plain"), defs: "-"},
		{doc: documentOf[api.None, Two]("a"), want: `{"type":"object","properties":{"mine":` + orNull("Node") + `,"theirs":` + orNull("other.Node") + `},"required":["mine","theirs"]}`,
			defs: `{"Node":{"type":"object","properties":{"value":{"type":"integer"},"children":{"type":"array","items":` + ref("Node") + `},"next":` + orNull("Node") +
				`,"others":{"type":"object","additionalProperties":` + orNull("Node") + `}},"required":["value"]},
				"other.Node":{"type":"object","properties":{"deep":{"type":"array","items":` + ref("other.Node") + `}},"required":["deep"]}}`},
		{doc: documentOf[api.None, struct {
			A int    `json:"a,string"`
			B *int   `json:"b,string" default:"5"`
			C string `json:"-"`
			D string `json:"d,omitzero" writeOnly:"true" jsonschema:"the D"`
			E int    `json:",omitempty" minimum:"-1" maximum:"1.5" enum:"0,1" default:"1"`
			F string `json:"f" minLength:"1" maxLength:"3" pattern:"^a" enum:"a, ab" default:"ab"`
			G []int  `minItems:"1" maxItems:"2" default:"[1]"`
			H *Node  `jsonschema:"a node"`
			I *uint8 `minimum:"1" enum:"1,9007199254740993"`
			c int
		}]("a"), want: `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":["string","null"],"default":"5"},
			"d":{"type":"string","description":"the D","writeOnly":true},"E":{"type":"integer","minimum":-1,"maximum":1.5,"enum":[0,1],"default":1},
			"f":{"type":"string","minLength":1,"maxLength":3,"pattern":"^a","enum":["a","ab"],"default":"ab"},
			"G":{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":2,"default":[1]},
			"H":{"anyOf":[` + ref("Node") + `,{"type":"null"}],"description":"a node"},
			"I":{"type":["integer","null"],"minimum":1,"enum":[1,9007199254740993,null]}},"required":["a","H","I"]}`, defs: "-"},
	} {
		got := c.doc.Methods[0].Result.Schema
		if compact(t, string(got)) != compact(t, c.want) {
			t.Errorf("got  %s\nwant %s", got, compact(t, c.want))
		}
		defs := ""
		if c.doc.Components != nil {
			raw, _ := json.Marshal(c.doc.Components.Schemas)
			defs = string(raw)
		}
		if c.defs != "-" && compact(t, defs) != compact(t, c.defs) {
			t.Errorf("components %s\nwant       %s", defs, c.defs)
		}
		checkOpenRPC(t, c.doc)
	}
}

// compact brings a JSON text into one form: canonical.
func compact(t *testing.T, text string) string {
	t.Helper()
	if text == "" {
		return ""
	}
	v := jsontext.Value(text)
	if err := v.Canonicalize(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return string(v)
}

type (
	writesOnly  struct{}
	readsOnly   struct{}
	textOnly    struct{}
	hasDuration struct {
		Inner struct {
			Wait []time.Duration `json:"wait"`
		}
	}
	clash struct {
		A int `json:"B"`
		B int
	}
	hidden  struct{ A int }
	loopA   *loopB
	loopB   *loopA
	anArray [2]int
	ownMap  map[string]int
)

func (writesOnly) MarshalJSON() ([]byte, error) { return []byte("1"), nil }
func (*readsOnly) UnmarshalJSON([]byte) error   { return nil }
func (textOnly) MarshalText() ([]byte, error)   { return nil, nil }
func (ownMap) MarshalJSON() ([]byte, error)     { return []byte("1"), nil }
func (ownMap) UnmarshalJSON([]byte) error       { return nil }

func TestTypesRefused(t *testing.T) {
	t.Parallel()
	for text, f := range map[string]func(){
		"int cannot be params":                              func() { documentOf[int, int]("a") },
		"string cannot be params":                           func() { documentOf[string, int]("a") },
		"[]uint8 cannot be params":                          func() { documentOf[[]byte, int]("a") },
		"interface {} cannot be params":                     func() { documentOf[any, int]("a") },
		"api_test.anArray cannot be params":                 func() { documentOf[anArray, int]("a") },
		"use api_test.Plain itself":                         func() { documentOf[*Plain, int]("a") },
		"time.Time cannot be params: its JSON is a string":  func() { documentOf[time.Time, int]("a") },
		"netip.Addr cannot be params: its JSON is a string": func() { documentOf[netip.Addr, int]("a") },
		"ownMap cannot be params: it writes its own JSON":   func() { documentOf[ownMap, int]("a") },
		"Inner.Wait[]: time.Duration has no JSON form: use a number whose name tells the unit": func() { documentOf[hasDuration, int]("a") },
		"result of t.a: time.Duration: time.Duration has no JSON form":                         func() { documentOf[api.None, time.Duration]("a") },
		"map with keys of type time.Duration":                                                  func() { documentOf[map[time.Duration]int, int]("a") },
		"map with keys of type bool":                                                           func() { documentOf[map[bool]int, int]("a") },
		"chan int has no JSON form":                                                            func() { documentOf[api.None, chan int]("a") },
		"func() has no JSON form":                                                              func() { documentOf[struct{ F func() }, int]("a") },
		"complex128 has no JSON form":                                                          func() { documentOf[api.None, map[string]complex128]("a") },
		"error: an interface with methods":                                                     func() { documentOf[api.None, error]("a") },
		"give it UnmarshalJSON":                                                                func() { documentOf[api.None, writesOnly]("a") },
		"give it MarshalJSON":                                                                  func() { documentOf[api.None, readsOnly]("a") },
		"needs both MarshalText":                                                               func() { documentOf[api.None, textOnly]("a") },
		"conflict over JSON object name":                                                       func() { documentOf[clash, int]("a") },
		"a pointer to itself has no JSON form":                                                 func() { documentOf[api.None, Self]("a") },
		"to itself has no JSON form":                                                           func() { documentOf[api.None, loopA]("a") },
		"the embedded pointer hidden cannot be set": func() {
			documentOf[struct{ *hidden }, int]("a")
		},
		"no option case": func() {
			documentOf[struct {
				A int `json:"a,case:ignore"`
			}, int]("a")
		},
		"unsupported `format`": func() {
			documentOf[struct {
				A time.Duration `json:"a,format:sec"`
			}, int]("a")
		},
		"the option string is for numbers": func() {
			documentOf[struct {
				//lint:ignore SA5008 that it is refused is what is tested
				A []int `json:"a,string"`
			}, int]("a")
		},
	} {
		if got := mustPanic(t, text, f); !strings.Contains(got, text) {
			t.Errorf("panic %q, want %q in it", got, text)
		}
	}
}

// What the schema says is what the decoder does: each type's zero value goes through and fits its own schema.
func TestZeroValuesFit(t *testing.T) {
	t.Parallel()
	roundTrip[Plain](t)
	roundTrip[Embedding](t)
	roundTrip[Node](t)
	roundTrip[Tree](t)
	roundTrip[Two](t)
	roundTrip[Rest](t)
	roundTrip[RestRaw](t)
	roundTrip[*Page[Plain]](t)
	roundTrip[map[string][]*bool](t)
	roundTrip[[2]int](t)
	roundTrip[[]named](t)
	roundTrip[[4]byte](t)
	roundTrip[any](t)
	roundTrip[time.Time](t)
	roundTrip[*big.Int](t)
	roundTrip[api.None](t)
}

func roundTrip[R any](t *testing.T) {
	t.Helper()
	d := api.Define[near, far]("t", "1", "")
	get := api.IncomingCall[api.None, R](d, "get", "")
	var net network
	a, b := net.node("a"), net.node("b")
	get.Handle(api.Bind(a, d), func(context.Context, api.None) (r R, _ error) { return r, nil })
	got, err := get.Call(t.Context(), api.Bind(b, d.Invert()), api.Any, api.None{})
	if err != nil {
		t.Errorf("%T: %v", got, err)
	}
	doc := d.OpenRPC()
	s, err := doc.ResultOf(&doc.Methods[0])
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := a.b["t"].Dispatch(t.Context(), "get", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if err := resolved.Validate(v); err != nil {
		t.Errorf("%T: %s: %v", got, raw, err)
	}
}
