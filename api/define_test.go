package api_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
)

type (
	Chatter struct{}
	line    struct {
		Text string `json:"text"`
	}
	generic[T any]                                                    struct{}
	longName0123456789_0123456789_0123456789_0123456789_0123456789_01 struct{}
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a", "lab.camera", "A-1_b.c", "rpcx", "rpc-x.y", strings.Repeat("a", 128)} {
		if info := api.Define[near, far](name, "1", "").OpenRPC().Info; info.Title != name || info.Version != "1" {
			t.Errorf("%+v", info)
		}
	}
	for _, name := range []string{".", "a.", ".a", "a..b", "a b", "ä", "$/a", "rpc", "rpc.x", "a/b", strings.Repeat("a", 129)} {
		mustPanic(t, "Define "+name, func() { api.Define[near, far](name, "1", "") })
	}
	named, bare := api.Define[near, far]("x", "1", ""), api.Define[near, far]("", "1", "")
	for _, name := range []string{"a", "_a", "A-b_0"} {
		api.Incoming[api.None](named, name, "")
	}
	for _, name := range []string{"", "a.b", "0a", "-a", "a b", "ä", "$/a"} {
		mustPanic(t, "method "+name, func() { api.Incoming[api.None](named, name, "") })
	}
	for _, name := range []string{"a", "a.b", "textDocument/open", "rpcx"} {
		api.Incoming[api.None](bare, name, "")
	}
	for _, name := range []string{"", "rpc", "rpc.x", "$/a", ".a", "a b"} {
		mustPanic(t, "bare method "+name, func() { api.Incoming[api.None](bare, name, "") })
	}
	mustPanic(t, "a role without a name", func() { api.Define[struct{}, far]("x", "1", "") })
	mustPanic(t, "a generic role", func() { api.Define[generic[int], far]("x", "1", "") })
	mustPanic(t, "a long role", func() {
		api.Define[longName0123456789_0123456789_0123456789_0123456789_0123456789_01, far]("x", "1", "")
	})
	type Near struct{}
	mustPanic(t, "two roles of one name", func() { api.Define[near, Near]("x", "1", "") })
}

func TestUniqueAcrossDirections(t *testing.T) {
	t.Parallel()
	d := api.Define[near, far]("x", "1", "")
	api.Incoming[api.None](d, "a", "")
	for what, f := range map[string]func(){
		"Incoming":             func() { api.Incoming[api.None](d, "a", "") },
		"Outgoing":             func() { api.Outgoing[api.None](d, "a", "") },
		"IncomingCall":         func() { api.IncomingCall[api.None, int](d, "a", "") },
		"OutgoingCall":         func() { api.OutgoingCall[api.None, int](d, "a", "") },
		"through the inverted": func() { api.Outgoing[api.None](d.Invert(), "a", "") },
	} {
		if text := mustPanic(t, what, f); !strings.Contains(text, "x.a is defined twice") {
			t.Error(text)
		}
	}
}

func TestFreezing(t *testing.T) {
	t.Parallel()
	for what, freeze := range map[string]func(api.Spec[near, far]){
		"Bind":          func(d api.Spec[near, far]) { api.Bind(new(network).node("a"), d) },
		"Bind inverted": func(d api.Spec[near, far]) { api.Bind(new(network).node("a"), d.Invert()) },
		"OpenRPC":       func(d api.Spec[near, far]) { d.OpenRPC() },
	} {
		d := api.Define[near, far]("x", "1", "")
		api.Incoming[api.None](d, "a", "")
		if d.Invert().Invert() != d {
			t.Error("inverting twice")
		}
		api.Incoming[api.None](d, "b", "") // inverting froze nothing
		freeze(d)
		if text := mustPanic(t, what, func() { api.Incoming[api.None](d, "c", "") }); !strings.Contains(text, "before the first Bind") {
			t.Error(text)
		}
	}
}

