package peer_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/peer"
	"peermesh/peer/peertest"
)

// An API of equals: everybody says, and everybody hears.
type equal struct{}

var (
	equals = api.Define[equal, equal]("equals", "1.0.0", "A mesh of equals.")
	said   = api.Incoming[[]int](equals, "said", "Somebody said something.")
)

// TestSixtyFour: 64 peers that are started at one moment all link each other, each pair once, over TCP and by the
// registry of the machine, and what each sends to all comes to all.
func TestSixtyFour(t *testing.T) {
	if raceEnabled && os.Getenv("PEERMESH_LONG") == "" {
		t.Skip("skip: 2,016 handshakes take half a minute under the race detector; PEERMESH_LONG=1 runs it, and so does .ci/run nightly")
	}
	mesh := peertest.New(t)
	run := t.TempDir() + "/run"
	const n = 64
	type member struct {
		peer *peer.Peer
		port *api.Port[equal, equal]
	}
	var members []member
	var heard atomic.Int64
	for i := range n {
		p := mesh.Peer(fmt.Sprintf("p%d", i), func(c *peer.Config) {
			c.Listen, c.Network, c.Discovery, c.NoLocal, c.RuntimeDir = []string{"tcp://127.0.0.1:0"}, nil, nil, false, run
		})
		port := api.Bind(p, equals)
		said.Handle(port, func(context.Context, []int) error {
			heard.Add(1)
			return nil
		})
		members = append(members, member{p, port})
	}
	started := time.Now()
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(func() {
			if err := m.peer.Join(t.Context()); err != nil {
				t.Error(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			linked := map[string]bool{}
			for ev := range m.peer.Events(ctx) {
				if linked[ev.Peer.ID] = ev.Kind != peer.Left; len(linked) == n-1 {
					return
				}
			}
			t.Errorf("%s is linked with %d", m.peer.Self().Name, len(linked))
		})
	}
	wg.Wait()
	t.Logf("all are linked after %s", time.Since(started).Round(10*time.Millisecond))
	for _, m := range members {
		wg.Go(func() {
			rep, err := said.Send(t.Context(), m.port, api.All, []int{1})
			if err != nil || rep.Queued != n-1 {
				t.Errorf("%s: %+v, %v", m.peer.Self().Name, rep, err)
			}
		})
	}
	wg.Wait()
	if !eventually(func() bool { return heard.Load() == n*(n-1) }) {
		t.Errorf("%d of %d came", heard.Load(), n*(n-1))
	}
}
