package peer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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