// Definitions are made and bound from many goroutines at once without harm.
func TestDefineConcurrently(t *testing.T) {
	t.Parallel()
	d := api.Define[near, far]("x", "1", "")
	var wg sync.WaitGroup
	for _, name := range strings.Split("abcdefgh", "") {
		wg.Go(func() { api.Incoming[Node](d, name, "") })
	}
	wg.Wait()
	for range 4 {
		wg.Go(func() { api.Bind(new(network).node("a"), d).Binding().Hash() })
	}
	wg.Wait()
	if n := len(d.OpenRPC().Methods); n != 8 {
		t.Error(n)
	}
}

func TestInvertLaws(t *testing.T) {
	t.Parallel()
	if lab.API.Invert().Invert() != lab.API {
		t.Error("Invert(Invert(s)) != s")
	}
	if any(lab.API.Invert()) == any(lab.API) {
		t.Error("the inverse is another value")
	}
	doc, inverse := lab.API.OpenRPC(), lab.API.Invert().OpenRPC()
	checkOpenRPC(t, doc)
	checkOpenRPC(t, inverse)
	same(t, "the document of the inverse is the inverse of the document", inverse, doc.Invert())
	same(t, "inverting twice", doc, doc.Invert().Invert())
	if !slices.EqualFunc(doc.Methods, inverse.Outgoing, func(a, b api.DocumentMethod) bool { return a.Name == b.Name }) || len(doc.Methods) != 2 {
		t.Error("methods and x-outgoing have not changed places")
	}
	if doc.Side != "camera" || doc.Other != "viewer" || inverse.Side != "viewer" || inverse.Other != "camera" {
		t.Error(doc.Side, doc.Other, inverse.Side, inverse.Other)
	}

	equals := api.Define[Chatter, Chatter]("chat", "1", "")
	api.Incoming[line](equals, "say", "")
	api.OutgoingCall[line, line](equals, "ask", "")
	if equals.Invert() != equals {
		t.Error("a mesh of equals is its own inverse")
	}
	doc = equals.OpenRPC()
	checkOpenRPC(t, doc)
	same(t, "the document of a mesh of equals", doc, doc.Invert())
	if len(doc.Methods) != 2 || len(doc.Outgoing) != 2 {
		t.Errorf("%d, %d", len(doc.Methods), len(doc.Outgoing))
	}
}

// In a mesh of equals both kinds of each direction are sent and handled on every port.
func TestMeshOfEquals(t *testing.T) {
	t.Parallel()
	d := api.Define[Chatter, Chatter]("chat", "1", "")
	in, out := api.Incoming[line](d, "in", ""), api.Outgoing[line](d, "out", "")
	ask, tell := api.IncomingCall[line, line](d, "ask", ""), api.OutgoingCall[line, line](d, "tell", "")
	var net network
	a, b := net.node("a"), net.node("b")
	pa, pb := api.Bind(a, d), api.Bind(b, d.Invert())
	var heard []string
	for _, n := range []api.Note[Chatter, Chatter, line]{in, out} {
		for _, p := range []*api.Port[Chatter, Chatter]{pa, pb} {
			n.Handle(p, func(ctx context.Context, l line) error {
				heard = append(heard, api.Sender(ctx).Name+":"+l.Text)
				return nil
			})
		}
	}
	for _, p := range []*api.Port[Chatter, Chatter]{pa, pb} {
		for _, n := range []api.Note[Chatter, Chatter, line]{in, out} {
			if rep, err := n.Send(t.Context(), p, api.All, line{"x"}); err != nil || rep.Queued != 1 {
				t.Error(rep, err)
			}
		}
	}
	if got := strings.Join(heard, " "); got != "a:x a:x b:x b:x" {
		t.Error(got)
	}
	for _, c := range []api.Call[Chatter, Chatter, line, line]{ask, tell} {
		c.Handle(pa, func(_ context.Context, l line) (line, error) { return l, nil })
		if l, err := c.Call(t.Context(), pb, api.To("a"), line{"y"}); err != nil || l.Text != "y" {
			t.Error(l, err)
		}
	}
}

