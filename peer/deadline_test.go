package peer_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/peer/peertest"
)

type asker struct{}
type asked struct{}

var (
	waits   = api.Define[asked, asker]("test.waits", "1", "Calls that wait for different times.")
	briefly = api.IncomingCall[depth, int](waits, "briefly", "Wait a second at most.", api.Timeout(time.Second), api.Concurrent(8))
	patient = api.IncomingCall[depth, int](waits, "patiently", "Wait as long as ever.", api.Concurrent(8))
)

// TestMethodTimeouts has calls under contexts without a deadline wait for answers that do not come in time: each ends
// when its method says, whatever other calls wait for, and so does its handler's context.
func TestMethodTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		near, far := api.Bind(a, waits), api.Bind(b, waits.Invert())
		var ended atomic.Int32
		wait := func(ctx context.Context, in depth) (int, error) {
			if in.N > 0 {
				time.Sleep(time.Duration(in.N) * time.Millisecond)
				return in.N, nil
			}
			<-ctx.Done()
			ended.Add(1)
			return 0, ctx.Err()
		}
		briefly.Handle(near, wait)
		patient.Handle(near, wait)
		mesh.Join(a, b)
		var wg sync.WaitGroup
		late := func(call func(ctx context.Context) error, want time.Duration) {
			started := time.Now()
			wg.Go(func() {
				err := call(context.Background())
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, api.ErrOutcomeUnknown) {
					t.Errorf("after %s: %v", want, err)
				}
				if got := time.Since(started); got < want || got > want+time.Millisecond {
					t.Errorf("ended after %s, want %s", got, want)
				}
			})
		}
		long := func(ctx context.Context) error {
			_, err := patient.Call(ctx, far, api.To("a"), depth{})
			return err
		}
		short := func(ctx context.Context) error {
			_, err := briefly.Call(ctx, far, api.To("a"), depth{})
			return err
		}
		late(long, api.DefaultTimeout)
		time.Sleep(10 * time.Second)
		for range 3 {
			late(short, time.Second)
			time.Sleep(300 * time.Millisecond)
		}
		late(long, api.DefaultTimeout)
		late(func(ctx context.Context) error {
			for _, r := range briefly.CallEach(ctx, far, api.All, depth{}) {
				return r.Err
			}
			return nil
		}, time.Second)
		wg.Wait()
		synctest.Wait()
		if n := ended.Load(); n != 6 {
			t.Errorf("the contexts of %d handlers have ended, want 6", n)
		}
		if n, err := briefly.Call(context.Background(), far, api.To("a"), depth{1}); err != nil || n != 1 {
			t.Errorf("a call after them: %d, %v", n, err)
		}
	})
}
