package peer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
)

// bench is a mesh of cameras and a desk.
type bench struct {
	*peertest.Mesh
	desk *peer.Peer
	view *api.Port[lab.Viewer, lab.Camera]
	cams map[string]*peer.Peer
	port map[string]*api.Port[lab.Camera, lab.Viewer]
}

func newBench(t *testing.T, cams ...string) *bench {
	t.Helper()
	b := &bench{Mesh: peertest.New(t), cams: map[string]*peer.Peer{}, port: map[string]*api.Port[lab.Camera, lab.Viewer]{}}
	b.desk = b.Peer("desk")
	b.view = api.Bind(b.desk, lab.API.Invert())
	all := []*peer.Peer{b.desk}
	for _, name := range cams {
		p := b.Peer(name)
		b.cams[name], b.port[name] = p, api.Bind(p, lab.API)
		all = append(all, p)
	}
	b.Join(all...)
	return b
}

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1", "cam2")
		var from *api.Info
		var secinfo map[string]string
		lab.Snap.Handle(b.port["cam1"], func(ctx context.Context, in lab.SnapParams) (lab.Image, error) {
			from, secinfo = api.Sender(ctx), api.SecInfo(ctx)
			return lab.Image{Width: in.ExposureMS}, nil
		})
		img, err := lab.Snap.Call(t.Context(), b.view, api.To("cam1"), lab.SnapParams{ExposureMS: 20})
		if err != nil || img.Width != 20 {
			t.Fatalf("got %+v, %v", img, err)
		}
		if from.Name != "desk" || !from.Verified || from.ID != b.desk.Self().ID {
			t.Errorf("the sender is %+v", from)
		}
		if len(secinfo["sig"]) != 32 || secinfo["seq"] == "" {
			t.Errorf("the security info is %v", secinfo)
		}
	})
}

// TestOutcomes holds every way in which a call can end against the promise: a result, the peer's error, or an error of
// ours of which exactly one of ErrNotSent and ErrOutcomeUnknown holds.
func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1", "cam2")
		handle := func(name string, f func(context.Context, lab.SnapParams) (lab.Image, error)) {
			lab.Snap.Handle(b.port[name], f)
		}
		var remote error
		handle("cam1", func(ctx context.Context, in lab.SnapParams) (lab.Image, error) {
			if in.ExposureMS == 999 {
				<-ctx.Done()
				remote = ctx.Err()
			}
			return lab.Image{}, nil
		})
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ended, end := context.WithCancel(t.Context())
		end()
		for _, c := range []struct {
			name    string
			ctx     context.Context
			to      api.Receivers
			in      lab.SnapParams
			is      error
			outcome error
		}{
			{"nobody of that name", t.Context(), api.To("cam9"), lab.SnapParams{}, api.ErrUnknownPeer, api.ErrNotSent},
			{"oneself", t.Context(), api.To("desk"), lab.SnapParams{}, api.ErrSelf, api.ErrNotSent},
			{"two receivers", t.Context(), api.To("cam1", "cam2"), lab.SnapParams{}, api.ErrManyReceivers, api.ErrNotSent},
			{"all of two", t.Context(), api.All, lab.SnapParams{}, api.ErrManyReceivers, api.ErrNotSent},
			{"nobody left", t.Context(), api.Except("cam1", "cam2"), lab.SnapParams{}, api.ErrNoReceiver, api.ErrNotSent},
			{"params against the schema", t.Context(), api.To("cam1"), lab.SnapParams{ExposureMS: -1}, &api.Error{Code: api.CodeInvalidParams}, api.ErrNotSent},
			{"a context that has ended", ended, api.To("cam1"), lab.SnapParams{}, context.Canceled, api.ErrNotSent},
			{"a deadline", short, api.To("cam1"), lab.SnapParams{ExposureMS: 999}, context.DeadlineExceeded, api.ErrOutcomeUnknown},
		} {
			_, err := lab.Snap.Call(c.ctx, b.view, c.to, c.in)
			if !errors.Is(err, c.is) {
				t.Errorf("%s: got %v, want %v", c.name, err, c.is)
			}
			other := api.ErrNotSent
			if c.outcome == api.ErrNotSent {
				other = api.ErrOutcomeUnknown
			}
			if !errors.Is(err, c.outcome) || errors.Is(err, other) {
				t.Errorf("%s: %v: want %q and not %q", c.name, err, c.outcome, other)
			}
			var call *api.CallError
			if !errors.As(err, &call) || call.Method != "lab.camera.snap" {
				t.Errorf("%s: %T is no CallError of the method", c.name, err)
			}
		}
		synctest.Wait()
		if !errors.Is(remote, context.DeadlineExceeded) {
			t.Errorf("the handler's context ended with %v: the deadline travels", remote)
		}
		// cam2 handles nothing.
		_, err := lab.Snap.Call(t.Context(), b.view, api.To("cam2"), lab.SnapParams{})
		var own *api.Error
		if !errors.As(err, &own) || own.Code != api.CodeMethodNotFound {
			t.Errorf("a method without a handler: %v", err)
		}
	})
}

func TestErrorsOfHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		var fail error
		off := lab.Snap.Handle(b.port["cam1"], func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{}, fail })
		for _, c := range []struct {
			err     error
			code    int
			message string
		}{
			{errors.New("the shutter is stuck"), api.CodeApplication, "the shutter is stuck"},
			{api.Errorf(-5, "own"), -5, "own"},
			{fmt.Errorf("wrapped: %w", api.Errorf(-6, "inner")), -6, "inner"},
			{api.ErrPass, api.CodeMethodNotFound, "method not found"},
		} {
			fail = c.err
			_, err := lab.Snap.Call(t.Context(), b.view, api.To("cam1"), lab.SnapParams{})
			var got *api.Error
			if !errors.As(err, &got) || got.Code != c.code || got.Message != c.message {
				t.Errorf("handler returned %v, caller got %v", c.err, err)
			}
		}
		off()
		lab.Snap.Handle(b.port["cam1"], func(context.Context, lab.SnapParams) (lab.Image, error) { panic("secret detail") })
		_, err := lab.Snap.Call(t.Context(), b.view, api.To("cam1"), lab.SnapParams{})
		var got *api.Error
		if !errors.As(err, &got) || got.Code != api.CodeInternal || got.Message != "internal error" || got.Data != nil {
			t.Errorf("after a panic the caller got %v", err)
		}
		if n := b.cams["cam1"].Stats().Panics; n != 1 {
			t.Errorf("%d panics were counted", n)
		}
	})
}

func TestSeveralHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		var order []string
		add := func(name string, err error) func() {
			return lab.Gain.Handle(b.port["cam1"], func(context.Context, lab.GainParams) error {
				order = append(order, name)
				if name == "panics" {
					panic(name)
				}
				return err
			})
		}
		add("first", errors.New("no"))
		off := add("panics", nil)
		add("last", nil)
		send := func() {
			t.Helper()
			if _, err := lab.Gain.Send(t.Context(), b.view, api.To("cam1"), lab.GainParams{DB: 6}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		send()
		if want := []string{"first", "panics", "last"}; !slices.Equal(order, want) {
			t.Errorf("ran %v, want %v: an error or panic of one does not keep the others", order, want)
		}
		off()
		off()
		order = nil
		send()
		if want := []string{"first", "last"}; !slices.Equal(order, want) {
			t.Errorf("ran %v, want %v", order, want)
		}
		if s := b.cams["cam1"].Stats(); s.Failed != 3 {
			t.Errorf("%d failures were counted, want 3 (two errors and a panic)", s.Failed)
		}
	})
}

func TestCallEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1", "cam2", "cam3")
		for i, name := range []string{"cam1", "cam2", "cam3"} {
			lab.Snap.Handle(b.port[name], func(ctx context.Context, in lab.SnapParams) (lab.Image, error) {
				select {
				case <-time.After(time.Duration(3-i) * time.Second):
				case <-ctx.Done():
				}
				return lab.Image{Width: i}, ctx.Err()
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		var got []string
		for who, r := range lab.Snap.CallEach(ctx, b.view, api.All, lab.SnapParams{}) {
			got = append(got, fmt.Sprint(who.Name, " ", r.Value.Width, " ", errors.Is(r.Err, context.DeadlineExceeded)))
		}
		if want := []string{"cam3 2 false", "cam2 1 false", "cam1 0 true"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v: as they come, the silent ones at the end", got, want)
		}
		// Leaving early cancels the others.
		started := time.Now()
		for range lab.Snap.CallEach(t.Context(), b.view, api.All, lab.SnapParams{}) {
			break
		}
		synctest.Wait()
		if d := time.Since(started); d != time.Second {
			t.Errorf("leaving early took %s", d)
		}
		for who, r := range lab.Snap.CallEach(t.Context(), b.view, api.Except("cam1", "cam2", "cam3"), lab.SnapParams{}) {
			if who != nil || !errors.Is(r.Err, api.ErrNoReceiver) {
				t.Errorf("nobody to call gave %v, %v", who, r.Err)
			}
		}
	})
}

func TestGoAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		stopped := make(chan error, 1)
		lab.Snap.Handle(b.port["cam1"], func(ctx context.Context, _ lab.SnapParams) (lab.Image, error) {
			<-ctx.Done()
			stopped <- ctx.Err()
			return lab.Image{}, ctx.Err()
		})
		h := lab.Snap.Go(t.Context(), b.view, api.Any, lab.SnapParams{})
		synctest.Wait()
		select {
		case <-h.Done():
			t.Fatal("it has an outcome already")
		default:
		}
		h.Cancel()
		_, err := h.Result()
		if !errors.Is(err, context.Canceled) || !errors.Is(err, api.ErrOutcomeUnknown) {
			t.Errorf("the outcome is %v", err)
		}
		if err := <-stopped; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context ended with %v", err)
		}
		synctest.Wait()
		if s := b.desk.Stats(); s.LateReply != 1 || s.StrayReply != 0 {
			t.Errorf("late %d, stray %d: the answer of a cancelled call is known for what it is", s.LateReply, s.StrayReply)
		}
	})
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		lab.Snap.Handle(b.port["cam1"], func(ctx context.Context, _ lab.SnapParams) (lab.Image, error) {
			for i := range 5 {
				if err := api.Progress(ctx, i); err != nil {
					return lab.Image{}, err
				}
			}
			return lab.Image{Width: 1}, nil
		})
		var got []int
		if _, err := lab.Snap.Call(t.Context(), b.view, api.To("cam1"), lab.SnapParams{}, api.OnProgress(func(n int) { got = append(got, n) })); err != nil {
			t.Fatal(err)
		}
		if want := []int{0, 1, 2, 3, 4}; !slices.Equal(got, want) {
			t.Errorf("progress %v, want %v, all before the result", got, want)
		}
		// Nobody asked: nothing is sent.
		rec := peertest.Record(t, b.desk)
		if _, err := lab.Snap.Call(t.Context(), b.view, api.To("cam1"), lab.SnapParams{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, r := range rec.Records() {
			if r.Method == "$/progress" {
				t.Errorf("progress that nobody asked for: %s", r.Params)
			}
		}
	})
}

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

func TestTwoPeersOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		desk := mesh.Peer("desk")
		twin1 := mesh.Peer("twin", func(c *peer.Config) { c.Network = mesh.Net.Host("host1") })
		twin2 := mesh.Peer("twin", func(c *peer.Config) { c.Network = mesh.Net.Host("host2") })
		view := api.Bind(desk, lab.API.Invert())
		for i, p := range []*peer.Peer{twin1, twin2} {
			lab.Snap.Handle(api.Bind(p, lab.API), func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: i + 1}, nil })
		}
		for _, p := range []*peer.Peer{twin1, twin2, desk} {
			if err := p.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		mesh.Linked(desk, "twin")
		for {
			n := 0
			for range view.Peers() {
				n++
			}
			if n == 2 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if _, err := lab.Snap.Call(t.Context(), view, api.To("twin"), lab.SnapParams{}); !errors.Is(err, api.ErrAmbiguousPeer) {
			t.Errorf("by the name of two: %v", err)
		}
		img, err := lab.Snap.Call(t.Context(), view, api.To(twin2.Self().ID), lab.SnapParams{})
		if err != nil || img.Width != 2 {
			t.Errorf("by id: %+v, %v", img, err)
		}
		rep, err := lab.Gain.Send(t.Context(), view, api.All, lab.GainParams{DB: 1})
		if err != nil || rep.Queued != 2 {
			t.Errorf("a broadcast reaches %d, %v", rep.Queued, err)
		}
	})
}

func TestTwoAPIsOfOneRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		other := api.Define[lab.Camera, lab.Viewer]("lab.other", "1", "Another API with the same roles.")
		poke := api.Incoming[api.None](other, "poke", "Poke.")
		p := mesh.Peer("p")
		cam := api.Bind(p, lab.API)
		view := api.Bind(mesh.Peer("q"), lab.API.Invert())
		mesh.Join(p)
		if _, err := poke.Send(t.Context(), view, api.All, api.None{}); !errors.Is(err, api.ErrWrongPort) {
			t.Errorf("send through the wrong port: %v", err)
		}
		defer func() {
			if recover() == nil {
				t.Error("Handle on the wrong port did not panic")
			}
		}()
		poke.Handle(cam, func(context.Context, api.None) error { return nil })
	})
}

func TestBindTwice(t *testing.T) {
	t.Parallel()
	p := peertest.New(t).Peer("p")
	api.Bind(p, lab.API)
	for name, bind := range map[string]func(){
		"the same side":  func() { api.Bind(p, lab.API) },
		"the other side": func() { api.Bind(p, lab.API.Invert()) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("binding %s as well did not panic", name)
				}
			}()
			bind()
		}()
	}
}

func TestBindAfterJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		mesh.Join(a, b)
		view := api.Bind(b, lab.API.Invert())
		waited := make(chan error, 1)
		go func() { waited <- view.Wait(t.Context(), api.To("a")) }()
		synctest.Wait()
		lab.Snap.Handle(api.Bind(a, lab.API), func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: 7}, nil })
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		img, err := lab.Snap.Call(t.Context(), view, api.Any, lab.SnapParams{})
		if err != nil || img.Width != 7 {
			t.Fatal(img, err)
		}
	})
}

func TestRequireHandlers(t *testing.T) {
	t.Parallel()
	p := peertest.New(t).Peer("p", func(c *peer.Config) { c.RequireHandlers = true })
	port := api.Bind(p, lab.API)
	if got := port.Unhandled(); !slices.Equal(got, []string{"snap", "gain"}) {
		t.Errorf("unhandled: %v", got)
	}
	if err := p.Join(t.Context()); !errors.Is(err, peer.ErrUnhandled) {
		t.Errorf("Join: %v", err)
	}
}

func TestAnyTakesTheLeastBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1", "cam2", "cam3")
		for i, name := range []string{"cam1", "cam2", "cam3"} {
			lab.Snap.Handle(b.port[name], func(ctx context.Context, _ lab.SnapParams) (lab.Image, error) {
				time.Sleep(time.Second)
				return lab.Image{Width: i}, nil
			})
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		used := map[int]int{}
		for range 3 {
			wg.Go(func() {
				img, err := lab.Snap.Call(t.Context(), b.view, api.Any, lab.SnapParams{})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				used[img.Width]++
			})
			synctest.Wait()
		}
		wg.Wait()
		if len(used) != 3 {
			t.Errorf("three calls at once went to %v", used)
		}
	})
}

// TestDeadlines: a call whose context says nothing ends after the method's time, or 30 s, and the handler knows.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type near struct{}
		type far struct{}
		d := api.Define[near, far]("t", "1", "")
		plain := api.IncomingCall[api.None, time.Time](d, "plain", "")
		own := api.IncomingCall[api.None, time.Time](d, "own", "", api.Timeout(time.Minute))
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		port, view := api.Bind(a, d), api.Bind(b, d.Invert())
		silent := false
		handle := func(ctx context.Context, _ api.None) (time.Time, error) {
			if silent {
				<-ctx.Done()
			}
			deadline, _ := ctx.Deadline()
			return deadline, nil
		}
		plain.Handle(port, handle)
		own.Handle(port, handle)
		mesh.Join(a, b)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, c := range []struct {
			call api.Call[near, far, api.None, time.Time]
			ctx  context.Context
			want time.Duration
		}{{plain, t.Context(), api.DefaultTimeout}, {own, t.Context(), time.Minute}, {own, short, time.Second}} {
			began := time.Now()
			at, err := c.call.Call(c.ctx, view, api.To("a"), api.None{})
			if err != nil || at.Sub(began).Round(10*time.Millisecond) != c.want {
				t.Errorf("the handler's deadline is in %s, want %s (%v)", at.Sub(began), c.want, err)
			}
		}
		silent = true
		mesh.Net.HalfOpen("a", "b") // nobody says that it is over
		began := time.Now()
		_, err := plain.Call(t.Context(), view, api.To("a"), api.None{})
		if d := time.Since(began); d > api.DefaultTimeout || !errors.Is(err, api.ErrOutcomeUnknown) {
			t.Errorf("%v after %s", err, d)
		}
	})
}
