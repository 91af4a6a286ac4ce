package peer_test

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
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
	"peermesh/examples/spec/service"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/peer/transport"
	"peermesh/security"
)

// member is a client that makes the handshake of a session by itself.
type member struct {
	*client
	id      *security.Identity
	session *security.Session
}

func identity(t *testing.T, name string) *security.Identity {
	t.Helper()
	id, err := security.NewIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func handshakeOf(id *security.Identity, keys *security.Keyring) security.HandshakeConfig {
	return security.HandshakeConfig{Identity: id, Mesh: "test", Keys: keys, Boot: clientBoot, Max: 4 << 20, Protection: security.Sealed,
		Transient: true, Now: time.Now}
}

// shake makes a session of a client's connection. The error is of the other end, or of the connection.
func shake(c *client, cfg security.HandshakeConfig) (*member, error) {
	in, err := security.NewInitiator(cfg)
	if err != nil {
		return nil, err
	}
	hello, err := in.Hello(nil)
	if err != nil {
		return nil, err
	}
	result, err := c.ask(`{"jsonrpc":"2.0","id":"h1","method":"rpc.hello","params":` + string(hello) + `}`)
	if err != nil {
		return nil, err
	}
	if _, err := in.Answer(result); err != nil {
		return nil, err
	}
	auth, s, err := in.Auth(nil, "")
	if err != nil {
		return nil, err
	}
	m := &member{c, cfg.Identity, s}
	if err := c.try([]byte(`{"jsonrpc":"2.0","id":"h2","method":"rpc.auth","params":` + string(auth) + `}`)); err != nil {
		return nil, err
	}
	text, err := m.read()
	if err != nil {
		return nil, err
	}
	var msg codec.Message
	if err := msg.Parse(text); err != nil {
		return nil, err
	}
	if msg.Kind == codec.ErrorReply {
		return nil, codec.DecodeError(msg.Error)
	}
	return m, nil
}

// ask sends a request without security and returns the result.
func (c *client) ask(request string) ([]byte, error) {
	if err := c.try([]byte(request)); err != nil {
		return nil, err
	}
	frame, err := c.next()
	if err != nil {
		return nil, err
	}
	var m codec.Message
	if err := m.Parse(frame); err != nil {
		return nil, err
	}
	if m.Kind == codec.ErrorReply {
		return nil, codec.DecodeError(m.Error)
	}
	return m.Result, nil
}

// read returns the next message of the session.
func (m *member) read() ([]byte, error) {
	frame, err := m.next()
	if err != nil {
		return nil, err
	}
	params, is, err := codec.ParseSecInfo(frame)
	if err != nil {
		return nil, err
	}
	if !is {
		return frame, nil // an error without protection
	}
	payload, err := m.next()
	if err != nil {
		return nil, err
	}
	_, text, err := m.session.Open(params, payload, nil)
	return text, err
}

// frames returns a message as the session sends it.
func (m *member) frames(text string) [][]byte {
	params, payload, err := m.session.Seal(nil, security.Outgoing{}, []byte(text))
	if err != nil {
		m.t.Fatal(err)
	}
	return [][]byte{codec.AppendSecInfo(nil, params), slices.Clone(payload)}
}

// call makes a call in the session and returns its answer; what comes in between is left out.
func (m *member) call(text string) (string, error) {
	if err := m.try(m.frames(text)...); err != nil {
		return "", err
	}
	for {
		got, err := m.read()
		if err != nil {
			return "", err
		}
		var msg codec.Message
		if err := msg.Parse(got); err != nil {
			return "", err
		}
		if msg.Kind == codec.Response || msg.Kind == codec.ErrorReply {
			return string(got), nil
		}
	}
}

func sessionPeer(t *testing.T, change ...func(*peer.Config)) (*peer.Peer, *security.Keyring) {
	t.Helper()
	return keyedPeer(t, append([]func(*peer.Config){func(c *peer.Config) { c.Accept = security.AcceptSession }}, change...)...)
}

// TestSessionFramings: the handshake and the session are the same on every framing and way, sealed and signed.
func TestSessionFramings(t *testing.T) {
	t.Parallel()
	ways := map[string]func(t *testing.T, p *peer.Peer) *client{
		"ws": func(t *testing.T, p *peer.Peer) *client {
			conn, err := transport.Dial(t.Context(), transport.Net{}, transport.Address{Scheme: "ws", Host: p.Self().Address, Path: "/mesh"})
			if err != nil {
				t.Fatal(err)
			}
			return newClient(t, conn, codec.WS)
		},
		"pipe": func(t *testing.T, p *peer.Peer) *client {
			ours, theirs := transport.Pipe()
			if err := p.Attach(theirs); err != nil {
				t.Fatal(err)
			}
			return newClient(t, ours, codec.NUL)
		},
	}
	for name, f := range map[string]codec.Framing{"nul": codec.NUL, "lf": codec.LF, "lsp": codec.LSP} {
		ways[name] = func(t *testing.T, p *peer.Peer) *client { return dialClient(t, p.Self().Address, f) }
	}
	for _, protection := range []security.Protection{security.Sealed, security.Signed} {
		p, keys := sessionPeer(t, func(c *peer.Config) { c.Protection = protection })
		for name, connect := range ways {
			t.Run(name+" "+protection.String(), func(t *testing.T) {
				t.Parallel()
				cfg := handshakeOf(identity(t, "client"), keys)
				cfg.Protection = protection
				m, err := shake(connect(t, p), cfg)
				if err != nil {
					t.Fatal(err)
				}
				if m.session.Protection() != protection {
					t.Errorf("the session is %s", m.session.Protection())
				}
				got, err := m.call(getData)
				if err != nil || !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":7,"result":["hello",5]`) {
					t.Errorf("%s, %v", got, err)
				}
			})
		}
	}
}

