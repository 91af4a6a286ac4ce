package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
)

// TestStalledReader holds the sender to its promise: what it says it has queued is received, what it says it has
// refused is not, and nobody else is held up.
func TestStalledReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		cam := mesh.Peer("cam")
		port := api.Bind(cam, lab.API)
		var got [2]atomic.Int64
		var others []*peer.Peer
		for i, name := range []string{"slow", "quick"} {
			p := mesh.Peer(name)
			lab.Frame.Handle(api.Bind(p, lab.API.Invert()), func(context.Context, lab.FrameInfo) error { got[i].Add(1); return nil })
			others = append(others, p)
		}
		mesh.Join(cam, others[0], others[1])
		mesh.Net.Stall("cam", "slow")
		var queued, refused [2]int64
		const n = 20_000
		for i := range n {
			rep, err := lab.Frame.Send(t.Context(), port, api.All, lab.FrameInfo{Seq: i})
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range rep.To {
				queued[b2i(to.Name == "quick")]++
			}
			for _, r := range rep.Refused {
				if !errors.Is(r.Err, api.ErrBusy) {
					t.Fatal(r.Err)
				}
				refused[b2i(r.Peer == "quick")]++
			}
			if i%100 == 0 {
				synctest.Wait() // the quick one keeps up
			}
		}
		for i := range 2 {
			if queued[i]+refused[i] != n {
				t.Errorf("peer %d: %d queued + %d refused of %d", i, queued[i], refused[i], n)
			}
		}
		if refused[0] == 0 || refused[1] != 0 {
			t.Errorf("refused: slow %d, quick %d", refused[0], refused[1])
		}
		// A call to the stalled peer ends with its context, though the link is blocked.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := cam.Request(ctx, nil, "x.y", api.To("slow"), nil, nil); !errors.Is(err, api.ErrNotSent) {
			t.Errorf("a call to the stalled peer: %v", err)
		}
		mesh.Net.Heal("cam", "slow")
		time.Sleep(time.Second)
		for i := range 2 {
			if got[i].Load() != queued[i] {
				t.Errorf("peer %d: %d received of %d queued", i, got[i].Load(), queued[i])
			}
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

type source struct{}
type sink struct{}

var (
	streamAPI = api.Define[source, sink]("stream", "1", "Values.")
	newest    = api.Outgoing[depth](streamAPI, "newest", "Only the last one matters.", api.DropOldest())
)

func TestDropOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		port := api.Bind(a, streamAPI)
		var mu sync.Mutex
		var got []int
		newest.Handle(api.Bind(b, streamAPI.Invert()), func(_ context.Context, d depth) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, d.N)
			return nil
		})
		mesh.Join(a, b)
		mesh.Net.Stall("a", "b")
		const n = 5000
		for i := range n {
			if rep, err := newest.Send(t.Context(), port, api.All, depth{i}); err != nil || rep.Queued != 1 {
				t.Fatal(i, rep, err)
			}
		}
		mesh.Net.Heal("a", "b")
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if got[len(got)-1] != n-1 {
			t.Errorf("the newest that came is %d", got[len(got)-1])
		}
		if dropped := a.Stats().Dropped; int(dropped)+len(got) != n || dropped == 0 {
			t.Errorf("%d dropped + %d received of %d", dropped, len(got), n)
		}
	})
}

// TestWriteDeadline: a link whose other end takes nothing for 10 s ends, and what waited is counted.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		b.Net.Stall("cam1", "desk")
		for i := range 2000 {
			if _, err := lab.Frame.Send(t.Context(), b.port["cam1"], api.All, lab.FrameInfo{Seq: i}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(11 * time.Second)
		if s := b.cams["cam1"].Stats(); s.Dropped == 0 {
			t.Error("nothing was counted as dropped")
		}
		if n := peers(b.cams["cam1"]); n != 0 {
			t.Errorf("the link lives on: %d peers", n)
		}
	})
}

func TestTooManyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		release := make(chan struct{})
		lab.Snap.Handle(b.port["cam1"], func(ctx context.Context, _ lab.SnapParams) (lab.Image, error) {
			<-release
			return lab.Image{}, nil
		})
		var busy, fine atomic.Int32
		var wg sync.WaitGroup
		for range 300 {
			wg.Go(func() {
				_, err := lab.Snap.Call(t.Context(), b.view, api.To("cam1"), lab.SnapParams{})
				switch {
				case errors.Is(err, &api.Error{Code: api.CodeBusy}):
					busy.Add(1)
				case err == nil:
					fine.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if fine.Load() != 256 || busy.Load() != 44 {
			t.Errorf("%d answered, %d busy; want 256 and 44", fine.Load(), busy.Load())
		}
	})
}

// TestTooManyNotifications: a receiver that does not keep up holds its sender back; one that does not catch up within
// 2 s drops. Whatever becomes of a message is told at one end or counted at the other.
// TestAsManyCallsAsAllowed keeps exactly as many calls in flight as a peer takes: none is refused, for the place of a
// request is free before its answer can be read.
func TestAsManyCallsAsAllowed(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	const n = 256
	each := 400
	if raceEnabled {
		each = 40
	}
	limit := func(c *peer.Config) { c.Limits.Calls = n }
	cam, view := mesh.Peer("cam", limit), mesh.Peer("view", limit)
	lab.Snap.Handle(api.Bind(cam, lab.API), func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{}, nil })
	port := api.Bind(view, lab.API.Invert())
	mesh.Join(cam, view)
	var busy atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for range each {
				switch _, err := lab.Snap.Call(t.Context(), port, api.To("cam"), lab.SnapParams{}); {
				case api.CodeOf(err) == api.CodeBusy:
					busy.Add(1)
				case err != nil:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if busy.Load() > 0 {
		t.Errorf("%d of %d calls were refused", busy.Load(), n*each)
	}
}

func TestTooManyNotifications(t *testing.T) {
	for name, stuck := range map[string]time.Duration{"slow": time.Second, "stuck": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, "cam1")
				var ran atomic.Int32
				first := time.Now()
				lab.Gain.Handle(b.port["cam1"], func(context.Context, lab.GainParams) error {
					time.Sleep(time.Until(first.Add(stuck)))
					ran.Add(1)
					return nil
				})
				const n = 20_000
				queued, refused := 0, 0
				for i := range n {
					rep, _ := lab.Gain.Send(t.Context(), b.view, api.To("cam1"), lab.GainParams{}) // the report says it too
					queued += rep.Queued
					refused += len(rep.Refused)
					if i%500 == 0 {
						synctest.Wait()
					}
				}
				time.Sleep(2 * time.Minute)
				dropped := int(b.cams["cam1"].Stats().Dropped)
				if queued+refused != n || int(ran.Load())+dropped != queued {
					t.Errorf("%d queued + %d refused of %d; %d ran + %d dropped", queued, refused, n, ran.Load(), dropped)
				}
				if refused == 0 || (dropped > 0) != (name == "stuck") {
					t.Errorf("%s: %d refused, %d dropped", name, refused, dropped)
				}
			})
		})
	}
}

func TestTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		lab.Snap.Handle(b.port["cam1"], func(context.Context, lab.SnapParams) (lab.Image, error) {
			return lab.Image{PNG: make([]byte, 4<<20)}, nil
		})
		_, err := lab.Snap.Call(t.Context(), b.view, api.To("cam1"), lab.SnapParams{})
		if !errors.Is(err, &api.Error{Code: api.CodeInternal}) || !strings.Contains(err.Error(), "too large") {
			t.Errorf("a result above the limit: %v", err)
		}
		huge := []byte(`{"x":"` + strings.Repeat("x", 4<<20) + `"}`)
		if _, err := b.desk.Request(t.Context(), nil, "a.b", api.To("cam1"), huge, nil); !errors.Is(err, api.ErrTooLarge) || !errors.Is(err, api.ErrNotSent) {
			t.Errorf("params above the limit: %v", err)
		}
		if _, err := b.desk.Notify(t.Context(), nil, "a.b", api.To("cam1"), huge); !errors.Is(err, api.ErrTooLarge) {
			t.Errorf("a notification above the limit: %v", err)
		}
	})
}

