package peer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/discovery"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

// counted is an API whose one method counts what it hears.
type (
	tally  struct{}
	teller struct{}
)

var (
	counters = api.Define[tally, teller]("meter", "1", "It counts.")
	count    = api.Incoming[map[string]string](counters, "count", "Count what is said.")
)

// metered is a peer on a real socket that counts what it hears, by what was said.
func metered(t *testing.T, change ...func(*peer.Config)) (*peer.Peer, *security.Keyring, func() map[string]int) {
	t.Helper()
	mesh := peertest.New(t)
	p := mesh.Peer("server", append([]func(*peer.Config){func(c *peer.Config) {
		c.Listen, c.Network, c.Discovery = []string{"127.0.0.1:0"}, nil, nil
	}}, change...)...)
	var mu sync.Mutex
	heard := map[string]int{}
	count.Handle(api.Bind(p, counters), func(_ context.Context, in map[string]string) error {
		mu.Lock()
		defer mu.Unlock()
		heard[in["say"]]++
		return nil
	})
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, mesh.Keys, func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		now := map[string]int{}
		for k, n := range heard {
			now[k] = n
		}
		return now
	}
}

// from dials from another address of this machine each time, because introductions are bounded for each address.
func from(t *testing.T, n int, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		t.Skipf("skip: needs all of 127.0.0.0/8 as addresses of this machine: %v", err)
	}
	return conn
}

// flipped is a connection of which one byte, in one direction, is changed.
type flipped struct {
	net.Conn
	out  bool
	at   int
	with byte
	sent int
	read int
}

func (f *flipped) Write(p []byte) (int, error) {
	q := bytes.Clone(p)
	if i := f.at - f.sent; f.out && i >= 0 && i < len(q) {
		q[i] ^= f.with
	}
	f.sent += len(p)
	return f.Conn.Write(q)
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if i := f.at - f.read; !f.out && i >= 0 && i < n {
		p[i] ^= f.with
	}
	f.read += n
	return n, err
}

// TestFlippedBytes changes each byte, in turn, of all that goes over the wire in a handshake and a session: nothing that
// was changed is taken for a message, at either end.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	p, keys, heard := metered(t)
	id := identity(t, "client")
	// dialogue is a handshake, a notification and a call; it returns what was sent and read, and the answer.
	dialogue := func(n int, f *flipped) (answer string, err error) {
		f.Conn = from(t, n, p.Self().Address)
		c := newClient(t, f, codec.NUL)
		defer func() { _ = f.Close() }()
		m, err := shake(c, handshakeOf(id, keys))
		if err != nil {
			return "", err
		}
		m.send(m.frames(`{"jsonrpc":"2.0","method":"meter.count","params":{"say":"hello"}}`)...)
		return m.call(`{"jsonrpc":"2.0","id":7,"method":"rpc.ping"}`)
	}
	whole := &flipped{at: -1}
	want, err := dialogue(0, whole)
	if err != nil || want != `{"jsonrpc":"2.0","id":7,"result":{}}` {
		t.Fatalf("%s, %v", want, err)
	}
	var wg sync.WaitGroup
	var accepted, intact atomic.Int64
	next := make(chan flipped)
	for range 64 { // most of them wait for something that does not come
		wg.Go(func() {
			for f := range next {
				n := 1 + f.at
				if !f.out {
					n += 4096
				}
				answer, err := dialogue(n, &f)
				switch {
				case err != nil:
				case answer == want:
					intact.Add(1) // it stands in what comes after, or was not reached
				default:
					accepted.Add(1)
					t.Errorf("byte %d (to the peer: %v) was changed, and the answer is %s", f.at, f.out, answer)
				}
			}
		})
	}
	total := 0
	for _, out := range []bool{true, false} {
		end := whole.sent
		if !out {
			end = whole.read
		}
		for at := range end {
			next <- flipped{out: out, at: at, with: 1 << (at % 8)}
			total++
		}
	}
	close(next)
	wg.Wait()
	for said := range heard() {
		if said != "hello" {
			t.Errorf("the handler heard %q", said)
		}
	}
	// A changed byte of ours ends the dialogue, but for the method's id in the handshake's frames, which nobody signs;
	// of what it reads, the announcement of APIs behind the answer may still be on its way.
	if n := intact.Load(); n > int64(total)/10 {
		t.Errorf("%d of %d dialogues came through", n, total)
	}
	t.Logf("%d bytes changed, %d accepted, %d without effect", total, accepted.Load(), intact.Load())
}