// proxy passes on what goes between whoever connects to it and target, and lets see change it.
func proxy(t *testing.T, target string, see func(toTarget bool, b []byte) []byte) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	closed := false
	track := func(c net.Conn) bool {
		mu.Lock()
		defer mu.Unlock()
		open = append(open, c)
		return !closed
	}
	pass := func(to, from net.Conn, toTarget bool) {
		defer func() { _, _ = to.Close(), from.Close() }()
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				if _, err := to.Write(see(toTarget, buf[:n])); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	wg.Go(func() {
		for {
			a, err := ln.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", target)
			if err != nil {
				_ = a.Close()
				continue
			}
			if !track(a) || !track(b) {
				_, _ = a.Close(), b.Close()
				return
			}
			wg.Go(func() { pass(b, a, true) })
			wg.Go(func() { pass(a, b, false) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		closed = true
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// dialling is a peer that listens nowhere and dials one address.
func dialling(mesh *peertest.Mesh, name, addr string, change ...func(*peer.Config)) *peer.Peer {
	return mesh.Peer(name, append([]func(*peer.Config){func(c *peer.Config) {
		c.Listen, c.Network, c.Discovery, c.Peers, c.Settle = []string{}, nil, nil, []string{addr}, 5*time.Second
	}}, change...)...)
}

// TestEavesdropper: what is said in a sealed session is nowhere on the wire; in a signed one it is there to be read.
func TestEavesdropper(t *testing.T) {
	t.Parallel()
	for protection, readable := range map[security.Protection]bool{security.Sealed: false, security.Signed: true} {
		t.Run(protection.String(), func(t *testing.T) {
			t.Parallel()
			mesh := peertest.New(t)
			use := func(c *peer.Config) { c.Protection = protection }
			server := mesh.Peer("server", use, func(c *peer.Config) { c.Listen, c.Network, c.Discovery = []string{"127.0.0.1:0"}, nil, nil })
			service.Bind(server)
			if err := server.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var wire []byte
			addr := proxy(t, server.Self().Address, func(_ bool, b []byte) []byte {
				mu.Lock()
				defer mu.Unlock()
				wire = append(wire, b...)
				return b
			})
			p := dialling(mesh, "client", addr, use)
			if err := p.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			mesh.Linked(p, "server")
			const canary = "a-canary-that-sings"
			got, err := p.Request(t.Context(), nil, "echo", api.To("server"), []byte(`["`+canary+`"]`), nil)
			if err != nil || !strings.Contains(string(got), canary) {
				t.Fatalf("%s, %v", got, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for form, text := range inAllForms(canary) {
				if found := strings.Contains(string(wire), text); found != (readable && form == "raw") {
					t.Errorf("%s: on the wire %v", form, found)
				}
			}
			if !readable && strings.Contains(string(wire), `"server"`) {
				t.Error("the name of a peer is readable on the wire")
			}
		})
	}
}

// inAllForms returns a text in the forms in which it could hide in other text.
func inAllForms(text string) map[string]string {
	return map[string]string{"raw": text, "hex": hex.EncodeToString([]byte(text)), "base64": base64.StdEncoding.EncodeToString([]byte(text))[:len(text)],
		"base64url": base64.RawURLEncoding.EncodeToString([]byte(text)), "base32": base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(text))}
}

// refusedPair joins two peers of which one refuses the other, and waits until both say so.
func refusedPair(t *testing.T, mesh *peertest.Mesh, a, b *peer.Peer, atA, atB string) {
	t.Helper()
	ha, hb := watchEvents(t, a), watchEvents(t, b)
	for _, p := range []*peer.Peer{a, b} {
		if err := p.Join(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	said := func(h *history, want string) bool {
		return slices.ContainsFunc(h.events(), func(e string) bool { return strings.HasPrefix(e, "refused") && strings.Contains(e, want) })
	}
	if !eventually(func() bool { return said(ha, atA) && said(hb, atB) }) {
		t.Fatalf("%s: %q, want %q; %s: %q, want %q", a.Self().Name, ha.events(), atA, b.Self().Name, hb.events(), atB)
	}
	for _, h := range []*history{ha, hb} {
		for _, e := range h.events() {
			if strings.HasPrefix(e, "joined") {
				t.Errorf("somebody joined: %q", e)
			}
		}
	}
}

// TestPinnedName: a second id under a name that is pinned is refused, whoever dials, and both sides say so.
func TestPinnedName(t *testing.T) {
	t.Parallel()
	other := strings.Repeat("a", 32)
	for _, dials := range []string{"alice", "bob"} {
		t.Run(dials+" dials", func(t *testing.T) {
			t.Parallel()
			mesh := peertest.New(t)
			known, err := security.OpenKnownPeers(filepath.Join(t.TempDir(), "known_peers"))
			if err != nil {
				t.Fatal(err)
			}
			if err := known.Pin("test", "bob", other, ""); err != nil {
				t.Fatal(err)
			}
			listens := func(name string) func(*peer.Config) {
				return func(c *peer.Config) {
					if name == dials {
						c.Listen = []string{}
					}
				}
			}
			alice := mesh.Peer("alice", listens("alice"), func(c *peer.Config) { c.KnownPeers = known })
			bob := mesh.Peer("bob", listens("bob"))
			refusedPair(t, mesh, alice, bob, "the name bob belongs to the peer aaaaaaaa", "the name bob belongs to the peer aaaaaaaa")
		})
	}
}

// TestFirstUsePins: the first peer of a name has it, on disk; another id is refused afterwards, also by other means.
func TestFirstUsePins(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "known_peers")
	known, err := security.OpenKnownPeers(file)
	if err != nil {
		t.Fatal(err)
	}
	p, keys := sessionPeer(t, func(c *peer.Config) {
		c.KnownPeers, c.Throwaway, c.Identity, c.Accept = known, false, identity(t, "server"), security.AcceptHMAC
	})
	try := func(id *security.Identity) error {
		cfg := handshakeOf(id, keys)
		cfg.Transient = false
		_, err := shake(dialClient(t, p.Self().Address, codec.NUL), cfg)
		return err
	}
	alice := identity(t, "alice")
	if err := try(alice); err != nil {
		t.Fatal(err)
	}
	if err := try(alice); err != nil {
		t.Errorf("again: %v", err)
	}
	again, err := security.OpenKnownPeers(file)
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := again.Pinned("test", "alice"); !ok || id != alice.ID() {
		t.Errorf("alice is pinned to %q", id)
	}
	var refused *api.Error
	if err := try(identity(t, "alice")); !errors.As(err, &refused) || refused.Code != api.CodeRefused || !strings.Contains(string(refused.Data), "the name alice belongs to") {
		t.Errorf("another alice: %v", err)
	}
	// A name that is pinned cannot be borrowed with the group key either.
	s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "alice", keys)
	s.send(s.pair("server", getData)...)
	if got := s.answer(); !strings.HasPrefix(got, `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32042,`) {
		t.Errorf("a single message as alice: %s", got)
	}
	// Nor can the id in a plain hello.
	s = newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "mallory", keys)
	s.send(s.pair("server", fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"rpc.hello","params":{"v":"1","id":%q,"name":"mallory","boot":%q}}`, alice.ID(), clientBoot))...)
	if got := s.answer(); !strings.HasPrefix(got, `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32042,`) {
		t.Errorf("alice's id: %s", got)
	}
}

// TestSelf: a peer does not talk to its own key, whatever the name.
func TestSelf(t *testing.T) {
	t.Parallel()
	id := identity(t, "server")
	p, keys := sessionPeer(t, func(c *peer.Config) { c.Identity = id })
	_, err := shake(dialClient(t, p.Self().Address, codec.NUL), handshakeOf(id, keys))
	if err == nil {
		t.Fatal("the handshake with one's own key succeeded")
	}
	// Its own name with another key neither.
	_, err = shake(dialClient(t, p.Self().Address, codec.NUL), handshakeOf(identity(t, "server"), keys))
	if api.CodeOf(err) != api.CodeRefused {
		t.Errorf("its own name: %v", err)
	}
}

// TestProtectionMinimum: who wants less than the other end's minimum is refused, and learns why.
func TestProtectionMinimum(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		listener, dialler security.Protection
		want              string
	}{
		{security.Sealed, security.Sealed, "sealed"},
		{security.Signed, security.Signed, "signed"},
		{security.Signed, security.Sealed, "sealed"},
		{security.Sealed, security.Signed, "sealed"}, // it takes both
	} {
		t.Run(fmt.Sprintf("%s listens, %s dials", c.listener, c.dialler), func(t *testing.T) {
			t.Parallel()
			mesh := peertest.New(t)
			a := mesh.Peer("a", func(cfg *peer.Config) { cfg.Protection = c.listener })
			b := mesh.Peer("b", func(cfg *peer.Config) { cfg.Protection, cfg.Listen = c.dialler, []string{} })
			mesh.Join(a, b)
			for _, p := range []*peer.Peer{a, b} {
				for i := range p.Peers() {
					if i.Protection != c.want {
						t.Errorf("%s sees %s with %s", p.Self().Name, i.Name, i.Protection)
					}
				}
			}
		})
	}
}

// TestRevoked: a link to a peer that is revoked is cut within a second, and it does not come back.
func TestRevoked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "known_peers")
	known, err := security.OpenKnownPeers(file)
	if err != nil {
		t.Fatal(err)
	}
	mesh := peertest.New(t)
	a := mesh.Peer("a", func(c *peer.Config) { c.KnownPeers, c.Throwaway, c.Identity = known, false, identity(t, "a") })
	b := mesh.Peer("b", func(c *peer.Config) { c.Throwaway, c.Identity = false, identity(t, "b") })
	mesh.Join(a, b)
	ha, hb := watchEvents(t, a), watchEvents(t, b)
	if !eventually(func() bool {
		return slices.Contains(ha.events(), "joined b") && slices.Contains(hb.events(), "joined a")
	}) {
		t.Fatalf("%q, %q", ha.events(), hb.events())
	}
	// Another process of the same user revokes it.
	other, err := security.OpenKnownPeers(file)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if _, err := other.Revoke("test", "b"); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return slices.Contains(ha.events(), "left b revoked") }) {
		t.Fatalf("%q", ha.events())
	}
	if d := time.Since(started); d > time.Second {
		t.Errorf("the link was cut after %s", d)
	} else {
		t.Logf("cut after %s", d)
	}
	if !eventually(func() bool {
		return slices.ContainsFunc(hb.events(), func(e string) bool {
			return strings.Contains(e, "refused: it is revoked") || strings.Contains(e, "refuses us: it is revoked")
		})
	}) {
		t.Errorf("b does not learn why: %q", hb.events())
	}
}

// TestRotation changes the mesh's key while calls go both ways, and links break and come again: none fails.
func TestRotation(t *testing.T) {
	t.Parallel()
	old, next := security.NewKey(), security.NewKey()
	rings := map[string]*security.Keyring{}
	mesh := peertest.New(t)
	ring := func(c *peer.Config) {
		r, err := security.NewKeyring(security.Entry{Key: old, Send: true})
		if err != nil {
			t.Fatal(err)
		}
		c.Keys, rings[c.Name] = r, r
	}
	a, b := mesh.Peer("a", ring), mesh.Peer("b", ring)
	ports := map[*peer.Peer]*api.Port[lab.Camera, lab.Viewer]{}
	views := map[*peer.Peer]*api.Port[lab.Viewer, lab.Camera]{}
	ports[a] = api.Bind(a, lab.API)
	views[b] = api.Bind(b, lab.API.Invert())
	lab.Snap.Handle(ports[a], func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
		return lab.Image{Width: in.ExposureMS}, nil
	})
	mesh.Join(a, b)
	var calls, failed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				img, err := lab.Snap.Call(context.Background(), views[b], api.To("a"), lab.SnapParams{ExposureMS: 7})
				if err != nil || img.Width != 7 {
					failed.Add(1)
					t.Errorf("a call failed: %v", err)
					return
				}
				calls.Add(1)
			}
		})
	}
	step := func(f func(*security.Keyring) error) {
		for _, r := range rings {
			if err := f(r); err != nil {
				t.Error(err)
			}
			before := calls.Load()
			eventually(func() bool { return calls.Load() > before+50 })
		}
	}
	step(func(r *security.Keyring) error { return r.Add(security.Entry{Key: next}) })
	step(func(r *security.Keyring) error { return r.Use(next.ID()) })
	step(func(r *security.Keyring) error { r.Remove(old.ID()); return nil })
	// Who has the new key gets in, who has the old one alone does not.
	newcomer := mesh.Peer("newcomer", func(c *peer.Config) {
		c.Keys, _ = security.NewKeyring(security.Entry{Key: next, Send: true})
	})
	if err := newcomer.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	mesh.Linked(newcomer, "a")
	late := mesh.Peer("late", func(c *peer.Config) { c.Keys, _ = security.NewKeyring(security.Entry{Key: old, Send: true}) })
	hl := watchEvents(t, late)
	if err := late.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool {
		return slices.ContainsFunc(hl.events(), func(e string) bool { return strings.Contains(e, "refused: another key") })
	}) {
		t.Errorf("the old key: %q", hl.events())
	}
	stop()
	wg.Wait()
	if failed.Load() > 0 || calls.Load() < 300 {
		t.Errorf("%d calls, %d failed", calls.Load(), failed.Load())
	}
	t.Logf("%d calls, %d failed", calls.Load(), failed.Load())
}

// TestRenewal: after 23 hours a new session takes over. No message is lost, none overtakes, and nobody notices.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		cam, desk := mesh.Peer("cam"), mesh.Peer("desk")
		port, view := api.Bind(cam, lab.API), api.Bind(desk, lab.API.Invert())
		var seen []int
		var answered atomic.Int64
		release := make(chan struct{})
		lab.Frame.Handle(view, func(_ context.Context, f lab.FrameInfo) error {
			time.Sleep(time.Millisecond) // so that many wait when the links change
			seen = append(seen, f.Seq)
			return nil
		})
		lab.Snap.Handle(port, func(ctx context.Context, in lab.SnapParams) (lab.Image, error) {
			if in.ExposureMS == 999 {
				<-release // a call that is in flight all the time
			}
			answered.Add(1)
			return lab.Image{Width: in.ExposureMS}, nil
		})
		mesh.Join(cam, desk)
		before := sessionOf(t, desk, "cam")
		hc, hd := watchEvents(t, cam), watchEvents(t, desk)
		time.Sleep(22*time.Hour + 59*time.Minute)
		long := lab.Snap.Go(timeout(t, time.Hour), view, api.To("cam"), lab.SnapParams{ExposureMS: 999})
		sent, deadline := 0, time.Now().Add(15*time.Minute)
		for time.Now().Before(deadline) {
			for range 20 {
				sent++
				if rep, err := lab.Frame.Send(t.Context(), port, api.All, lab.FrameInfo{Seq: sent}); err != nil || rep.Queued != 1 {
					t.Fatalf("send %d: %+v, %v", sent, rep, err)
				}
			}
			time.Sleep(250 * time.Millisecond)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		after := sessionOf(t, desk, "cam")
		if after == before {
			t.Fatal("the session was not renewed")
		}
		if len(seen) != sent || !slices.IsSorted(seen) {
			t.Errorf("%d of %d notifications, in order %v", len(seen), sent, slices.IsSorted(seen))
		}
		if n := mesh.Net.Conns(); n != 2 {
			t.Errorf("%d connections while a call is in flight on the old one, want 2", n)
		}
		close(release)
		if img, err := long.Result(); err != nil || img.Width != 999 {
			t.Errorf("the call that was in flight: %+v, %v", img, err)
		}
		time.Sleep(5 * time.Second)
		if n := mesh.Net.Conns(); n != 1 {
			t.Errorf("%d connections afterwards, want 1", n)
		}
		for _, h := range []*history{hc, hd} {
			for _, e := range h.events()[1:] { // the first tells who was there
				t.Errorf("event: %s", e)
			}
		}
		if d := desk.Stats().Dropped + cam.Stats().Dropped; d > 0 {
			t.Errorf("%d messages were dropped", d)
		}
	})
}

func timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// sessionOf names the session of the link to a peer.
func sessionOf(t *testing.T, p *peer.Peer, name string) string {
	t.Helper()
	for i := range p.Peers() {
		if i.Name == name {
			return i.Session
		}
	}
	t.Fatalf("%s has no link with %s", p.Self().Name, name)
	return ""
}

// TestRenewalBetweenCalls: calls one after the other, across the change, all get their answers.
func TestRenewalBetweenCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		cam, desk := mesh.Peer("cam"), mesh.Peer("desk")
		port, view := api.Bind(cam, lab.API), api.Bind(desk, lab.API.Invert())
		lab.Snap.Handle(port, func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
			return lab.Image{Width: in.ExposureMS}, nil
		})
		mesh.Join(cam, desk)
		mesh.Net.Delay("cam", "desk", 20*time.Millisecond)
		mesh.Net.Delay("desk", "cam", 20*time.Millisecond)
		sessions := map[string]bool{}
		for end := time.Now().Add(50 * time.Hour); time.Now().Before(end); {
			for range 4 {
				if _, err := lab.Snap.Call(t.Context(), view, api.To("cam"), lab.SnapParams{ExposureMS: 3}); err != nil {
					t.Fatal(err)
				}
			}
			sessions[sessionOf(t, desk, "cam")] = true
			time.Sleep(30 * time.Second)
		}
		if len(sessions) != 3 {
			t.Errorf("%d sessions in 50 hours, want 3", len(sessions))
		}
	})
}

// TestMaxOfTheOtherEnd: a message that the other end would not take is not sent; an answer becomes an error.
func TestMaxOfTheOtherEnd(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	small := mesh.Peer("small", func(c *peer.Config) { c.Limits.MaxFrame = 64 << 10 })
	large := mesh.Peer("large")
	service.Bind(large)
	mesh.Join(small, large)
	big := []byte(`["` + strings.Repeat("x", 100<<10) + `"]`)
	_, err := large.Request(t.Context(), nil, "echo", api.To("small"), big, nil)
	if !errors.Is(err, api.ErrTooLarge) || !errors.Is(err, api.ErrNotSent) {
		t.Errorf("a call: %v", err)
	}
	rep, err := large.Notify(t.Context(), nil, "update", api.All, big)
	if err != nil || len(rep.Refused) != 1 || !errors.Is(rep.Refused[0].Err, api.ErrTooLarge) {
		t.Errorf("a notification: %+v, %v", rep, err)
	}
	_, err = small.Request(t.Context(), nil, "echo", api.To("large"), []byte(`["`+strings.Repeat("x", 65400)+`"]`), nil)
	if err != nil && !errors.Is(err, api.ErrTooLarge) && api.CodeOf(err) != api.CodeInternal {
		t.Errorf("a result: %v", err)
	}
	if n := len(slices.Collect(small.Peers())); n != 1 {
		t.Errorf("%d links are left", n)
	}
}

// TestOversizedFrame: a session ends when a frame is too large; nothing of it is kept.
func TestOversizedFrame(t *testing.T) {
	t.Parallel()
	p, keys := sessionPeer(t, func(c *peer.Config) { c.Limits.MaxFrame = 64 << 10 })
	m, err := shake(dialClient(t, p.Self().Address, codec.NUL), handshakeOf(identity(t, "client"), keys))
	if err != nil {
		t.Fatal(err)
	}
	m.send(m.frames(`{"jsonrpc":"2.0","id":1,"method":"echo","params":["` + strings.Repeat("x", 128<<10) + `"]}`)...)
	m.closed()
	if !eventually(func() bool { return p.Stats().Refused["oversized"] == 1 }) {
		t.Errorf("%v", p.Stats().Refused)
	}
}

// TestInvite: a code is exchanged for the key, once; afterwards the newcomer is a member of the role it was given.
func TestInvite(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	host := mesh.Peer("host", func(c *peer.Config) { c.Listen, c.Network, c.Discovery = []string{"127.0.0.1:0"}, nil, nil })
	events := watchEvents(t, host)
	ring := host.Tap()
	if err := host.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	inv, err := host.Invite("admin", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if inv, err = security.ParseInvite(inv.Code()); err != nil {
		t.Fatal(err)
	}
	newcomer := identity(t, "newcomer")
	enroll := func(inv security.Invite, id *security.Identity) (*peer.Enrolment, error) {
		known, err := security.OpenKnownPeers("")
		if err != nil {
			t.Fatal(err)
		}
		return peer.Enroll(t.Context(), peer.Config{Identity: id, KnownPeers: known, Throwaway: true, Policy: &security.Policy{}}, inv)
	}
	e, err := enroll(inv, newcomer)
	if err != nil {
		t.Fatal(err)
	}
	if e.Mesh != "test" || e.Role != security.RoleAdmin || len(e.Keys) != 1 || !e.Keys[0].Equal(mesh.Keys.Entries()[0].Key) || e.Inviter.ID != host.Self().ID {
		t.Errorf("%+v", e)
	}
	if !eventually(func() bool { return slices.Contains(events.events(), "enrolled newcomer") }) {
		t.Errorf("%q", events.events())
	}
	var remote *api.Error
	if _, err := enroll(inv, identity(t, "second")); !errors.As(err, &remote) {
		t.Errorf("used twice: %v", err)
	}
	// It joins with the key, and the host knows what it is.
	keys, err := security.NewKeyring(security.Entry{Key: e.Keys[0], Send: true})
	if err != nil {
		t.Fatal(err)
	}
	p := dialling(mesh, "newcomer", host.Self().Address, func(c *peer.Config) { c.Keys, c.Identity = keys, newcomer })
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	mesh.Linked(host, "newcomer")
	for i := range host.Peers() {
		if i.Role != api.RoleAdmin {
			t.Errorf("%s is %s", i.Name, i.Role)
		}
	}
	key := mesh.Keys.Entries()[0].Key.Export()
	follower := ring.Follow(true)
	defer follower.Close()
	seen, texts, _ := follower.Read(nil, nil, 1000)
	if len(seen) < 4 {
		t.Errorf("the sniffer has %d events", len(seen))
	}
	for i, text := range texts {
		if strings.Contains(string(text), key) {
			t.Errorf("event %d of the sniffer holds the key: %s", seen[i].N, text)
		}
	}

	// What an invite does not do.
	inv, err = host.Invite("", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	wrong := inv
	wrong.Inviter = strings.Repeat("a", 32)
	if _, err := enroll(wrong, identity(t, "third")); err == nil {
		t.Error("another peer than the inviter was believed")
	}
	cfg := handshakeOf(identity(t, "fourth"), &security.Keyring{})
	cfg.Invite = inv.Key
	m, err := shake(dialClient(t, host.Self().Address, codec.NUL), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"rpc.ping", "rpc.discover", "rpc.peers", "get_data"} {
		got, err := m.call(`{"jsonrpc":"2.0","id":1,"method":"` + method + `"}`)
		if err != nil || !strings.Contains(got, "-32601") {
			t.Errorf("%s by invite: %s, %v", method, got, err)
		}
	}
	got, err := m.call(`{"jsonrpc":"2.0","id":2,"method":"rpc.enroll"}`)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Result struct{ Mesh, Role string }
	}
	if json.Unmarshal([]byte(got), &answer) != nil || answer.Result.Mesh != "test" || answer.Result.Role != "member" {
		t.Errorf("rpc.enroll: %s", got)
	}
	m.closed()
	// A name that belongs to somebody else does not spend it.
	if inv, err = host.Invite("", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := enroll(inv, identity(t, "newcomer")); api.CodeOf(err) != api.CodeRefused {
		t.Errorf("a pinned name: %v", err)
	}
	if _, err := enroll(inv, identity(t, "fifth")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestEnrollByMember: rpc.enroll is for invites alone.
func TestEnrollByMember(t *testing.T) {
	t.Parallel()
	p, keys := sessionPeer(t)
	m, err := shake(dialClient(t, p.Self().Address, codec.NUL), handshakeOf(identity(t, "client"), keys))
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.call(`{"jsonrpc":"2.0","id":1,"method":"rpc.enroll"}`)
	if err != nil || !strings.Contains(got, "-32601") {
		t.Errorf("%s, %v", got, err)
	}
}