// TestNewLinks: what has proven nothing gets 4 KiB and 5 s.
func TestNewLinks(t *testing.T) {
	t.Parallel()
	p, keys := keyedPeer(t)
	large := dialClient(t, p.Self().Address, codec.NUL)
	large.send(bytes.Repeat([]byte{'['}, 9<<10))
	large.closed()

	silent := dialClient(t, p.Self().Address, codec.NUL)
	half := dialClient(t, p.Self().Address, codec.NUL)
	if _, err := half.conn.Write([]byte(`{"jsonrpc"`)); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	half.closed()
	silent.closed()
	if d := time.Since(started); d < 4*time.Second || d > 9*time.Second {
		t.Errorf("closed after %s", d)
	}
	// A signed message may be large from the first: its key is known.
	s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
	s.send(s.pair("server", `{"jsonrpc":"2.0","id":1,"method":"echo","params":["`+strings.Repeat("x", 1<<20)+`"]}`)...)
	if got := s.answer(); len(got) < 1<<20 {
		t.Errorf("got %.100s", got)
	}
}

func TestTooManyNewLinks(t *testing.T) {
	t.Parallel()
	p, keys := keyedPeer(t, func(c *peer.Config) { c.Limits.NewLinks = 4 })
	var idle []*client
	for range 8 {
		idle = append(idle, dialClient(t, p.Self().Address, codec.NUL))
	}
	// Those that wait unaccepted get their turn when the silent ones are closed.
	s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
	s.send(s.pair("server", getData)...)
	for _, c := range idle {
		_ = c.conn.Close()
	}
	if got := s.answer(); !strings.Contains(got, `"result"`) {
		t.Error(got)
	}
}

// TestGarbage sends ten thousand frames of garbage over all framings; the peer serves on.
func TestGarbage(t *testing.T) {
	t.Parallel()
	const alphabet = "{}[]\",:0123456789truefalsn\\u\xff\x80 jsonrpcmethodidparams"
	p := openPeer(t)
	var wg sync.WaitGroup
	for i, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP} {
		wg.Go(func() {
			c := dialClient(t, p.Self().Address, f)
			c.sendText(`{"jsonrpc":"2.0","method":"update"}`)
			go func() { // the answers
				for {
					if _, err := c.next(); err != nil {
						return
					}
				}
			}()
			seed := uint32(i + 1)
			for range 10_000 {
				garbage := make([]byte, 1+seed%50)
				for j := range garbage {
					seed = seed*1664525 + 1013904223
					garbage[j] = alphabet[int(seed>>16)%len(alphabet)]
				}
				if _, err := c.conn.Write(f.Append(nil, garbage)); err != nil {
					t.Error(err)
					return
				}
			}
			_ = c.conn.Close()
		})
	}
	wg.Wait()
	c := dialClient(t, p.Self().Address, codec.NUL)
	c.sendText(getData)
	c.want(`{"jsonrpc":"2.0","id":7,"result":["hello",5]}`)
}

// TestByteByByte sends a conversation one byte at a time in every framing.
func TestByteByByte(t *testing.T) {
	t.Parallel()
	p := openPeer(t)
	for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP} {
		t.Run(f.Name(), func(t *testing.T) {
			t.Parallel()
			c := dialClient(t, p.Self().Address, f)
			for _, b := range f.Append(nil, []byte(getData)) {
				if _, err := c.conn.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
			c.want(`{"jsonrpc":"2.0","id":7,"result":["hello",5]}`)
		})
	}
}

// TestHalfFrame: what a dead connection left behind is not put before what a new one sends.
func TestHalfFrame(t *testing.T) {
	t.Parallel()
	p := openPeer(t)
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	for i := range 2 {
		d := net.Dialer{LocalAddr: local}
		conn, err := d.Dial("tcp", p.Self().Address)
		if err != nil {
			t.Skipf("skip: needs to use an address twice: %v", err)
		}
		if i == 0 {
			local = conn.LocalAddr().(*net.TCPAddr)
			if _, err := fmt.Fprint(conn, getData+"\x00"+`{"jsonrpc":"2.0","id":1,"meth`); err != nil {
				t.Fatal(err)
			}
			_ = conn.(*net.TCPConn).SetLinger(0) // free the address at once
			newClient(t, conn, codec.NUL).want(`{"jsonrpc":"2.0","id":7,"result":["hello",5]}`)
			_ = conn.Close()
			continue
		}
		c := newClient(t, conn, codec.NUL)
		c.sendText(getData)
		c.want(`{"jsonrpc":"2.0","id":7,"result":["hello",5]}`)
	}
}
