package peer_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/peer/tap"
	"peermesh/security"
)

// seen collects what a peer watches, until the test ends.
type seen struct {
	mu   sync.Mutex
	list []tap.Record
}

func watching(t *testing.T, p *peer.Peer) *seen {
	ctx, cancel := context.WithCancel(t.Context())
	s, done := &seen{}, make(chan struct{})
	records := p.Watch(ctx)
	go func() {
		defer close(done)
		for r := range records {
			s.mu.Lock()
			s.list = append(s.list, r)
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	time.Sleep(time.Second) // the taps of the others are asked for
	return s
}

// take returns what has come of a method by now, and forgets it.
func (s *seen) take(method string) []tap.Record {
	time.Sleep(3 * time.Second) // longer than losses are waited for
	s.mu.Lock()
	defer s.mu.Unlock()
	var of []tap.Record
	for _, r := range s.list {
		if r.Method == method {
			of = append(of, r)
		}
	}
	s.list = nil
	return of
}

// TestWatch: a third peer sees each message between two others once, with both ends of it; a broadcast with all its
// receivers; params only of those who show them.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1", "cam2")
		open := b.Peer("open", func(c *peer.Config) { c.Tap = tap.Full })
		closed := b.Peer("closed", func(c *peer.Config) { c.Tap = tap.Off })
		lens := b.Peer("lens")
		for _, p := range []*peer.Peer{open, closed} {
			port := api.Bind(p, lab.API)
			lab.Snap.Handle(port, func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: 640}, nil })
		}
		b.Join(open, closed, lens)
		b.Linked(lens, "cam1", "cam2", "desk")
		b.Linked(b.desk, "open", "closed", "lens")
		b.Linked(b.cams["cam2"], "lens")
		lab.Snap.Handle(b.port["cam1"], func(context.Context, lab.SnapParams) (lab.Image, error) {
			time.Sleep(16 * time.Millisecond)
			return lab.Image{Width: 640}, nil
		})
		lab.Frame.Handle(b.view, func(context.Context, lab.FrameInfo) error { return nil })
		s := watching(t, lens)
		if got := b.cams["cam1"].Watchers(); !slices.Equal(got, []string{"lens"}) {
			t.Errorf("cam1 is watched by %q", got)
		}
		if got := closed.Watchers(); len(got) != 0 {
			t.Errorf("closed is watched by %q", got)
		}
		b.Net.Delay("cam1", "desk", 5*time.Millisecond)

		call := func(to string) []tap.Record {
			t.Helper()
			if _, err := lab.Snap.Call(t.Context(), b.view, api.To(to), lab.SnapParams{ExposureMS: 20}); err != nil {
				t.Fatal(err)
			}
			got := s.take("lab.camera.snap")
			if len(got) != 2 || got[0].Kind != "request" || got[1].Kind != "reply" {
				t.Fatalf("of a call of %s: %+v", to, got)
			}
			return got
		}
		got := call("cam1")
		if q, r := got[0], got[1]; q.From != "desk" || !slices.Equal(q.To, []string{"cam1"}) || q.Conv != r.Conv || r.From != "cam1" ||
			r.HandlerMS != 16 || r.MS < 21 || r.MS > 30 || !r.Sec.OK || !r.Sec.Sealed || r.Sec.Alg != "S-HS256" {
			t.Errorf("a call: %+v, %+v", q, r)
		}
		if got[0].Params != nil || got[1].Result != nil {
			t.Errorf("headers show %s and %s", got[0].Params, got[1].Result)
		}
		if got := call("open"); string(got[0].Params) != `{"exposure_ms":20}` || !strings.Contains(string(got[1].Result), "640") {
			t.Errorf("full shows %s and %s", got[0].Params, got[1].Result)
		}
		if got := call("closed"); got[0].Params != nil || got[1].Result != nil || got[1].HandlerMS != 0 {
			t.Errorf("of one that shows nothing, by the other end: %+v", got)
		}

		if _, err := lab.Gain.Send(t.Context(), b.view, api.All, lab.GainParams{DB: 6}); err != nil {
			t.Fatal(err)
		}
		notes := 0
		for _, r := range s.take("lab.camera.gain") {
			switch {
			case r.Kind == "notify" && r.All && slices.Equal(r.To, []string{"cam1", "cam2", "closed", "lens", "open"}):
			case r.Kind == "note" && (r.Text == "nobody handles it here" || r.SeenBy == "open" && strings.Contains(r.Text, "not found")):
				notes++
			default:
				t.Errorf("of a broadcast: %+v", r)
			}
		}
		if notes != 3 { // nobody has a handler, and closed does not say
			t.Errorf("%d notes", notes)
		}
		for range lab.Snap.CallEach(t.Context(), b.view, api.All, lab.SnapParams{}) {
			continue // what they answer is seen elsewhere
		}
		all := s.take("lab.camera.snap")
		if q := all[0]; q.Kind != "request" || !q.All || !slices.Equal(q.To, []string{"cam1", "cam2", "closed", "open"}) {
			t.Errorf("a call of all: %+v", q)
		}
		var answered []string
		for _, r := range all[1:] {
			switch {
			case r.Conv != all[0].Conv:
				t.Errorf("another conversation: %+v", r)
			case r.Kind != "note":
				answered = append(answered, r.Kind+" "+r.From)
				if took := map[string]float64{"cam1": 21, "closed": 0}[r.From]; r.MS < took || r.MS > took+1 || r.From == "cam1" && r.HandlerMS != 16 {
					t.Errorf("%+v", r)
				}
			}
		}
		if slices.Sort(answered); !slices.Equal(answered, []string{"error cam2", "reply cam1", "reply closed", "reply open"}) {
			t.Errorf("%q", answered)
		}
		for range 10 { // what goes on is not disturbed by one who comes and goes
			late := watching(t, lens)
			if _, err := lab.Frame.Send(t.Context(), b.port["cam2"], api.All, lab.FrameInfo{Seq: 1}); err != nil {
				t.Fatal(err)
			}
			if got := late.take("lab.camera.frame"); len(got) != 1 || got[0].From != "cam2" || !slices.Contains(got[0].To, "desk") {
				t.Fatalf("a later watcher saw %+v", got)
			}
		}
	})
}

