package api_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"peermesh/api"
	"peermesh/examples/lab"
)

// pair returns the two ports of the lab's API.
func pair() (cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	var net network
	return api.Bind(net.node("cam"), lab.API), api.Bind(net.node("view"), lab.API.Invert())
}

func TestNotificationHandlers(t *testing.T) {
	t.Parallel()
	cam, view := pair()
	var order []string
	add := func(name string, err error) func() {
		return lab.Gain.Handle(cam, func(_ context.Context, p lab.GainParams) error {
			order = append(order, fmt.Sprint(name, p.DB))
			if name == "c" {
				panic("c panics")
			}
			return err
		})
	}
	fails := errors.New("b fails")
	add("a", nil)
	off := add("b", fails)
	add("c", nil)
	add("d", api.Errorf(-1, "d fails"))
	dispatch := func() (string, error) {
		order = nil
		out, err := cam.Binding().Dispatch(t.Context(), "gain", []byte(`{"db":2}`), nil)
		return string(out), err
	}
	out, err := dispatch()
	var notes *api.NotificationError
	var panicked *api.PanicError
	if out != "null" || !errors.As(err, &notes) || len(notes.Errs) != 3 || !errors.Is(err, fails) || !errors.As(err, &panicked) {
		t.Errorf("%s, %v", out, err)
	}
	if panicked.Value != "c panics" || panicked.Method != "lab.camera.gain" || !strings.Contains(string(panicked.Stack), "handlers_test.go") {
		t.Errorf("%v %s", panicked, panicked.Stack)
	}
	if !strings.Contains(err.Error(), "b fails") || !strings.Contains(err.Error(), "d fails") {
		t.Error(err)
	}
	if got := strings.Join(order, " "); got != "a2 b2 c2 d2" {
		t.Error(got)
	}
	off()
	off()
	if _, _ = dispatch(); strings.Join(order, " ") != "a2 c2 d2" {
		t.Error(order)
	}
	if rep, err := lab.Gain.Send(t.Context(), view, api.To("cam"), lab.GainParams{DB: 3}); err != nil || rep.Queued != 1 || len(order) != 6 {
		t.Error(rep, err, order)
	}
}

func TestCallHandlers(t *testing.T) {
	t.Parallel()
	cam, view := pair()
	call := func() (lab.Image, error) {
		return lab.Snap.Call(t.Context(), view, api.Any, lab.SnapParams{ExposureMS: 1})
	}
	if _, err := call(); api.CodeOf(err) != api.CodeMethodNotFound {
		t.Errorf("without a handler: %v", err)
	}
	answer := func(width int, err error) func() {
		return lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: width}, err })
	}
	offPass := answer(1, fmt.Errorf("not for me: %w", api.ErrPass))
	if _, err := call(); api.CodeOf(err) != api.CodeMethodNotFound {
		t.Errorf("all pass: %v", err)
	}
	offTwo := answer(2, nil)
	answer(3, nil)
	if img, err := call(); img.Width != 2 || err != nil {
		t.Error(img, err)
	}
	offTwo()
	if img, err := call(); img.Width != 3 || err != nil {
		t.Error(img, err)
	}
	offPass()
	offs := []func(){answer(4, nil)}
	if img, err := call(); img.Width != 3 || err != nil {
		t.Error("the first answers", img, err)
	}
	for _, off := range offs {
		off()
	}

	for _, c := range []struct {
		err  error
		code int
		text string
	}{
		{errors.New("no film"), api.CodeApplication, "no film"},
		{fmt.Errorf("wrapped: %w", api.Errorf(-7, "own")), -7, "own"},
	} {
		cam, v := pair()
		lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{}, c.err })
		_, err := lab.Snap.Call(t.Context(), v, api.Any, lab.SnapParams{})
		if api.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v", err)
		}
	}
	cam, view = pair()
	lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.Image, error) { panic("boom") })
	if _, err := call(); api.CodeOf(err) != api.CodeInternal || strings.Contains(err.Error(), "boom") {
		t.Error(err)
	}
	if _, err := cam.Binding().Dispatch(t.Context(), "snap", nil, nil); err == nil || err.Error() != "panic in lab.camera.snap: boom" {
		t.Error(err)
	}
	for _, method := range []string{"nothing", "frame", "", "lab.camera.snap"} {
		if _, err := cam.Binding().Dispatch(t.Context(), method, nil, nil); api.CodeOf(err) != api.CodeMethodNotFound {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// Handlers come and go while messages are handled.
func TestHandlersConcurrently(t *testing.T) {
	t.Parallel()
	cam, _ := pair()
	b := cam.Binding()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				off := lab.Gain.Handle(cam, func(context.Context, lab.GainParams) error { return nil })
				_, _ = b.Dispatch(t.Context(), "gain", []byte(`{"db":1}`), nil)
				b.Unhandled()
				off()
			}
		})
	}
	wg.Wait()
	if got := cam.Unhandled(); !slices.Equal(got, []string{"snap", "gain"}) {
		t.Error(got)
	}
}

