package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"peermesh/api"
)

func TestHash(t *testing.T) {
	t.Parallel()
	type params struct {
		A int `json:"a"`
	}
	define := func(doc string, f func(api.Spec[near, far])) string {
		d := api.Define[near, far]("t", "1", doc)
		f(d)
		if d.OpenRPC().Hash() != d.Invert().OpenRPC().Hash() {
			t.Error("both sides have one hash")
		}
		return d.OpenRPC().Hash()
	}
	base := define("", func(d api.Spec[near, far]) { api.IncomingCall[params, int](d, "m", "") })
	if len(base) != 16 {
		t.Fatal(base)
	}
	type documented struct {
		A int `json:"a" jsonschema:"a number"`
	}
	for what, f := range map[string]func(api.Spec[near, far]){
		"docs and examples": func(d api.Spec[near, far]) {
			api.IncomingCall[params, int](d, "m", "Documented.", api.Example(params{1}, 2))
		},
		"docs of params": func(d api.Spec[near, far]) { api.IncomingCall[documented, int](d, "m", "") },
	} {
		if h := define("Other docs.", f); h != base {
			t.Errorf("%s change the hash", what)
		}
	}
	seen := map[string]string{base: "base"}
	for what, f := range map[string]func(api.Spec[near, far]){
		"nothing":      func(api.Spec[near, far]) {},
		"another name": func(d api.Spec[near, far]) { api.IncomingCall[params, int](d, "n", "") },
		"a second": func(d api.Spec[near, far]) {
			api.IncomingCall[params, int](d, "m", "")
			api.Incoming[params](d, "n", "")
		},
		"direction":   func(d api.Spec[near, far]) { api.OutgoingCall[params, int](d, "m", "") },
		"kind":        func(d api.Spec[near, far]) { api.Incoming[params](d, "m", "") },
		"result type": func(d api.Spec[near, far]) { api.IncomingCall[params, string](d, "m", "") },
		"nullable":    func(d api.Spec[near, far]) { api.IncomingCall[params, *int](d, "m", "") },
		"role":        func(d api.Spec[near, far]) { api.IncomingCall[params, int](d, "m", "", api.MinRole(api.RoleAdmin)) },
		"by position": func(d api.Spec[near, far]) { api.IncomingCall[params, int](d, "m", "", api.Positional()) },
		"idempotent":  func(d api.Spec[near, far]) { api.IncomingCall[params, int](d, "m", "", api.Idempotent()) },
		"params type": func(d api.Spec[near, far]) {
			api.IncomingCall[struct {
				A int8 `json:"a,omitempty"`
			}, int](d, "m", "")
		},
		"a constraint": func(d api.Spec[near, far]) {
			api.IncomingCall[struct {
				A int `json:"a" minimum:"1"`
			}, int](d, "m", "")
		},
		"its value": func(d api.Spec[near, far]) {
			api.IncomingCall[struct {
				A int `json:"a" minimum:"2"`
			}, int](d, "m", "")
		},
		"a default": func(d api.Spec[near, far]) {
			api.IncomingCall[struct {
				A int `json:"a" default:"2"`
			}, int](d, "m", "")
		},
		"below": func(d api.Spec[near, far]) {
			api.IncomingCall[struct {
				A []Node `json:"a"`
			}, int](d, "m", "")
		},
		"another below": func(d api.Spec[near, far]) {
			api.IncomingCall[struct {
				A []Tree `json:"a"`
			}, int](d, "m", "")
		},
	} {
		h := define("", f)
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have one hash", what, other)
		}
		seen[h] = what
	}
	if h := (api.Document{Methods: []api.DocumentMethod{{ParamsSchema: json.RawMessage("{")}}}).Hash(); h != "" {
		t.Error(h)
	}
	if h := (api.Document{Components: &api.DocumentComponents{Schemas: map[string]json.RawMessage{"a": json.RawMessage(`5`)}}}).Hash(); h == "" {
		t.Error("a schema that is none is taken as it is")
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	one, two, three := api.Define[near, far]("one", "1", ""), api.Define[near, far]("two", "1", ""), api.Define[near, far]("three", "1", "")
	type Tree []Node // another Tree, which refers to the same Node
	type Leaf struct {
		T Tree            `json:"t"`
		L map[string]Leaf `json:"l"`
	}
	api.IncomingCall[Node, Leaf](one, "m", "")
	api.OutgoingCall[Two, *Node](two, "m", "")
	type Node struct{ Other []Node }
	api.IncomingCall[Node, map[string]*Node](three, "m", "")
	api.Incoming[map[string]Node](three, "n", "")
	var doc api.Document
	doc.OpenRPC, doc.Methods = api.OpenRPCVersion, []api.DocumentMethod{}
	for _, d := range []api.Document{one.OpenRPC(), two.OpenRPC(), three.OpenRPC()} {
		before, _ := d.MarshalJSON()
		doc.Merge(d)
		after, _ := d.MarshalJSON()
		if string(before) != string(after) {
			t.Error("Merge changed what it merged")
		}
	}
	checkOpenRPC(t, doc)
	if len(doc.Methods) != 3 || len(doc.Outgoing) != 1 {
		t.Error(len(doc.Methods), len(doc.Outgoing))
	}
	for _, o := range []api.Document{one.OpenRPC(), two.OpenRPC(), three.OpenRPC()} {
		for _, m := range append(o.Methods, o.Outgoing...) {
			dm, _ := doc.Find(m.Name)
			for _, of := range []func(api.Document, *api.DocumentMethod) string{params, result} {
				if a, b := of(doc, dm), of(o, &m); a != b {
					t.Errorf("%s:\n%s\n%s", m.Name, a, b)
				}
			}
		}
	}
	if c := doc.Components.Schemas; c["Node"] == nil || c["three.Node"] == nil {
		t.Errorf("%v", c)
	}
	// Merging twice the same keeps the names.
	doc.Merge(three.OpenRPC())
	if c := doc.Components.Schemas; c["three.Node_"] == nil {
		t.Errorf("%v", c)
	}
	plain := api.Document{OpenRPC: "1.3.2"}
	plain.Merge(api.Document{})
	if plain.Components != nil {
		t.Error(plain.Components)
	}
}

// params and result spell a schema out as far as it does not repeat, without the names of definitions.
func params(d api.Document, m *api.DocumentMethod) string {
	s, err := d.ParamsOf(m)
	raw, _ := json.Marshal(s)
	return strings.ReplaceAll(fmt.Sprint(string(raw), err), "three.", "")
}

func result(d api.Document, m *api.DocumentMethod) string {
	s, err := d.ResultOf(m)
	raw, _ := json.Marshal(s)
	return strings.ReplaceAll(fmt.Sprint(string(raw), err), "three.", "")
}
