package api_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"peermesh/api"
)

type colour string

type every struct {
	B   bool
	I   int
	I8  int8  `json:"i8"`
	I64 int64 `json:"i64"`
	U   uint
	U16 uint16
	U64 uint64
	F   float64
	F32 float32 `json:"f<32>"`
	S   string
	C   colour `json:"colour"`
}

type lists struct {
	Every []every     `json:"every"`
	Grid  [][]float32 `json:"grid"`
	Names []string    `json:"names"`
}

type sparse struct {
	A int       `json:"a,omitzero"`
	B string    `json:"b,omitempty"`
	C []float64 `json:"c,omitempty"`
	D float64   `json:"d,omitzero"`
	E struct {
		X bool `json:"x"`
	} `json:"e,omitzero"`
	Z int `json:"z"`
}

type embeds struct {
	point
	Z int
}

type nests struct {
	Kids []nests `json:"kids"`
}

type ownText struct{ s string }

func (o ownText) MarshalText() ([]byte, error) { return []byte(o.s), nil }
func (o *ownText) UnmarshalText(b []byte) error {
	o.s = string(b)
	return nil
}

type ownZero int

func (o ownZero) IsZero() bool { return o == 7 }

// Which types are read and written without the library.
func TestHasLayout(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want bool
	}{
		{"every", api.HasLayout[every](), true},
		{"lists", api.HasLayout[lists](), true},
		{"sparse", api.HasLayout[sparse](), true},
		{"string", api.HasLayout[string](), true},
		{"[]float64", api.HasLayout[[]float64](), true},
		{"bytes", api.HasLayout[[]byte](), false},
		{"map", api.HasLayout[map[string]int](), false},
		{"pointer", api.HasLayout[struct{ P *int }](), false},
		{"any", api.HasLayout[struct{ A any }](), false},
		{"raw", api.HasLayout[struct{ R json.RawMessage }](), false},
		{"time", api.HasLayout[time.Time](), false},
		{"embedded", api.HasLayout[embeds](), false},
		{"recursive", api.HasLayout[nests](), false},
		{"own text", api.HasLayout[struct{ O ownText }](), false},
		{"own zero", api.HasLayout[struct {
			O ownZero `json:",omitzero"`
		}](), false},
		{"number in a string", api.HasLayout[struct {
			N int `json:",string"`
		}](), false},
		{"quoted name", api.HasLayout[struct {
			N int `json:"'a,b'"`
		}](), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %t", c.name, c.got)
		}
	}
}

// What is read without the library, and what is left to it.
func TestReadPlain(t *testing.T) {
	for raw, want := range map[string]bool{
		`{"x":1,"y":2,"n":"abc"}`:                                     true,
		" {\t\"x\":1 ,\n\"y\": -2,\r\"n\":\"\" } ":                    true,
		`{"x":0,"y":999999999999999999,"n":"grüße, 世界 🌍 0123456789"}`: true,
		`{"y":2,"x":1,"n":"abc"}`:                                     false,
		`{"x":1,"y":2}`:                                               false,
		`{"x":1,"y":2,"n":"abc","more":1}`:                            false,
		`{"x":1,"y":2,"n":"abc","n":"abc"}`:                           false,
		`{"x":1,"x":1,"y":2,"n":"abc"}`:                               false,
		`{"X":1,"y":2,"n":"abc"}`:                                     false,
		`{"x":null,"y":2,"n":"abc"}`:                                  false,
		`{"x":1.0,"y":2,"n":"abc"}`:                                   false,
		`{"x":1e2,"y":2,"n":"abc"}`:                                   false,
		`{"x":01,"y":2,"n":"abc"}`:                                    false,
		`{"x":-0,"y":2,"n":"abc"}`:                                    false,
		`{"x":+1,"y":2,"n":"abc"}`:                                    false,
		`{"x":9223372036854775807,"y":2,"n":"abc"}`:                   false,
		`{"x":1,"y":2,"n":"a\nb"}`:                                    false,
		"{\"x\":1,\"y\":2,\"n\":\"a\x01b\"}":                          false,
		"{\"x\":1,\"y\":2,\"n\":\"\xff\"}":                            false,
		"{\"x\":1,\"y\":2,\"n\":\"ä\x1f\"}":                           false,
		`{"x":1,"y":2,"n":"ä\u0041"}`:                                 false,
		`{"x":1,"y":2,"n":"abc"},`:                                    false,
		`{"x":1,"y":2,"n":"abc",}`:                                    false,
		`{,"x":1,"y":2,"n":"abc"}`:                                    false,
		`{"x":1 "y":2,"n":"abc"}`:                                     false,
		`{"x":1,"y":2,"n":"abc`:                                       false,
		`{"x":1,"y":2,"n":"ä`:                                         false,
		`{"x":1,"y":2,"n":`:                                           false,
		`{"x":1,"y":2`:                                                false,
		`[1,2,"abc"]`:                                                 false,
		``:                                                            false,
		`{"x":1,"y":2,"n":"` + strings.Repeat("0123456789", 100) + `"}`:  true,
		`{"x":1,"y":2,"n":"` + strings.Repeat("012345678\"", 100) + `"}`: false,
	} {
		if v, ok := api.ReadPlain[point]([]byte(raw)); ok != want {
			t.Errorf("%q: %t, %v", raw, ok, v)
		}
	}
}

