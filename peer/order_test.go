package peer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/examples/lab"
	"peermesh/peer/peertest"
)

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		var mu sync.Mutex
		var got []int
		var running atomic.Int32
		lab.Frame.Handle(b.view, func(_ context.Context, f lab.FrameInfo) error {
			if running.Add(1) > 1 {
				t.Error("two handlers of one sender and API run at once")
			}
			defer running.Add(-1)
			if f.Seq%7 == 0 {
				time.Sleep(time.Millisecond)
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, f.Seq)
			return nil
		})
		const n = 500
		for i := range n {
			if rep, err := lab.Frame.Send(t.Context(), b.port["cam1"], api.All, lab.FrameInfo{Seq: i}); err != nil || rep.Queued != 1 {
				t.Fatal(rep, err)
			}
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(got) != n || !slices.IsSorted(got) {
			t.Errorf("%d of %d came, in order: %v", len(got), n, slices.IsSorted(got))
		}
	})
}

type left struct{}
type right struct{}

var (
	pingPong = api.Define[left, right]("test.pingpong", "1", "Calls back and forth.")
	down     = api.IncomingCall[depth, int](pingPong, "down", "Ask the right side to go on.")
	up       = api.OutgoingCall[depth, int](pingPong, "up", "Ask the left side to go on.")
	together = api.IncomingCall[depth, int](pingPong, "together", "Run beside others.", api.Concurrent(3))
)

type depth struct {
	N int `json:"n"`
}

// TestNestedCalls has two peers call each other back to a depth of eight over one API, whose messages run one at a time.
func TestNestedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		l, r := api.Bind(a, pingPong), api.Bind(b, pingPong.Invert())
		down.Handle(l, func(ctx context.Context, in depth) (int, error) {
			if in.N == 0 {
				return 1, nil
			}
			n, err := up.Call(ctx, l, api.To(api.Sender(ctx)), depth{in.N - 1})
			return n + 1, err
		})
		up.Handle(r, func(ctx context.Context, in depth) (int, error) {
			if in.N == 0 {
				return 1, nil
			}
			derived, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			n, err := down.Call(derived, r, api.To(api.Sender(ctx)), depth{in.N - 1})
			return n + 1, err
		})
		mesh.Join(a, b)
		n, err := down.Call(t.Context(), r, api.To("a"), depth{8})
		if err != nil || n != 9 {
			t.Fatalf("got %d, %v", n, err)
		}
		// Both at once, many times: no order of locks or queues may deadlock.
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if n, err := down.Call(t.Context(), r, api.To("a"), depth{8}); err != nil || n != 9 {
					t.Errorf("down: %d, %v", n, err)
				}
			})
			wg.Go(func() {
				if n, err := up.Call(t.Context(), l, api.To("b"), depth{8}); err != nil || n != 9 {
					t.Errorf("up: %d, %v", n, err)
				}
			})
		}
		wg.Wait()
	})
}

type adder struct{}
type added struct{}

// TestOneWrite sends more than is handed over at once, and of every kind, in one write: the order holds, a call can be
// cancelled that came with its cancellation, and what came before the goodbye is handled and answered.
func TestOneWrite(t *testing.T) {
	t.Parallel()
	d := api.Define[added, adder]("count", "1", "")
	add := api.Incoming[depth](d, "add", "", api.MinRole(api.RoleGuest))
	sum := api.IncomingCall[api.None, int](d, "sum", "", api.MinRole(api.RoleGuest))
	wait := api.IncomingCall[api.None, int](d, "wait", "", api.MinRole(api.RoleGuest))
	p := openPeer(t)
	port := api.Bind(p, d)
	n := 0
	add.Handle(port, func(_ context.Context, in depth) error {
		if in.N != n+1 {
			t.Errorf("%d came after %d", in.N, n)
		}
		n = in.N
		return nil
	})
	sum.Handle(port, func(context.Context, api.None) (int, error) { return n, nil })
	wait.Handle(port, func(ctx context.Context, _ api.None) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	var frames [][]byte
	say := func(format string, args ...any) {
		frames = append(frames, fmt.Appendf(nil, `{"jsonrpc":"2.0",`+format+`}`, args...))
	}
	for i := range 40 {
		say(`"method":"count.add","params":{"n":%d}`, i+1)
	}
	say(`"id":1,"method":"count.sum"`)
	for i := 40; i < 43; i++ {
		say(`"method":"count.add","params":{"n":%d}`, i+1)
	}
	say(`"id":2,"method":"count.wait"`)
	say(`"method":"$/cancelRequest","params":{"id":2}`)
	say(`"id":3,"method":"count.sum"`)
	say(`"id":4,"method":"count.nothing"`)
	say(`"method":"rpc.bye"`)
	c := dialClient(t, p.Self().Address, codec.NUL)
	c.send(frames...)
	want := map[string]string{"1": `"result":40`, "2": `"code":-32800`, "3": `"result":43`, "4": `"code":-32601`}
	for range want {
		got, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		var m codec.Message
		if err := m.Parse(got); err != nil || !strings.Contains(string(got), want[string(m.ID)]) {
			t.Errorf("%s, %v", got, err)
		}
		delete(want, string(m.ID))
	}
	c.closed()
}

// TestLeftBehind has a handler leave a goroutine behind, which calls with the handler's context when that has returned:
// the place in the lane that such a call gives up is another message's by then, and stays so.
func TestLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		l, r := api.Bind(a, pingPong), api.Bind(b, pingPong.Invert())
		var running, most atomic.Int32
		down.Handle(l, func(ctx context.Context, in depth) (int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			if in.N == 0 {
				go func() {
					time.Sleep(time.Millisecond) // the handler has returned
					if _, err := up.Call(context.WithoutCancel(ctx), l, api.To("b"), depth{}); err != nil {
						t.Error(err)
					}
				}()
				return 0, nil
			}
			time.Sleep(time.Second)
			return 0, nil
		})
		up.Handle(r, func(context.Context, depth) (int, error) { return 0, nil })
		mesh.Join(a, b)
		if _, err := down.Call(t.Context(), r, api.To("a"), depth{0}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := down.Call(t.Context(), r, api.To("a"), depth{1}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := most.Load(); n != 1 {
			t.Errorf("%d messages of one lane ran at once", n)
		}
	})
}

func TestConcurrentMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		l, r := api.Bind(a, pingPong), api.Bind(b, pingPong.Invert())
		var running, most atomic.Int32
		together.Handle(l, func(ctx context.Context, in depth) (int, error) {
			n := running.Add(1)
			defer running.Add(-1)
			for {
				if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			time.Sleep(time.Second)
			return in.N, nil
		})
		mesh.Join(a, b)
		started := time.Now()
		var wg sync.WaitGroup
		for i := range 9 {
			wg.Go(func() {
				if n, err := together.Call(t.Context(), r, api.To("a"), depth{i}); err != nil || n != i {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		wg.Wait()
		if most.Load() != 3 || time.Since(started) != 3*time.Second {
			t.Errorf("at most %d ran at once, in %s; want 3 in 3 s", most.Load(), time.Since(started))
		}
	})
}
