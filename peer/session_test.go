package peer_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/codec"
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
