package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/examples/lab"
)

// meshOf is a mesh whose requests are answered by functions.
type meshOf struct {
	*node
	request func(ctx context.Context, method string, params, dst []byte) ([]byte, error)
	each    func(ctx context.Context, yield func(*api.Info, []byte, error) bool) error
}

func (m *meshOf) Request(ctx context.Context, _ api.Binding, method string, _ api.Receivers, params, dst []byte) ([]byte, error) {
	return m.request(ctx, method, params, dst)
}

func (m *meshOf) RequestEach(ctx context.Context, _ api.Binding, _ string, _ api.Receivers, _ []byte, yield func(*api.Info, []byte, error) bool) error {
	return m.each(ctx, yield)
}

func TestCallErrors(t *testing.T) {
	t.Parallel()
	cam, view := pair()
	lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{}, nil })
	for what, c := range map[string]struct {
		to     api.Receivers
		params lab.SnapParams
		want   error
	}{
		"nobody":     {api.Except("cam"), lab.SnapParams{}, api.ErrNoReceiver},
		"unknown":    {api.To("nobody"), lab.SnapParams{}, api.ErrUnknownPeer},
		"bad params": {api.Any, lab.SnapParams{ExposureMS: -1}, &api.Error{Code: api.CodeInvalidParams}},
		"where":      {api.Where(func(*api.Info) bool { panic("in Where") }), lab.SnapParams{}, nil},
	} {
		_, err := lab.Snap.Call(t.Context(), view, c.to, c.params)
		var ce *api.CallError
		if !errors.As(err, &ce) || !errors.Is(err, api.ErrNotSent) || errors.Is(err, api.ErrOutcomeUnknown) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
		n := 0
		for who, r := range lab.Snap.CallEach(t.Context(), view, c.to, c.params) {
			if n++; what != "unknown" && (who != nil || !errors.Is(r.Err, api.ErrNotSent)) {
				t.Errorf("%s: CallEach: %v %v", what, who, r.Err)
			}
		}
		if n != 1 {
			t.Errorf("%s: CallEach yields %d times", what, n)
		}
		if _, err := lab.Snap.Go(t.Context(), view, c.to, c.params).Result(); !errors.Is(err, api.ErrNotSent) {
			t.Errorf("%s: Go: %v", what, err)
		}
	}
}

