package api_test

import (
	"context"
	"testing"

	"peermesh/api"
	"peermesh/examples/lab"
)

// still is a mesh that answers every request at once with the same text and sends nothing.
type still struct {
	*node
	answer []byte
	report api.Report
}

func (s *still) Request(_ context.Context, _ api.Binding, _ string, _ api.Receivers, _, dst []byte) ([]byte, error) {
	return append(dst, s.answer...), nil
}

func (s *still) Notify(context.Context, api.Binding, string, api.Receivers, []byte) (api.Report, error) {
	return s.report, nil
}

type point struct {
	X int    `json:"x"`
	Y int    `json:"y"`
	N string `json:"n"`
}

type open struct {
	X int    `json:"x,omitzero"`
	Y int    `json:"y,omitzero"`
	N string `json:"n,omitzero"`
}

func dispatcher[P any](tb testing.TB, params string) func() {
	d := api.Define[near, far]("t", "1", "")
	c := api.IncomingCall[P, P](d, "m", "")
	port := api.Bind(new(network).node("a"), d)
	c.Handle(port, func(_ context.Context, p P) (P, error) { return p, nil })
	b, raw, dst, ctx := port.Binding(), []byte(params), make([]byte, 0, 1024), context.Background()
	return func() {
		if _, err := b.Dispatch(ctx, "m", raw, dst); err != nil {
			tb.Fatal(err)
		}
	}
}

// dispatchers are a message in, a handler, a result out, by what the types demand.
func dispatchers(tb testing.TB) map[string]func() {
	return map[string]func(){
		"plain":       dispatcher[open](tb, `{"x":1,"y":2,"n":"abc"}`),
		"required":    dispatcher[point](tb, `{"x":1,"y":2,"n":"abc"}`),
		"constrained": dispatcher[limits](tb, `{"n":5,"s":"aa","e":"red","i":5,"l":[{"a/b~c":"x","name":"y","tags":{}}]}`),
		"defaults":    dispatcher[lab.SnapParams](tb, `{}`),
		"none":        dispatcher[api.None](tb, ``),
		"list":        dispatcher[[]float64](tb, `[1,2,3,4,5,6,7,8]`),
	}
}

// senders are a message out, and for calls the answer back, through a mesh that costs nothing.
func senders(tb testing.TB) map[string]func() {
	view := api.Bind(&still{node: new(network).node("x"), answer: []byte(`{"width":640,"height":480}`)}, lab.API.Invert())
	ctx := context.Background()
	deadline, cancel := context.WithTimeout(ctx, api.DefaultTimeout)
	tb.Cleanup(cancel)
	to := api.To("cam1")
	call := func(ctx context.Context) func() {
		return func() {
			if _, err := lab.Snap.Call(ctx, view, to, lab.SnapParams{ExposureMS: 5}); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return map[string]func(){
		"Send": func() {
			if _, err := lab.Gain.Send(ctx, view, to, lab.GainParams{DB: 6}); err != nil {
				tb.Fatal(err)
			}
		},
		"Call":               call(deadline),
		"Call, own deadline": call(ctx),
	}
}

// Allocations are part of the contract: a budget that is missed fails here, not in production.
func TestAllocations(t *testing.T) {
	budget := map[string]float64{"plain": 0, "required": 0, "constrained": 4, "defaults": 0, "none": 0, "list": 4,
		"Send": 0, "Call": 0, "Call, own deadline": 0}
	for _, group := range []map[string]func(){dispatchers(t), senders(t)} {
		for name, f := range group {
			if raceEnabled {
				f()
				continue
			}
			if n := testing.AllocsPerRun(500, f); n > budget[name] {
				t.Errorf("%s: %.1f allocations, want at most %.0f", name, n, budget[name])
			} else {
				t.Logf("%s: %.1f", name, n)
			}
		}
	}
}

func BenchmarkDispatch(b *testing.B) {
	for name, f := range dispatchers(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

func BenchmarkSend(b *testing.B) {
	for name, f := range senders(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	raw, err := lab.API.OpenRPC().MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := api.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}