// TestWatchProblems: what the API has against a message is seen by whoever watches, without what the message said.
func TestWatchProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		lens := b.Peer("lens")
		b.Join(lens)
		b.Linked(lens, "cam1", "desk")
		lab.Gain.Handle(b.port["cam1"], func(context.Context, lab.GainParams) error { return nil })
		s := watching(t, lens)
		for _, c := range []struct{ method, params, want string }{
			{"lab.camera.frame", `{"seq":1,"mean":0.5}`, "wrong direction: this peer sends it, and does not handle it"},
			{"lab.camera.zoom", `{}`, "nobody handles it here"},
			{"lab.camera.gain", `{"db":"hunter2"}`, "invalid params"},
		} {
			rep, err := b.desk.Notify(t.Context(), nil, c.method, api.To("cam1"), json.RawMessage(c.params))
			if err != nil || rep.Queued != 1 {
				t.Fatalf("%s: %+v, %v", c.method, rep, err)
			}
			got := s.take(c.method)
			if len(got) != 2 || got[0].Kind != "notify" || got[1].Kind != "note" || got[1].Text != c.want || got[1].From != "desk" || got[1].SeenBy != "cam1" {
				t.Errorf("%s: %+v", c.method, got)
			}
		}
		if _, err := b.desk.Request(t.Context(), nil, "lab.camera.frame", api.To("cam1"), json.RawMessage(`{}`), nil); api.CodeOf(err) != api.CodeMethodNotFound {
			t.Errorf("a call in the wrong direction: %v", err)
		}
		if got := s.take("lab.camera.frame"); len(got) != 3 || !slices.ContainsFunc(got, func(r tap.Record) bool { return strings.HasPrefix(r.Text, "wrong direction") }) {
			t.Errorf("a call in the wrong direction: %+v", got)
		}
	})
}