func same(t *testing.T, what string, a, b api.Document) {
	t.Helper()
	x, err := a.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if string(x) != string(y) {
		t.Errorf("%s:\n%s\n%s", what, x, y)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	d := api.Define[near, far]("x", "1", "")
	api.IncomingCall[line, int](d, "call", "Doc.", api.MinRole(api.RoleAdmin), api.Idempotent(), api.Timeout(1500*time.Microsecond),
		api.Concurrent(3), api.Positional())
	api.Outgoing[line](d, "note", "", api.DropOldest())
	b := api.Bind(new(network).node("a"), d).Binding()
	m := b.Method("call")
	if m.Name != "call" || m.Wire != "x.call" || m.Doc != "Doc." || !m.IsCall || m.MinRole != "admin" || !m.Idempotent || m.Concurrent != 3 ||
		!m.Positional || m.Timeout != 1500*time.Microsecond {
		t.Errorf("%+v", m)
	}
	if n := b.Method("note"); !n.DropOldest || n.IsCall || b.Method("x.note") != nil {
		t.Errorf("%+v", n)
	}
	if in := b.Incoming(); len(in) != 1 || in[0] != m {
		t.Error(in)
	}
	dm, _ := d.OpenRPC().Find("x.call")
	if dm.Role != "admin" || !dm.Idempotent || dm.TimeoutMS != 2 || dm.ParamStructure != "either" {
		t.Errorf("%+v", dm)
	}
	checkOpenRPC(t, d.OpenRPC())
	e := api.Define[near, far]("x", "1", "")
	for what, f := range map[string]func(){
		"DropOldest":         func() { api.IncomingCall[line, int](e, "a", "", api.DropOldest()) },
		"Timeout is for":     func() { api.Incoming[line](e, "a", "", api.Timeout(1)) },
		"not negative":       func() { api.IncomingCall[line, int](e, "a", "", api.Timeout(-1)) },
		"are not negative":   func() { api.IncomingCall[line, int](e, "a", "", api.Concurrent(-1)) },
		"Positional needs":   func() { api.Incoming[map[string]int](e, "a", "", api.Positional()) },
		"Positional needs a": func() { api.Incoming[api.None](e, "a", "", api.Positional()) },
		"params:":            func() { api.Incoming[line](e, "a", "", api.Example(make(chan int))) },
		"must be a string":   func() { api.Incoming[line](e, "a", "", api.Example(map[string]int{"text": 1})) },
		"/tex is unknown":    func() { api.Incoming[line](e, "a", "", api.Example(map[string]any{"text": "", "tex": 1})) },
		"/text is required":  func() { api.Incoming[line](e, "a", "", api.Example(nil)) },
		"no result":          func() { api.Incoming[line](e, "a", "", api.Example(line{}, 1)) },
		"must be an integer": func() { api.IncomingCall[line, int](e, "a", "", api.Example(line{}, "1")) },
		"result: ":           func() { api.IncomingCall[line, int](e, "a", "", api.Example(line{}, func() {})) },
		"at most one result": func() { api.IncomingCall[line, int](e, "a", "", api.Example(line{}, 1, 2)) },
		"takes no params":    func() { api.Incoming[api.None](e, "a", "", api.Example(line{})) },
		"too many params":    func() { api.Incoming[line](e, "a", "", api.Positional(), api.Example([]int{1, 2})) },
		"not by position":    func() { api.Incoming[line](e, "a", "", api.Example([]string{"a"})) },
	} {
		if text := mustPanic(t, what, f); !strings.Contains(text, what) {
			t.Errorf("panic %q, want %q in it", text, what)
		}
	}
	api.IncomingCall[line, any](e, "a", "", api.Positional(), api.Example([]string{"by position"}, nil), api.Example(line{"x"}, 1), api.Example(line{}))
	api.IncomingCall[api.None, api.None](e, "b", "", api.Example(nil, nil), api.Example(api.None{}, api.None{}))
	api.Incoming[map[string]int](e, "c", "", api.Example(map[string]int{"a": 1}))
	checkOpenRPC(t, e.OpenRPC())
	ex := e.OpenRPC().Methods[0].Examples
	if len(ex) != 3 || ex[0].Params[0].Name != "text" || string(ex[0].Params[0].Value) != `"by position"` || string(ex[0].Result.Value) != "null" || ex[2].Result != nil {
		t.Errorf("%+v", ex)
	}
}
