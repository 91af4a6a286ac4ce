package peer_test

import (
	"context"
	"testing"

	"peermesh/api"
	"peermesh/examples/lab"
)

// TestAllocations holds what a message costs, both ends together, to a budget: what is missed fails here.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("skip: the race detector allocates")
	}
	cam, views, _ := pairOf(t, 8, "tcp")
	arrived := make(chan struct{}, 8)
	for _, v := range views {
		lab.Frame.Handle(v, func(context.Context, lab.FrameInfo) error { arrived <- struct{}{}; return nil })
	}
	call := func() {
		if _, err := lab.Snap.Call(t.Context(), views[0], api.To("cam1"), lab.SnapParams{ExposureMS: 20}); err != nil {
			t.Fatal(err)
		}
	}
	notify := func(to api.Receivers) func() {
		return func() {
			rep, err := lab.Frame.Send(t.Context(), cam, to, lab.FrameInfo{Seq: 1, Mean: 0.5})
			if err != nil {
				t.Fatal(err)
			}
			for range rep.Queued { // all of it is counted
				<-arrived
			}
		}
	}
	for _, c := range []struct {
		name   string
		f      func()
		budget float64
	}{
		{"a call", call, 2},
		{"a notification", notify(api.To("desk0")), 3},
		{"a broadcast to 8", notify(api.All), 12},
	} {
		for range 100 {
			c.f() // warm
		}
		if n := testing.AllocsPerRun(2000, c.f); n > c.budget {
			t.Errorf("%s: %.1f allocations, want at most %.0f", c.name, n, c.budget)
		} else {
			t.Logf("%s: %.1f", c.name, n)
		}
	}
}