// TestWatchWithoutSession: between peers that sign each message by itself, requests and answers are joined by their ids,
// and nothing counts as lost.
func TestWatchWithoutSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		cam := mesh.Peer("cam1", func(c *peer.Config) {
			c.Listen, c.Discovery, c.Accept = []string{"0.0.0.0:7000"}, nil, security.AcceptHMAC
		})
		desk := mesh.Peer("desk", func(c *peer.Config) {
			c.Listen, c.Discovery, c.Peers = []string{}, nil, []string{"tcp://10.99.0.1:7000?protect=hmac"}
		})
		port, view := api.Bind(cam, lab.API), api.Bind(desk, lab.API.Invert())
		lab.Snap.Handle(port, func(context.Context, lab.SnapParams) (lab.Image, error) {
			time.Sleep(16 * time.Millisecond)
			return lab.Image{Width: 640}, nil
		})
		lab.Gain.Handle(port, func(context.Context, lab.GainParams) error { return nil })
		mesh.Join(cam, desk)
		s := watching(t, cam)
		if _, err := lab.Snap.Call(t.Context(), view, api.To("cam1"), lab.SnapParams{}); err != nil {
			t.Fatal(err)
		}
		if got := s.take("lab.camera.snap"); len(got) != 2 || got[1].MS != 16 || got[1].HandlerMS != 16 || got[1].Sec.Alg != "HS256" {
			t.Errorf("a call: %+v", got)
		}
		if _, err := lab.Gain.Send(t.Context(), view, api.All, lab.GainParams{DB: 6}); err != nil {
			t.Fatal(err)
		}
		if got := s.take("lab.camera.gain"); len(got) != 1 || got[0].Kind != "notify" {
			t.Errorf("a broadcast: %+v", got)
		}
	})
}

// TestWatchCalls: progress and a cancellation belong to the conversation of their call, and a call that is sent once more
// says what it repeats.
func TestWatchCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b, lens := mesh.Peer("a"), mesh.Peer("b"), mesh.Peer("lens")
		port, view := api.Bind(a, meterAPI), api.Bind(b, meterAPI.Invert())
		runs := 0
		read.Handle(port, func(ctx context.Context, in depth) (int, error) {
			if runs++; in.N == 4 && runs > 1 {
				return in.N, nil
			}
			if err := api.Progress(ctx, 0.5); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})
		mesh.Join(a, b, lens)
		mesh.Linked(lens, "a", "b")
		s := watching(t, lens)

		mesh.Net.Delay("b", "a", 5*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		if _, err := read.Call(ctx, view, api.To("a"), depth{1}, api.OnProgress(func(float64) {})); err == nil {
			t.Fatal("it was answered")
		}
		time.Sleep(3 * time.Second)
		conv, said := "", []string(nil)
		s.mu.Lock()
		for _, r := range s.list {
			if r.Method == "test.meter.read" && r.Kind == "request" {
				conv = r.Conv
			}
			if conv != "" && r.Conv == conv {
				said = append(said, r.Kind+" "+r.Method+" "+r.From)
			}
		}
		s.list = nil
		s.mu.Unlock()
		slices.Sort(said[min(2, len(said)):]) // that it was given up, and told, is of one moment
		if want := []string{"request test.meter.read b", "notify $/progress a", "error test.meter.read a", "error test.meter.read a", "notify $/cancelRequest b"}; !slices.Equal(said, want) {
			t.Errorf("of a call that was given up: %q", said)
		}

		mesh.Net.Heal("b", "a")
		runs = 0
		call := read.Go(t.Context(), view, api.To("a"), depth{4})
		synctest.Wait()
		mesh.Net.Cut("a", "b")
		if _, err := call.Result(); err != nil {
			t.Fatal(err)
		}
		again := s.take("test.meter.read")
		var requests []tap.Record
		for _, r := range again {
			if r.Kind == "request" {
				requests = append(requests, r)
			}
		}
		if len(requests) != 2 || requests[0].Again != "" || requests[1].Again != requests[0].Conv {
			t.Errorf("a call that was sent again: %+v", requests)
		}
	})
}