// TestSessionReplay: a frame of a session is good once, on its link, in its direction.
func TestSessionReplay(t *testing.T) {
	t.Parallel()
	const said = `{"jsonrpc":"2.0","method":"meter.count","params":{"say":"once"}}`
	p, keys, heard := metered(t)
	connect := func(name string) *member {
		m, err := shake(dialClient(t, p.Self().Address, codec.NUL), handshakeOf(identity(t, name), keys))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	once := func(t *testing.T) {
		t.Helper()
		if !eventually(func() bool { return heard()["once"] > 0 }) || heard()["once"] != 1 {
			t.Errorf("heard %v", heard())
		}
	}
	a := connect("a")
	frames := a.frames(said)
	a.send(frames...)
	once(t)
	b := connect("b")
	b.send(frames...) // on another session
	b.closed()
	a.send(frames...) // on its own
	a.closed()
	once(t)

	for name, spoil := range map[string]func(m *member){
		"a frame is missing": func(m *member) { m.frames(said); m.send(m.frames(said)...) },
		"two change places":  func(m *member) { x, y := m.frames(said), m.frames(said); m.send(y...); _ = m.try(x...) },
		"without secinfo":    func(m *member) { m.send(m.frames(said)[1]) },
		"unsigned":           func(m *member) { m.sendText(said) },
		"its own frames":     func(m *member) { a, _ := m.next(); b, _ := m.next(); m.send(a, b) },
		"a second hello": func(m *member) {
			m.send(m.frames(`{"jsonrpc":"2.0","id":1,"method":"rpc.hello","params":{"v":"1"}}`)...)
		},
		"a hello in the clear": func(m *member) { m.sendText(`{"jsonrpc":"2.0","id":1,"method":"rpc.hello","params":{"v":"1","m":""}}`) },
		"signed with the group key": func(m *member) {
			s := newSigner(t, m.client, "client", keys)
			m.send(s.pair("server", said)...)
		},
		"secinfo twice": func(m *member) { f := m.frames(said); m.send(f[0], f[0]) },
	} {
		t.Run(name, func(t *testing.T) {
			m := connect("c")
			spoil(m)
			m.closed()
			once(t)
		})
	}
}

// TestReplayedHandshake: what was recorded of a handshake opens nothing, neither at once nor later.
func TestReplayedHandshake(t *testing.T) {
	t.Parallel()
	p, keys, heard := metered(t)
	rec := &recording{}
	conn, err := net.Dial("tcp", p.Self().Address)
	if err != nil {
		t.Fatal(err)
	}
	rec.Conn = conn
	m, err := shake(newClient(t, rec, codec.NUL), handshakeOf(identity(t, "client"), keys))
	if err != nil {
		t.Fatal(err)
	}
	m.send(m.frames(`{"jsonrpc":"2.0","method":"meter.count","params":{"say":"once"}}`)...)
	if !eventually(func() bool { return heard()["once"] == 1 }) {
		t.Fatal(heard())
	}
	again := dialClient(t, p.Self().Address, codec.NUL)
	if _, err := again.conn.Write(rec.sent); err != nil {
		t.Fatal(err)
	}
	if frame, err := again.next(); err != nil || !strings.Contains(string(frame), "-32040") {
		t.Errorf("%s, %v", frame, err)
	}
	again.closed()
	if !eventually(func() bool { return p.Stats().Refused["replay"] == 1 }) || heard()["once"] != 1 {
		t.Errorf("refused %v, heard %v", p.Stats().Refused, heard())
	}
}

type recording struct {
	net.Conn
	sent []byte
}

func (r *recording) Write(p []byte) (int, error) {
	r.sent = append(r.sent, p...)
	return r.Conn.Write(p)
}

// TestNoWeakerMode has somebody in the middle answer a dialler in every way that might talk it into less protection: it
// never says anything but the hello of a session.
func TestNoWeakerMode(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"session unknown":  `{"jsonrpc":"2.0","id":"h1","error":{"code":-32601,"message":"method not found"}}`,
		"unauthenticated":  `{"jsonrpc":"2.0","id":null,"error":{"code":-32040,"message":"unauthenticated"}}`,
		"session required": `{"jsonrpc":"2.0","id":"h1","error":{"code":-32045,"message":"session required"}}`,
		"other version":    `{"jsonrpc":"2.0","id":"h1","error":{"code":-32042,"message":"refused","data":{"v":["0"]}}}`,
		"plain hello":      `{"jsonrpc":"2.0","id":"h1","result":{"v":"1","id":"` + clientID + `","name":"server","boot":"` + clientBoot + `"}}`,
		"an empty result":  `{"jsonrpc":"2.0","id":"h1","result":{}}`,
		"garbage":          `{"jsonrpc":`,
		"a notification":   `{"jsonrpc":"2.0","method":"meter.count","params":{}}`,
		"a claim":          `{"jsonrpc":"2.0","method":"rpc.secinfo","params":{"user":"server"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = ln.Close() })
			frames := make(chan []byte, 64)
			var wg sync.WaitGroup
			wg.Go(func() {
				for range 3 { // it comes again
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					c := &client{t, conn, codec.NUL, codec.NewReader(conn, codec.NUL, 1<<20)}
					for {
						frame, err := c.next()
						if err != nil {
							break
						}
						frames <- frame
						if c.try([]byte(answer)) != nil {
							break
						}
					}
					_ = conn.Close()
				}
				close(frames)
			})
			t.Cleanup(wg.Wait)
			mesh := peertest.New(t)
			p := dialling(mesh, "client", ln.Addr().String(), func(c *peer.Config) { c.Settle = -1 })
			if err := p.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			for frame := range frames {
				var hello struct {
					Method string
					Params struct{ V, Kid, Noise, M string }
				}
				if json.Unmarshal(frame, &hello) != nil || hello.Method != "rpc.hello" || len(hello.Params.M) != 64 || hello.Params.Noise == "" {
					t.Errorf("it said %s", frame)
				}
			}
			if n := len(slices.Collect(p.Peers())); n != 0 {
				t.Errorf("%d peers are linked", n)
			}
		})
	}
}

// TestStrippedHandshake: somebody in the middle who edits the handshake gets a refusal out of it and no session.
func TestStrippedHandshake(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(toServer bool, b []byte) []byte{
		"another kid":   func(_ bool, b []byte) []byte { return bytes.Replace(b, []byte(`"kid":"`), []byte(`"kid":"0`), 1) },
		"another noise": func(_ bool, b []byte) []byte { return bytes.Replace(b, []byte("XXpsk0"), []byte("NNpsk0"), 1) },
		"without m":     func(_ bool, b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"m":`), []byte(`"x":`)) },
		"v 0":           func(_ bool, b []byte) []byte { return bytes.Replace(b, []byte(`"v":"1"`), []byte(`"v":"0"`), 1) },
		"secinfo away": func(_ bool, b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("rpc.secinfo"), []byte("rpc.secinf_"))
		},
		"auth to hello": func(_ bool, b []byte) []byte { return bytes.ReplaceAll(b, []byte("rpc.auth"), []byte("rpc.ping")) },
		"an early frame": func(toServer bool, b []byte) []byte {
			if toServer && bytes.Contains(b, []byte("rpc.auth")) {
				return append([]byte(`{"jsonrpc":"2.0","method":"meter.count","params":{"say":"early"}}`+"\x00"), b...)
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, keys, heard := metered(t, func(c *peer.Config) { c.Accept = security.AcceptGuest })
			addr := proxy(t, server.Self().Address, edit)
			mesh := peertest.New(t)
			p := dialling(mesh, "client", addr, func(c *peer.Config) { c.Keys, c.Settle = keys, time.Second })
			if err := p.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := len(slices.Collect(p.Peers())); n != 0 {
				t.Errorf("the dialler is linked with %d", n)
			}
			for i := range server.Peers() {
				if i.Verified || i.ID != "" {
					t.Errorf("the listener is linked with %+v", i)
				}
			}
			if len(heard()) > 0 {
				t.Errorf("heard %v", heard())
			}
		})
	}
}