func TestUnhandled(t *testing.T) {
	t.Parallel()
	cam, view := pair()
	if got := view.Unhandled(); !slices.Equal(got, []string{"frame"}) {
		t.Error(got)
	}
	off := lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{}, nil })
	if got := cam.Unhandled(); !slices.Equal(got, []string{"gain"}) {
		t.Error(got)
	}
	off()
	if got := cam.Unhandled(); !slices.Equal(got, []string{"snap", "gain"}) {
		t.Error(got)
	}
}

func TestHandleRefuses(t *testing.T) {
	t.Parallel()
	cam, _ := pair()
	other := api.Define[lab.Camera, lab.Viewer]("lab.other", "1", "The same roles.")
	note := api.Incoming[line](other, "snap", "")
	call := api.IncomingCall[line, line](other, "gain", "")
	for what, f := range map[string]func(){
		api.ErrWrongPort.Error(): func() { note.Handle(cam, func(context.Context, line) error { return nil }) },
		"lab.other.gain":         func() { call.Handle(cam, func(context.Context, line) (line, error) { return line{}, nil }) },
		"snap: no handler":       func() { lab.Snap.Handle(cam, nil) },
		"gain: no handler":       func() { lab.Gain.Handle(cam, nil) },
	} {
		if text := mustPanic(t, what, f); !strings.Contains(text, what) {
			t.Error(text)
		}
	}
}

func TestBindTwice(t *testing.T) {
	t.Parallel()
	n := new(network).node("a")
	api.Bind(n, lab.API)
	for what, f := range map[string]func(){
		"the same side":  func() { api.Bind(n, lab.API) },
		"the other side": func() { api.Bind(n, lab.API.Invert()) },
	} {
		if text := mustPanic(t, what, f); !strings.Contains(text, "bind lab.camera: bound already") {
			t.Error(text)
		}
	}
}

func TestPort(t *testing.T) {
	t.Parallel()
	var net network
	cam, view := api.Bind(net.node("cam"), lab.API), api.Bind(net.node("view"), lab.API.Invert())
	api.Bind(net.node("cam2"), lab.API)
	net.node("bare")
	var names []string
	for i := range view.Peers() {
		names = append(names, i.Name)
	}
	if !slices.Equal(names, []string{"cam", "cam2"}) {
		t.Error(names)
	}
	for range view.Peers() {
		break
	}
	if err := view.Wait(t.Context(), api.To("cam", "cam2")); err != nil {
		t.Error(err)
	}
	if err := cam.Wait(t.Context(), api.To("cam2")); err == nil {
		t.Error("cam2 is no viewer")
	}
	b := view.Binding()
	name, version, side, other := b.API()
	if name != "lab.camera" || version != "1.2.0" || side != "viewer" || other != "camera" {
		t.Error(name, version, side, other)
	}
	if b.Hash() != cam.Binding().Hash() || b.Hash() != b.Document().Hash() || len(b.Hash()) != 16 {
		t.Error(b.Hash(), cam.Binding().Hash())
	}
	same(t, "the binding's document", b.Document(), lab.API.Invert().OpenRPC())
	if b.Method("snap") == nil || b.Method("frame") == nil || b.Method("x") != nil || len(b.Incoming()) != 1 {
		t.Error("methods")
	}
}
