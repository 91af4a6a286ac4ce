package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"peermesh/api"
)

type (
	checkedByValue   struct{ N int }
	checkedByPointer struct{ N int }
	checkedMap       map[string]int
)

func judge(n int) error {
	switch n {
	case 1:
		return errors.New("one is too few")
	case 2:
		return fmt.Errorf("wrapped: %w", &api.Error{Code: -5, Message: "own code"})
	case 3:
		panic("in Validate")
	}
	return nil
}

func (c checkedByValue) Validate() error    { return judge(c.N) }
func (c *checkedByPointer) Validate() error { return judge(c.N) }
func (c checkedMap) Validate() error        { return judge(c["N"]) }

func TestValidate(t *testing.T) {
	t.Parallel()
	validates(t, func(n int) checkedByValue { return checkedByValue{n} })
	validates(t, func(n int) checkedByPointer { return checkedByPointer{n} })
	validates(t, func(n int) checkedMap { return checkedMap{"N": n} })
}

// validates checks that Validate is asked before anything is sent, before the handler runs, and of results on both ends.
func validates[T any](t *testing.T, make func(int) T) {
	t.Helper()
	d := api.Define[near, far]("t", "1", "")
	note := api.Incoming[T](d, "note", "")
	call := api.IncomingCall[T, T](d, "call", "")
	point := api.IncomingCall[T, *T](d, "point", "")
	var net network
	a, b := net.node("a"), net.node("b")
	pa, pb := api.Bind(a, d), api.Bind(b, d.Invert())
	result, ran := make(0), 0
	note.Handle(pa, func(context.Context, T) error { ran++; return nil })
	call.Handle(pa, func(context.Context, T) (T, error) { ran++; return result, nil })
	point.Handle(pa, func(context.Context, T) (*T, error) {
		if ran++; ran > 100 {
			return nil, nil
		}
		return &result, nil
	})
	ctx := t.Context()
	for n, want := range map[int]string{1: "one is too few", 2: "own code", 3: "panic in t."} {
		_, err := note.Send(ctx, pb, api.All, make(n))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Send %d: %v", n, err)
		}
		_, err = call.Call(ctx, pb, api.Any, make(n))
		var ce *api.CallError
		if !errors.As(err, &ce) || !errors.Is(err, api.ErrNotSent) || errors.Is(err, api.ErrOutcomeUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("Call %d: %v", n, err)
		}
		if code := map[int]int{1: api.CodeInvalidParams, 2: -5, 3: api.CodeApplication}[n]; api.CodeOf(err) != code {
			t.Errorf("Call %d: code %d", n, api.CodeOf(err))
		}
		for _, m := range []string{"note", "call"} {
			_, err = pa.Binding().Dispatch(ctx, m, []byte(fmt.Sprintf(`{"N":%d}`, n)), nil)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Dispatch %s %d: %v", m, n, err)
			}
		}
		if ran != 0 || b.sent != 0 {
			t.Fatal("a handler ran, or something was sent")
		}
	}
	for n := 1; n <= 3; n++ {
		result = make(n)
		if _, err := call.Call(ctx, pb, api.Any, make(0)); api.CodeOf(err) != api.CodeInternal {
			t.Errorf("result %d: %v", n, err)
		}
		if _, err := point.Call(ctx, pb, api.Any, make(0)); api.CodeOf(err) != api.CodeInternal {
			t.Errorf("pointer result %d: %v", n, err)
		}
	}
	ran = 100
	if r, err := point.Call(ctx, pb, api.Any, make(0)); r != nil || err != nil {
		t.Errorf("a nil result: %v, %v", r, err)
	}
}

type (
	panicky struct{ N int }
	raising struct{ N int }
)

func (p panicky) MarshalJSON() ([]byte, error) {
	if p.N == 1 {
		panic("in MarshalJSON")
	}
	return fmt.Appendf(nil, "%d", p.N), nil
}
func (p *panicky) UnmarshalJSON(b []byte) error {
	if string(b) == "2" {
		panic("in UnmarshalJSON")
	}
	return json.Unmarshal(b, &p.N)
}
func (r raising) MarshalText() ([]byte, error)  { return nil, errors.New("raised") }
func (r *raising) UnmarshalText(b []byte) error { return errors.New("raised") }