func TestWrongPort(t *testing.T) {
	t.Parallel()
	cam, view := pair()
	other := api.Define[lab.Camera, lab.Viewer]("lab.other", "1", "The same roles.")
	note := api.Outgoing[line](other, "note", "")
	call := api.IncomingCall[line, line](other, "call", "")
	if _, err := note.Send(t.Context(), cam, api.All, line{}); !errors.Is(err, api.ErrWrongPort) || !strings.Contains(err.Error(), "send lab.other.note") {
		t.Error(err)
	}
	if _, err := call.Call(t.Context(), view, api.All, line{}); !errors.Is(err, api.ErrWrongPort) || !errors.Is(err, api.ErrNotSent) {
		t.Error(err)
	}
	for _, r := range call.CallEach(t.Context(), view, api.All, line{}) {
		if !errors.Is(r.Err, api.ErrWrongPort) {
			t.Error(r.Err)
		}
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	var got []int
	n := new(network)
	cam := api.Bind(n.node("cam"), lab.API)
	for _, name := range []string{"v1", "v2"} {
		lab.Frame.Handle(api.Bind(n.node(name), lab.API.Invert()), func(_ context.Context, f lab.FrameInfo) error {
			got = append(got, f.Seq)
			return nil
		})
	}
	rep, err := lab.Frame.Send(t.Context(), cam, api.All, lab.FrameInfo{Seq: 1})
	if err != nil || rep.Queued != 2 || len(rep.To) != 2 {
		t.Error(rep, err)
	}
	if rep, err = lab.Frame.Send(t.Context(), cam, api.Where(func(i *api.Info) bool { return i.Name == "v2" }), lab.FrameInfo{Seq: 2}); err != nil || rep.Queued != 1 {
		t.Error(rep, err)
	}
	if fmt.Sprint(got) != "[1 1 2]" {
		t.Error(got)
	}
	var p *api.PanicError
	if rep, err = lab.Frame.Send(t.Context(), cam, api.Where(func(i *api.Info) bool { panic(i.Name) }), lab.FrameInfo{}); !errors.As(err, &p) || p.Value != "v1" || rep.Queued != 0 {
		t.Error(rep, err)
	}
	if rep, err = lab.Frame.Send(t.Context(), cam, api.To("nobody"), lab.FrameInfo{}); !errors.Is(err, api.ErrUnknownPeer) {
		t.Error(rep, err)
	}
}

func TestCallEach(t *testing.T) {
	t.Parallel()
	var net network
	view := api.Bind(net.node("view"), lab.API.Invert())
	for i, name := range []string{"a", "b", "c"} {
		cam := api.Bind(net.node(name), lab.API)
		lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.Image, error) {
			if name == "b" {
				return lab.Image{}, api.Errorf(-9, "b fails")
			}
			return lab.Image{Width: i}, nil
		})
	}
	each := lab.Snap.CallEach(t.Context(), view, api.All, lab.SnapParams{})
	for range 2 { // the iterator may be used again
		var got []string
		for who, r := range each {
			got = append(got, fmt.Sprint(who.Name, r.Value.Width, api.CodeOf(r.Err)))
		}
		if strings.Join(got, " ") != "a0 0 b0 -9 c2 0" {
			t.Error(got)
		}
	}
	n := 0
	for range each {
		n++
		break
	}
	if n != 1 {
		t.Error(n)
	}
	// A mesh that reports an error after the loop was left does not make the loop go on.
	m := &meshOf{node: new(network).node("x"), each: func(ctx context.Context, yield func(*api.Info, []byte, error) bool) error {
		yield(&api.Info{Name: "a"}, []byte(`{"width":1}`), nil)
		return ctx.Err()
	}}
	for who, r := range lab.Snap.CallEach(t.Context(), api.Bind(m, lab.API.Invert()), api.All, lab.SnapParams{}) {
		var ce *api.CallError
		if !errors.As(r.Err, &ce) || ce.Peer != who.Name || !errors.Is(r.Err, api.ErrOutcomeUnknown) || !strings.Contains(r.Err.Error(), "/height is required") {
			t.Errorf("%v", r.Err)
		}
		break
	}
}

