package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/examples/spec/service"
)

// parsed returns a document as a stranger gets it.
func parsed(t *testing.T, d api.Document) api.Document {
	t.Helper()
	raw, err := d.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if d, err = api.Parse(raw); err != nil {
		t.Fatal(err)
	}
	return d
}

func answerWith(result string) func(context.Context, *api.DocumentMethod, json.RawMessage) (json.RawMessage, error) {
	return func(context.Context, *api.DocumentMethod, json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage(result), nil
	}
}

// What Serve binds looks to the mesh as the typed binding does.
func TestServeLooksTyped(t *testing.T) {
	t.Parallel()
	equals := api.Define[Chatter, Chatter]("chat", "1", "")
	api.Incoming[line](equals, "say", "")
	dotted := api.Define[near, far]("", "1", "")
	api.Incoming[line](dotted, "text.say", "", api.Positional())
	api.OutgoingCall[line, int](dotted, "other/ask", "", api.Idempotent(), api.Timeout(time.Second), api.MinRole("x"))
	for _, typed := range []api.Binding{
		api.Bind(new(network).node("a"), lab.API).Binding(),
		api.Bind(new(network).node("a"), lab.API.Invert()).Binding(),
		api.Bind(new(network).node("a"), service.API).Binding(),
		api.Bind(new(network).node("a"), equals).Binding(),
		api.Bind(new(network).node("a"), dotted).Binding(),
	} {
		b, err := api.Serve(parsed(t, typed.Document()), 0, answerWith("1"))
		if err != nil {
			t.Fatal(err)
		}
		n, v, s, o := typed.API()
		if name, version, side, other := b.API(); name != n || version != v || side != s || other != o || b.Hash() != typed.Hash() {
			t.Error(name, version, side, other, b.Hash())
		}
		same(t, "document", b.Document(), typed.Document())
		if len(b.Incoming()) != len(typed.Incoming()) || b.Unhandled() != nil {
			t.Error(len(b.Incoming()), b.Unhandled())
		}
		for _, m := range typed.Incoming() {
			x := b.Method(m.Name)
			if x == nil || x.Wire != m.Wire || x.IsCall != m.IsCall || x.Idempotent != m.Idempotent || x.MinRole != m.MinRole || x.Timeout != m.Timeout || x.Doc != m.Doc {
				t.Errorf("%+v\n%+v", x, m)
			}
		}
		if b.Method("no such") != nil {
			t.Error("a method that is not there")
		}
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	d := api.Define[near, far]("t", "1", "")
	api.IncomingCall[limits, string](d, "limits", "", api.Positional())
	api.IncomingCall[inner, string](d, "named", "")
	api.IncomingCall[[]int, string](d, "list", "")
	api.IncomingCall[api.None, string](d, "none", "")
	api.IncomingCall[json.RawMessage, string](d, "raw", "")
	api.Incoming[line](d, "note", "")
	api.Outgoing[line](d, "out", "")
	var got json.RawMessage
	var method string
	b, err := api.Serve(parsed(t, d.OpenRPC()), 3, func(_ context.Context, m *api.DocumentMethod, params json.RawMessage) (json.RawMessage, error) {
		method, got = m.Name, params
		return json.RawMessage(`"done"`), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, params, want string }{
		{"limits", "", ""},
		{"limits", ` {"n": 5} `, `{"n": 5} `},
		{"limits", `[5, 0.2]`, `{"n":5,"f":0.2}`},
		{"limits", `[]`, `{}`},
		{"list", `[1,2]`, `[1,2]`},
		{"list", "", ""},
		{"none", "", ""},
		{"none", "[]", "{}"},
		{"raw", "[1]", "[1]"},
		{"raw", `{"a":1}`, `{"a":1}`},
		{"note", `{"text":"x"}`, `{"text":"x"}`},
	} {
		got = json.RawMessage("nothing")
		params := []byte(c.params)
		if c.params == "" {
			params = nil
		}
		out, err := b.Dispatch(t.Context(), c.method, params, []byte("x"))
		want := `x"done"`
		if c.method == "note" {
			want = "xnull"
		}
		clear(params)
		if err != nil && !(c.method == "none" && c.params == "[]") || err == nil && (string(out) != want || string(got) != c.want || method != "t."+c.method) {
			t.Errorf("%s %s: %s %q, %v", c.method, c.params, out, got, err)
		}
	}
	got = nil
	for _, c := range []struct{ method, params, want string }{
		{"limits", `{"n":-3}`, "/n is less than -2"},
		{"limits", `{"n":"x"}`, "/n must be an integer"},
		{"limits", `{"n":1.5}`, "/n must be an integer"},
		{"limits", `{"n":1,"n":2}`, "/n stands twice"},
		{"limits", `{"n":1`, "no valid JSON"},
		{"limits", `5`, "must be an object"},
		{"limits", `[-3]`, "/n is less than -2"},
		{"limits", `[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]`, "too many params"},
		{"named", `[""]`, "by name, not by position"},
		{"named", "", "/a~1b~0c is required"},
		{"list", `{}`, "must be an array"},
		{"list", `[null]`, "/0 must be an integer"},
		{"note", `{}`, "/text is required"},
	} {
		if _, err := b.Dispatch(t.Context(), c.method, []byte(c.params), nil); api.CodeOf(err) != api.CodeInvalidParams || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %s", c.method, c.params, err, c.want)
		}
	}
	if got != nil {
		t.Error("the handler ran")
	}
	for _, m := range []string{"out", "x", "t.list"} {
		if _, err := b.Dispatch(t.Context(), m, nil, nil); api.CodeOf(err) != api.CodeMethodNotFound {
			t.Errorf("%s: %v", m, err)
		}
	}
	if m := b.Method("limits"); m.Concurrent != 3 || !m.Positional {
		t.Errorf("%+v", m)
	}
}

func TestServeHandlers(t *testing.T) {
	t.Parallel()
	doc := api.Document{OpenRPC: "1.3.2", Methods: []api.DocumentMethod{{Name: "a.m", Result: &api.DocumentDescriptor{Name: "r"}}}}
	fails := errors.New("fails")
	for what, c := range map[string]struct {
		f    func() (json.RawMessage, error)
		out  string
		code int
	}{
		"nothing":   {func() (json.RawMessage, error) { return nil, nil }, "null", 0},
		"an error":  {func() (json.RawMessage, error) { return nil, fails }, "", api.CodeApplication},
		"it passes": {func() (json.RawMessage, error) { return nil, api.ErrPass }, "", api.CodeMethodNotFound},
		"no JSON":   {func() (json.RawMessage, error) { return json.RawMessage("{"), nil }, "", api.CodeInternal},
		"a panic":   {func() (json.RawMessage, error) { panic("x") }, "", api.CodeApplication},
	} {
		b, err := api.Serve(doc, 0, func(context.Context, *api.DocumentMethod, json.RawMessage) (json.RawMessage, error) { return c.f() })
		if err != nil {
			t.Fatal(err)
		}
		out, err := b.Dispatch(t.Context(), "m", nil, nil)
		var p *api.PanicError
		if string(out) != c.out || api.CodeOf(err) != c.code || errors.As(err, &p) != (what == "a panic") {
			t.Errorf("%s: %s %v", what, out, err)
		}
		if name, _, side, other := b.API(); name != "a" || side != "server" || other != "client" {
			t.Error(name, side, other)
		}
	}
}

// Keywords that the check does not know are the library's.
func TestServeKnowsAllKeywords(t *testing.T) {
	t.Parallel()
	doc := api.Document{OpenRPC: "1.3.2", Methods: []api.DocumentMethod{{Name: "m", ParamsSchema: json.RawMessage(
		`{"type":"object","properties":{"a":{"multipleOf":3},"b":{"$ref":"#/components/schemas/B"},"c":{"enum":[[1],2]}},"additionalProperties":false}`)}},
		Components: &api.DocumentComponents{Schemas: map[string]json.RawMessage{"B": json.RawMessage(`{"not":{"const":1}}`)}}}
	b, err := api.Serve(doc, 0, answerWith("null"))
	if err != nil {
		t.Fatal(err)
	}
	for _, params := range []string{`{"a":4}`, `{"b":1}`, `{"c":3}`, `{"d":1}`} {
		if _, err := b.Dispatch(t.Context(), "m", []byte(params), nil); api.CodeOf(err) != api.CodeInvalidParams || strings.Contains(err.Error(), "validating") {
			t.Errorf("%s: %v", params, err)
		}
	}
	if _, err := b.Dispatch(t.Context(), "m", []byte(`{"a":6,"b":2,"c":[1]}`), nil); err != nil {
		t.Error(err)
	}
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	for want, doc := range map[string]api.Document{
		"member openrpc": {},
		`share a prefix, but there are "a" and "b"`: {OpenRPC: "1.0", Methods: []api.DocumentMethod{{Name: "a.x"}, {Name: "b.x"}}},
		"refers to itself without end": {OpenRPC: "1.0", Methods: []api.DocumentMethod{}, Components: &api.DocumentComponents{
			Schemas: map[string]json.RawMessage{"A": json.RawMessage(`{"$ref":"#/components/schemas/A"}`)}}},
	} {
		if _, err := api.Serve(doc, 0, answerWith("1")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