// What is written without the library, and what is left to it.
func TestWritePlain(t *testing.T) {
	for _, c := range []struct {
		v    every
		want bool
	}{
		{every{}, true},
		{every{B: true, I: math.MinInt64, U64: math.MaxUint64, F: -1.5, F32: 0.1, S: "a\nb\"<&>\u2028 äöü", C: "red"}, true},
		{every{F: math.Copysign(0, -1)}, true},
		{every{F: math.NaN()}, false},
		{every{F: math.Inf(1)}, false},
		{every{F: 1e21}, false},
		{every{F32: 1e-7}, false},
		{every{S: "\xff"}, false},
	} {
		got, ok := api.WritePlain(c.v)
		if ok != c.want {
			t.Errorf("%+v: %t", c.v, ok)
		}
		if want, err := api.Marshal(c.v); ok && (err != nil || string(got) != string(want)) {
			t.Errorf("%s, the library writes %s (%v)", got, want, err)
		}
	}
}

// A string that is kept for the next message is nobody else's to change, and not the next one's.
func TestLastStrings(t *testing.T) {
	decode := echoOf(func(p point) (point, error) { return p, nil })
	for _, n := range []string{"a", "b", "b", strings.Repeat("x", 300), "", "a"} {
		want := `{"x":1,"y":2,"n":"` + n + `"}`
		raw := []byte(want)
		got, err := decode(string(raw))
		if err != nil || got != want {
			t.Fatalf("%s became %s, %v", want, got, err)
		}
	}
}

// held compares both ways for one type and text.
func held[T any](t *testing.T, raw []byte) {
	var lib T
	err := api.Unmarshal(raw, &lib)
	if v, ok := api.ReadPlain[T](raw); ok && (err != nil || !reflect.DeepEqual(v, lib)) {
		t.Fatalf("%T from %q: %+v, the library reads %+v (%v)", v, raw, v, lib, err)
	}
	if err != nil {
		return
	}
	want, err := api.Marshal(lib)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := api.WritePlain(lib)
	if ok && !bytes.Equal(got, want) {
		t.Fatalf("%+v: %s, the library writes %s", lib, got, want)
	}
	if _, ok = api.ReadPlain[T](want); ok {
		return
	}
	// What the library writes is read, unless there is an escape, a large number, or a member missing from its place.
	if !bytes.ContainsAny(want, `\`) && !longNumber(want) {
		t.Fatalf("%T: %s is not read", lib, want)
	}
}

func longNumber(raw []byte) bool {
	digits := 0
	for _, c := range raw {
		if digits++; c < '0' || c > '9' {
			digits = 0
		}
		if digits > 18 {
			return true
		}
	}
	return false
}

// Large strings, which vector instructions look at, are read and written as the library does too.
func TestLargePlain(t *testing.T) {
	large := []byte(`"` + strings.Repeat("0123456789abcdef", 200) + `"`)
	for c := range 256 {
		for _, at := range []int{1, 32, 33, 1008, 1023, 1024, 1025, 1500, 2047, 2048, 2049, 3199, 3200} {
			old := large[at]
			large[at] = byte(c)
			held[string](t, large)
			large[at] = old
		}
	}
	if _, ok := api.ReadPlain[string](large); !ok {
		t.Error("a large string is left to the library")
	}
}

// FuzzLayout holds what is read and written by layouts against the library.
func FuzzLayout(f *testing.F) {
	for _, v := range []any{
		every{}, every{B: true, I: -5, I8: -128, U: 7, U16: 65535, F: 1.25, F32: 0.1, S: "text", C: "red"},
		lists{}, lists{Every: []every{{}, {S: "ä"}}, Grid: [][]float32{{1, 2}, {}}, Names: []string{"a", ""}},
		sparse{}, sparse{A: 1, B: "b", C: []float64{1e-7, 2}, D: 4, Z: 9}, point{}, open{Y: 3}, "text", []string{"x", "x"}, 1e21,
		strings.Repeat("large ", 400),
	} {
		raw, err := api.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, text := range []string{`-0`, `-0.0`, `1e400`, `1.`, `.5`, `0x1p4`, `1_000`, `inf`, `[1e999]`, `[ ]`, `[1,]`, `tru`, `{"z":1,}`, `{"a":1,"z":0}`, `{"b":"","z":0}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		held[every](t, raw)
		held[lists](t, raw)
		held[sparse](t, raw)
		held[point](t, raw)
		held[open](t, raw)
		held[string](t, raw)
		held[[]string](t, raw)
		held[float64](t, raw)
		held[float32](t, raw)
		held[int8](t, raw)
		held[uint64](t, raw)
		held[bool](t, raw)
	})
}