// Whatever the methods of the user's types do, the process lives and every call has an outcome.
func TestHostileTypes(t *testing.T) {
	t.Parallel()
	type wrap struct {
		P panicky  `json:"p"`
		R *raising `json:"r,omitempty"`
		F float64  `json:"f"`
		S string   `json:"s"`
	}
	d := api.Define[near, far]("t", "1", "")
	c := api.IncomingCall[wrap, wrap](d, "m", "")
	var net network
	a := net.node("a")
	pa, pb := api.Bind(a, d), api.Bind(net.node("b"), d.Invert())
	var result wrap
	c.Handle(pa, func(context.Context, wrap) (wrap, error) { return result, nil })
	for want, p := range map[string]wrap{
		"panic in t.m":                     {P: panicky{1}},
		"/r has no JSON form: raised":      {R: &raising{}},
		"/f has no JSON form: unsupported": {F: math.NaN()},
		"/s has no JSON form: invalid":     {S: "\xff"},
	} {
		_, err := c.Call(t.Context(), pb, api.Any, p)
		if !errors.Is(err, api.ErrNotSent) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		result = p
		if _, err = c.Call(t.Context(), pb, api.Any, wrap{}); api.CodeOf(err) != api.CodeInternal {
			t.Errorf("result: %v", err)
		}
	}
	_, err := c.Call(t.Context(), pb, api.Any, wrap{P: panicky{2}})
	if api.CodeOf(err) != api.CodeInternal {
		t.Errorf("UnmarshalJSON of params: %v", err)
	}
	result = wrap{P: panicky{2}}
	_, err = c.Call(t.Context(), pb, api.Any, wrap{})
	var p *api.PanicError
	if !errors.Is(err, api.ErrOutcomeUnknown) || !errors.As(err, &p) || p.Value != "in UnmarshalJSON" || len(p.Stack) == 0 || p.Method != "t.m" {
		t.Errorf("UnmarshalJSON of the result: %v", err)
	}
	if _, err := pa.Binding().Dispatch(t.Context(), "m", []byte(`{"p":1,"r":"x","f":1,"s":""}`), nil); err == nil || !strings.Contains(err.Error(), "/r has not the right form") {
		t.Error(err)
	}
}

// TestNullsWithin: a null where the definition has none is found wherever it stands, also where nothing else is demanded; decoding
// would take it for a zero.
func TestNullsWithin(t *testing.T) {
	t.Parallel()
	type inner struct {
		X string `json:"x,omitzero"`
	}
	type some struct {
		Must int             `json:"must"`
		Text string          `json:"text,omitempty"`
		List []int           `json:"list,omitempty"`
		In   inner           `json:"in,omitzero"`
		Map  map[string]bool `json:"map,omitempty"`
		Ptr  *int            `json:"ptr,omitempty"`
		Any  any             `json:"any,omitempty"`
	}
	d := api.Define[near, far]("t", "1", "")
	c := api.IncomingCall[some, some](d, "m", "")
	free := api.IncomingCall[inner, int](d, "free", "")
	a := api.Bind(new(network).node("a"), d)
	c.Handle(a, func(_ context.Context, p some) (some, error) { return p, nil })
	free.Handle(a, func(context.Context, inner) (int, error) { return 0, nil })
	for params, want := range map[string]string{
		`{"must":null}`:                             "/must must be an integer",
		`{"must":1,"text":null}`:                    "/text must be a string",
		`{"must":1,"list":[1,null]}`:                "/list/1 must be an integer",
		`{"must":1,"in":{"x":null}}`:                "/in/x must be a string",
		`{"must":1,"in":null}`:                      "/in must be an object",
		`{"must":1,"map":{"k":null}}`:               "/map/k must be a boolean",
		`{"must":1,"map":{"k":true},"text":"null"}`: "",
		`{"must":1,"ptr":null}`:                     "",
		`{"must":1,"any":[null]}`:                   "",
		`{"must":1,"more":{"null":null}}`:           "",
	} {
		_, err := a.Binding().Dispatch(t.Context(), "m", []byte(params), nil)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
	for params, want := range map[string]string{`{"x":null}`: "/x must be a string", `{}`: ""} {
		_, err := a.Binding().Dispatch(t.Context(), "free", []byte(params), nil)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
}

// A slice or map that is nil goes as an empty one: params are structured.
func TestNilParams(t *testing.T) {
	t.Parallel()
	d := api.Define[near, far]("t", "1", "")
	list, dict := api.Incoming[[]int](d, "list", ""), api.Incoming[map[string]int](d, "dict", "")
	none, raw := api.Incoming[api.None](d, "none", ""), api.Incoming[json.RawMessage](d, "raw", "")
	var net network
	b := net.node("b")
	p := api.Bind(b, d.Invert())
	for _, c := range []struct {
		send func() (api.Report, error)
		want string
	}{
		{func() (api.Report, error) { return list.Send(t.Context(), p, api.All, nil) }, "[]"},
		{func() (api.Report, error) { return dict.Send(t.Context(), p, api.All, nil) }, "{}"},
		{func() (api.Report, error) { return none.Send(t.Context(), p, api.All, api.None{}) }, ""},
		{func() (api.Report, error) { return raw.Send(t.Context(), p, api.All, nil) }, ""},
		{func() (api.Report, error) { return raw.Send(t.Context(), p, api.All, json.RawMessage(" [1]")) }, " [1]"},
	} {
		if rep, err := c.send(); err != nil || rep.Queued != 0 || string(b.last) != c.want || (b.last == nil) != (c.want == "") {
			t.Errorf("%q %v", b.last, err)
		}
	}
	sent := b.sent
	for _, bad := range []string{"1", `"x"`, "null", "{", `{"a":1,"a":2}`} {
		if _, err := raw.Send(t.Context(), p, api.All, json.RawMessage(bad)); api.CodeOf(err) != api.CodeInvalidParams {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if b.sent != sent {
		t.Error("bad params were sent")
	}
}
