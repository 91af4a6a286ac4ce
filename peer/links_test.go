package peer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

const (
	clientID   = "zjcooxhlnb4bomlbbmge4zanyxpqvgpe"
	clientBoot = "1767225600000-0a1b2c3d"
)

// introduced connects a client that says hello and answers pings, for as long as alive lets it.
// What it returns is closed when the peer has closed the connection.
func introduced(t *testing.T, s *signer, boot string, alive func() bool) <-chan struct{} {
	t.Helper()
	ended := make(chan struct{})
	s.send(s.pair("server", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"rpc.hello","params":{"v":"1","id":%q,"name":"client","boot":%q,"more":[]}}`, clientID, boot))...)
	s.send(s.pair("server", `{"jsonrpc":"2.0","method":"rpc.apis","params":{"apis":{}}}`)...)
	go func() {
		defer close(ended)
		for {
			frame, err := s.next()
			if err != nil {
				return
			}
			var m codec.Message
			if m.Parse(frame) == nil && m.Kind == codec.Request && alive() {
				_ = s.try(s.pair("server", `{"jsonrpc":"2.0","id":`+string(m.ID)+`,"result":{}}`)...)
			}
		}
	}()
	return ended
}

// TestRedialOverALiveLink: a second link of the same process is refused while the first one answers, and takes its place
// when it does not.
func TestRedialOverALiveLink(t *testing.T) {
	t.Parallel()
	p, keys := keyedPeer(t)
	connect := func(alive func() bool) (ended <-chan struct{}) {
		s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
		return introduced(t, s, clientBoot, alive)
	}
	yes := func() bool { return true }
	first := make(chan struct{})
	firstAlive := func() bool {
		select {
		case <-first:
			return false
		default:
			return true
		}
	}
	firstEnded := connect(firstAlive)
	if !eventually(func() bool { return peers(p) == 1 }) {
		t.Fatal("the first link did not join")
	}
	<-connect(yes) // the second link is refused, for the first one lives
	close(first)   // the first one is dead, and nobody has noticed
	connect(yes)
	<-firstEnded
	if !eventually(func() bool { return p.Stats().Links == 1 && peers(p) == 1 }) {
		t.Fatal("two links remain")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := p.Request(ctx, nil, "any.thing", api.To("client"), nil, nil); err != nil {
		t.Errorf("a call on the link that remains: %v", err)
	}
}

func TestOlderBootIsRefused(t *testing.T) {
	t.Parallel()
	p, keys := keyedPeer(t)
	yes := func() bool { return true }
	newer := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
	introduced(t, newer, "1767225600001-00000000", yes)
	if !eventually(func() bool { return peers(p) == 1 }) {
		t.Fatal("it did not join")
	}
	older := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
	<-introduced(t, older, clientBoot, yes)
	for i := range p.Peers() {
		if i.Boot != "1767225600001-00000000" {
			t.Errorf("the older boot has won: %s", i.Boot)
		}
	}
}

// TestClaimedID: a guest who claims a member's id, from the far future, neither keeps the member out nor takes its place.
func TestClaimedID(t *testing.T) {
	t.Parallel()
	p, keys := keyedPeer(t, func(c *peer.Config) { c.Accept = security.AcceptGuest })
	hello := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"rpc.hello","params":{"v":"1","id":%q,"name":"client","boot":"9999999999999-00000000"}}`, clientID)
	apis := `{"jsonrpc":"2.0","method":"rpc.apis","params":{"apis":{}}}`
	claim := func() *client {
		c := dialClient(t, p.Self().Address, codec.NUL)
		c.sendText(hello, apis)
		return c
	}
	named := func(name string) bool {
		for i := range p.Peers() {
			if i.Name == name {
				return true
			}
		}
		return false
	}
	guest := claim()
	if !eventually(func() bool { return named("~client") }) {
		t.Fatal("the guest did not join")
	}
	member := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
	introduced(t, member, clientBoot, func() bool { return true })
	if !eventually(func() bool { return named("client") && !named("~client") }) {
		t.Fatal("the member did not take its place")
	}
	guest.closed()
	claim().closed()
	if !named("client") {
		t.Error("the member is gone")
	}
}

// TestReplayedHello: a hello proves nothing until its sender has answered something fresh.
func TestUnprovenLinkHearsNothing(t *testing.T) {
	t.Parallel()
	p, keys := keyedPeer(t)
	s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
	introduced(t, s, clientBoot, func() bool { return false })
	if !eventually(func() bool { return p.Stats().Links == 1 }) {
		t.Fatal("no link")
	}
	rep, err := p.Notify(t.Context(), nil, "news.of", api.All, nil)
	if err != nil || rep.Queued != 0 || peers(p) != 0 {
		t.Errorf("sent to %d, %d peers, %v", rep.Queued, peers(p), err)
	}
}

type meter struct{}
type reader struct{}

// two definitions of one API, as two programs of different age have them.
var (
	meterAPI = api.Define[meter, reader]("test.meter", "1", "A meter.")
	read     = api.IncomingCall[depth, int](meterAPI, "read", "Read it.", api.Idempotent())
	meterNew = api.Define[meter, reader]("test.meter", "2", "A meter.")
	readNew  = api.IncomingCall[depthNew, int](meterNew, "read", "Read it.")
	reset    = api.Incoming[api.None](meterNew, "reset", "Set it to zero.")
)

type depthNew struct {
	N int `json:"n" maximum:"5"`
}

func TestTwoDefinitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		port := api.Bind(a, meterAPI)
		view := api.Bind(b, meterNew.Invert())
		read.Handle(port, func(_ context.Context, in depth) (int, error) { return in.N, nil })
		ha, hb := watchEvents(t, a), watchEvents(t, b)
		mesh.Join(a, b)
		if n, err := readNew.Call(t.Context(), view, api.To("a"), depthNew{3}); err != nil || n != 3 {
			t.Errorf("calls still run: %d, %v", n, err)
		}
		time.Sleep(time.Second)
		for name, h := range map[string]*history{"a": ha, "b": hb} {
			all := strings.Join(h.events(), "\n")
			if !strings.Contains(all, "test.meter is defined otherwise there: test.meter.read, test.meter.reset") {
				t.Errorf("%s is not told: %s", name, all)
			}
		}
		_ = reset
	})
}

// TestIdempotent: a call whose link broke is sent again when its definition allows it, and only then.
func TestIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		a, b := mesh.Peer("a"), mesh.Peer("b")
		port, view := api.Bind(a, meterAPI), api.Bind(b, meterAPI.Invert())
		runs := 0
		read.Handle(port, func(ctx context.Context, in depth) (int, error) {
			if runs++; runs == 1 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return in.N, nil
		})
		mesh.Join(a, b)
		h := read.Go(t.Context(), view, api.To("a"), depth{4})
		synctest.Wait()
		mesh.Net.Cut("a", "b")
		if n, err := h.Result(); err != nil || n != 4 || runs != 2 {
			t.Errorf("got %d, %v after %d runs", n, err, runs)
		}
	})
}