// TestImpostor: a member of the mesh who says to be another one is refused in each way of speaking, and counted.
func TestImpostor(t *testing.T) {
	t.Parallel()
	p, keys, heard := metered(t, func(c *peer.Config) { c.Accept = security.AcceptGuest })
	alice := identity(t, "alice")
	cfg := handshakeOf(alice, keys)
	cfg.Transient = false
	m, err := shake(dialClient(t, p.Self().Address, codec.NUL), cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.send(m.frames(`{"jsonrpc":"2.0","method":"meter.count","params":{"say":"i am alice"}}`)...)
	if !eventually(func() bool { return heard()["i am alice"] == 1 }) {
		t.Fatal(heard())
	}
	const lie = `{"jsonrpc":"2.0","method":"meter.count","params":{"say":"so am i"}}`
	// By a session with another key.
	cfg = handshakeOf(identity(t, "alice"), keys)
	var remote *api.Error
	if _, err := shake(dialClient(t, p.Self().Address, codec.NUL), cfg); !errors.As(err, &remote) || remote.Code != api.CodeRefused {
		t.Errorf("a session: %v", err)
	}
	// By a single message with the group key.
	s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "alice", keys)
	s.send(s.pair("server", lie)...)
	s.send(s.pair("server", getData)...)
	if got := s.answer(); !strings.Contains(got, "-32042") {
		t.Errorf("a single message: %s", got)
	}
	// By a plain hello with alice's id, signed with the group key, and unsigned.
	hello := fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"rpc.hello","params":{"v":"1","id":%q,"name":%%q,"boot":%q}}`, alice.ID(), clientBoot)
	s = newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "mallory", keys)
	s.send(s.pair("server", fmt.Sprintf(hello, "mallory"))...)
	if got := s.answer(); !strings.Contains(got, "-32042") {
		t.Errorf("a plain hello: %s", got)
	}
	guest := dialClient(t, p.Self().Address, codec.NUL)
	guest.sendText(fmt.Sprintf(hello, "alice"))
	if frame, err := guest.next(); err != nil || !strings.Contains(string(frame), "-32042") {
		t.Errorf("a guest's hello: %s, %v", frame, err)
	}
	// By a claim. That is heard as a guest's, and guests may not count.
	guest = dialClient(t, p.Self().Address, codec.NUL)
	guest.sendText(`{"jsonrpc":"2.0","method":"rpc.secinfo","params":{"user":"alice"}}`, lie, `{"jsonrpc":"2.0","method":"rpc.secinfo","params":{"user":"alice"}}`, getData)
	if frame, err := guest.next(); err != nil || !strings.Contains(string(frame), "-32601") {
		t.Errorf("a claim: %s, %v", frame, err)
	}
	if n := heard()["so am i"]; n != 0 {
		t.Errorf("the lie was heard %d times", n)
	}
	refused := p.Stats().Refused
	for _, reason := range []string{"refused", "user", "hello", "forbidden"} {
		if refused[reason] == 0 {
			t.Errorf("%q is not counted: %v", reason, refused)
		}
	}
	if got, err := m.call(`{"jsonrpc":"2.0","id":1,"method":"rpc.ping"}`); err != nil || !strings.Contains(got, "result") {
		t.Errorf("alice's own link: %s, %v", got, err)
	}
}

// TestAllowedBefore: what one sender may is nothing that another one may who speaks on the same link.
func TestAllowedBefore(t *testing.T) {
	t.Parallel()
	keys := map[string]*security.Key{"meter": security.NewKey(), "display": security.NewKey()}
	p, ring, heard := metered(t, func(c *peer.Config) { c.Accept = security.AcceptHMAC })
	conn := dialClient(t, p.Self().Address, codec.NUL)
	say := map[string]*signer{}
	for name, role := range map[string]security.Role{"meter": security.RoleMember, "display": security.RoleGuest} {
		own, err := security.NewKeyring(security.Entry{Key: keys[name], Send: true})
		if err != nil {
			t.Fatal(err)
		}
		say[name] = newSigner(t, conn, name, own)
		if err := ring.Add(security.Entry{Key: keys[name], Users: []string{name}, Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		for _, name := range []string{"meter", "display"} {
			say[name].send(say[name].pair("server", fmt.Sprintf(`{"jsonrpc":"2.0","method":"meter.count","params":{"say":%q}}`, name))...)
		}
	}
	if !eventually(func() bool { return heard()["meter"] == 3 && p.Stats().Refused["forbidden"] == 3 }) {
		t.Errorf("heard %v, refused %v", heard(), p.Stats().Refused)
	}
	if heard()["display"] != 0 {
		t.Errorf("who may not was heard: %v", heard())
	}
}

// lying is a source of discovery that sends everybody to the wrong place.
type lying struct{ record discovery.Record }

func (lying) Name() string                   { return "lying" }
func (lying) Status() discovery.SourceStatus { return discovery.SourceStatus{} }

func (s lying) Run(ctx context.Context, feed *discovery.Feed) error {
	feed.Report(discovery.Event{Kind: discovery.Joined, Record: s.record})
	feed.Asked()
	<-ctx.Done()
	return nil
}

// TestForwarded: whoever is led to another peer than the one that it was told of does not talk to it.
func TestForwarded(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	use := func(c *peer.Config) { c.Listen, c.Network, c.Discovery = []string{"127.0.0.1:0"}, nil, nil }
	bob, carol := mesh.Peer("bob", use), mesh.Peer("carol", use)
	for _, p := range []*peer.Peer{bob, carol} {
		if err := p.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	alice := mesh.Peer("alice", func(c *peer.Config) {
		c.Listen, c.Network, c.Settle = []string{}, nil, time.Second
		c.Discovery = []discovery.Source{lying{discovery.Record{ID: bob.Self().ID, Name: "bob", Addrs: []string{carol.Self().Address}, Trusted: true}}}
	})
	events := watchEvents(t, alice)
	if err := alice.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool {
		return slices.Contains(events.events(), "refused bob refused: another peer answers at that address")
	}) {
		t.Errorf("%q", events.events())
	}
	if n := len(slices.Collect(alice.Peers())) + len(slices.Collect(carol.Peers())); n > 0 {
		t.Errorf("%d links", n)
	}
}