// A result that does not fit is an error of the call, and does not look like the peer's.
func TestBadResults(t *testing.T) {
	t.Parallel()
	answer := ""
	m := &meshOf{node: new(network).node("x"), request: func(_ context.Context, _ string, _, dst []byte) ([]byte, error) {
		return append(dst, answer...), nil
	}}
	view := api.Bind(m, lab.API.Invert())
	for _, answer = range []string{"", "null", "1", `{"width":1}`, `{"width":"1","height":2}`, `{"width":1,"height":2,"png":"?"}`, "{"} {
		img, err := lab.Snap.Call(t.Context(), view, api.Any, lab.SnapParams{})
		var e *api.Error
		if !errors.Is(err, api.ErrOutcomeUnknown) || errors.Is(err, api.ErrNotSent) || errors.As(err, &e) || img.Width != 0 {
			t.Errorf("%s: %v %v", answer, img, err)
		}
	}
	answer = `{"width":1,"height":2,"new":true}`
	if img, err := lab.Snap.Call(t.Context(), view, api.Any, lab.SnapParams{}); err != nil || img.Height != 2 {
		t.Error("a newer peer's result", img, err)
	}
	d := api.Define[near, far]("t", "1", "")
	none, raw := api.IncomingCall[api.None, api.None](d, "none", ""), api.IncomingCall[api.None, json.RawMessage](d, "raw", "")
	p := api.Bind(m, d.Invert())
	for _, answer = range []string{"null", `{"later":"something"}`} {
		if _, err := none.Call(t.Context(), p, api.Any, api.None{}); err != nil {
			t.Error(err)
		}
		if got, err := raw.Call(t.Context(), p, api.Any, api.None{}); err != nil || string(got) != answer {
			t.Error(string(got), err)
		}
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	d := api.Define[near, far]("t", "1", "")
	call := api.IncomingCall[int1, int](d, "m", "")
	m := &meshOf{node: new(network).node("x"), request: func(ctx context.Context, _ string, params, dst []byte) ([]byte, error) {
		if string(params) == `{"n":1}` {
			return append(dst, "5"...), nil
		}
		<-ctx.Done()
		return dst, &api.CallError{Method: "t.m", Err: fmt.Errorf("%w: %w", api.ErrOutcomeUnknown, ctx.Err())}
	}}
	p := api.Bind(m, d.Invert())
	h := call.Go(t.Context(), p, api.Any, int1{1})
	<-h.Done()
	for range 2 {
		if n, err := h.Result(); n != 5 || err != nil {
			t.Error(n, err)
		}
	}
	h.Cancel() // too late: nothing happens
	if n, err := h.Result(); n != 5 || err != nil {
		t.Error(n, err)
	}
	h = call.Go(t.Context(), p, api.Any, int1{2})
	select {
	case <-h.Done():
		t.Error("done too early")
	default:
	}
	h.Cancel()
	h.Cancel()
	if _, err := h.Result(); !errors.Is(err, context.Canceled) || !errors.Is(err, api.ErrOutcomeUnknown) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	h = call.Go(ctx, p, api.Any, int1{2})
	cancel()
	if _, err := h.Result(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type int1 struct {
	N int `json:"n"`
}

func TestProgress(t *testing.T) {
	t.Parallel()
	cam, view := pair()
	lab.Snap.Handle(cam, func(ctx context.Context, _ lab.SnapParams) (lab.Image, error) {
		for _, v := range []any{1, "text", 2, nil} {
			if err := api.Progress(ctx, v); err != nil {
				t.Error(err)
			}
		}
		if err := api.Progress(ctx, make(chan int)); err == nil {
			t.Error("a channel went through")
		}
		if err := api.Progress(ctx, panicky{1}); err == nil || !strings.Contains(err.Error(), "panic") {
			t.Error(err)
		}
		_ = api.Progress(ctx, panicky{2})
		return lab.Image{}, nil
	})
	var seen []int
	if _, err := lab.Snap.Call(t.Context(), view, api.Any, lab.SnapParams{}, api.OnProgress(func(n int) { seen = append(seen, n) })); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(seen) != "[1 2 0 2]" {
		t.Error(seen)
	}
	if _, err := lab.Snap.Call(t.Context(), view, api.Any, lab.SnapParams{}, api.OnProgress(func(panicky) {})); err != nil {
		t.Fatal(err) // its UnmarshalJSON panics once
	}
	if _, err := lab.Snap.Call(t.Context(), view, api.Any, lab.SnapParams{}); err != nil {
		t.Fatal(err)
	}
	if err := api.Progress(t.Context(), 1); err != nil {
		t.Error("outside a handler", err)
	}
	h := lab.Snap.Go(t.Context(), view, api.Any, lab.SnapParams{}, api.OnProgress(func(int) { panic("in OnProgress") }))
	var p *api.PanicError
	if _, err := h.Result(); err == nil {
		t.Error("no error")
	} else if errors.As(err, &p) && !errors.Is(err, api.ErrOutcomeUnknown) {
		t.Error(err)
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	cam, view := pair()
	lab.Snap.Handle(cam, func(ctx context.Context, _ lab.SnapParams) (lab.Image, error) {
		ctx, cancel := context.WithCancel(ctx) // derived contexts know it too
		defer cancel()
		parent, state := api.Trace(ctx)
		if api.Sender(ctx).Name != "view" || api.SecInfo(ctx)["kid"] != "k" || string(api.CallID(ctx)) != "7" || parent != "parent" || state != "state" {
			t.Error("the handler's context does not know its message")
		}
		return lab.Image{}, nil
	})
	if _, err := lab.Snap.Call(t.Context(), view, api.Any, lab.SnapParams{}); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if parent, state := api.Trace(ctx); api.Sender(ctx) != nil || api.SecInfo(ctx) != nil || api.CallID(ctx) != nil || parent+state != "" {
		t.Error("there is no message here")
	}
}

func TestReceivers(t *testing.T) {
	t.Parallel()
	type name string
	a, b := &api.Info{ID: "1", Name: "a"}, &api.Info{Name: "b"}
	for _, c := range []struct {
		r            api.Receivers
		text         string
		a, b         bool
		to, any, has bool
	}{
		{api.All, "*", true, true, false, false, false},
		{api.Receivers{}, "*", true, true, false, false, false},
		{api.Any, "any", true, true, false, true, false},
		{api.To("a", "c", "a"), "a,c", true, false, true, false, true},
		{api.To("1"), "1", true, false, true, false, true},
		{api.To(name("b")), "b", false, true, true, false, true},
		{api.To(a, b), "1,b", true, true, true, false, true},
		{api.To[*api.Info](nil), "", false, false, true, false, true},
		{api.Except("b"), "all but b", true, false, false, false, true},
		{api.Except(a), "all but 1", false, true, false, false, true},
		{api.Where(func(i *api.Info) bool { return i.ID != "" }), "some", true, false, false, false, false},
		{api.Where(func(i *api.Info) bool { panic("x") }), "some", false, false, false, false, false},
	} {
		if c.r.String() != c.text || c.r.Matches(a) != c.a || c.r.Matches(b) != c.b || c.r.IsTo() != c.to || c.r.IsAny() != c.any {
			t.Errorf("%s: %v %v", c.r, c.r.Matches(a), c.r.Matches(b))
		}
		if _, ok := c.r.Named(); ok != c.has {
			t.Errorf("%s: Named says %v", c.r, ok)
		}
	}
	mustPanic(t, "Where(nil)", func() { api.Where(nil) })
	if a.Binds("x", "y") || !a.Hears() {
		t.Error("a peer with no API hears everything and binds nothing")
	}
	c := &api.Info{APIs: map[string]api.APIInfo{"x": {Side: "y"}}}
	if !c.Binds("x", "y") || c.Binds("x", "z") || c.Hears() {
		t.Error("a peer with an API")
	}
	c.APIs["*"] = api.APIInfo{}
	if !c.Hears() {
		t.Error("a peer that says so hears everything")
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	e := api.Errorf(api.CodeBusy, "try %s", "later")
	d := e.WithData(map[string]int{"retry_ms": 5})
	if e.Data != nil || string(d.Data) != `{"retry_ms":5}` || d.WithData(func() {}).Data != nil {
		t.Errorf("%s %s", e.Data, d.Data)
	}
	if e.Error() != "try later (code -32044)" || (&api.Error{Code: 1}).Error() != "JSON-RPC error 1" {
		t.Error(e)
	}
	wrapped := fmt.Errorf("x: %w", d)
	if !errors.Is(wrapped, &api.Error{Code: api.CodeBusy}) || errors.Is(wrapped, &api.Error{Code: 1}) || errors.Is(wrapped, api.Errorf(api.CodeBusy, "other")) || !errors.Is(wrapped, e) || errors.Is(wrapped, api.ErrBusy) {
		t.Error("errors.Is")
	}
	if api.CodeOf(nil) != 0 || api.CodeOf(wrapped) != api.CodeBusy || api.CodeOf(errors.New("x")) != api.CodeApplication {
		t.Error("CodeOf")
	}
	c := &api.CallError{Method: "m", Err: api.ErrGone}
	if c.Error() != "call m: "+api.ErrGone.Error() || !errors.Is(c, api.ErrGone) {
		t.Error(c)
	}
	if c.Peer = "p"; c.Error() != "call m on p: "+api.ErrGone.Error() {
		t.Error(c)
	}
}
