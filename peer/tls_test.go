package peer_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/examples/spec/service"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/peer/transport"
	"peermesh/security"
)

func tlsPeer(t *testing.T, mesh *peertest.Mesh, scheme string) *peer.Peer {
	t.Helper()
	p := mesh.Peer("server", func(c *peer.Config) { c.Listen, c.Network, c.Discovery = []string{scheme + "://127.0.0.1:0"}, nil, nil })
	service.Bind(p)
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTLS: a session within TLS, by TCP and WebSocket, with the pin that the listener tells, and nothing without TLS.
func TestTLS(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"tcps", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			mesh := peertest.New(t)
			server := tlsPeer(t, mesh, scheme)
			addr := server.Self().Addresses[0]
			if !strings.HasPrefix(addr, scheme+"://127.0.0.1:") || !strings.Contains(addr, "?pin=sha256/") {
				t.Fatalf("it listens on %s", addr)
			}
			client := dialling(mesh, "client", addr)
			if err := client.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			mesh.Linked(client, "server")
			got, err := client.Request(t.Context(), nil, "get_data", api.To("server"), nil, nil)
			if err != nil || string(got) != `["hello",5]` {
				t.Errorf("%s, %v", got, err)
			}
			for i := range client.Peers() {
				if i.Via != scheme || i.Protection != "sealed" {
					t.Errorf("by %s, %s", i.Via, i.Protection)
				}
			}
			host, _, _ := strings.Cut(strings.TrimPrefix(addr, scheme+"://"), "?")
			host, _, _ = strings.Cut(host, "/")
			plain := dialClient(t, host, codec.NUL)
			_ = plain.try([]byte(`{"jsonrpc":"2.0","id":1,"method":"rpc.ping"}`))
			plain.closed()
		})
	}
}

// TestTLSInTheMiddle: somebody who ends the TLS and begins another gets no session through, pin or no pin; where there
// is a pin he does not even see the handshake.
func TestTLSInTheMiddle(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	server := tlsPeer(t, mesh, "tcps")
	addr := server.Self().Addresses[0]
	target, query, _ := strings.Cut(strings.TrimPrefix(addr, "tcps://"), "?")
	cert, err := identity(t, "mallory").Certificate()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", security.ServerTLS(cert))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var pinned atomic.Bool
	var seen atomic.Int64 // bytes of connections to the pinned address
	wg.Go(func() {
		for {
			a, err := ln.Accept()
			if err != nil {
				return
			}
			counts := pinned.Load()
			b, err := tls.Dial("tcp", target, security.ClientTLS(""))
			if err != nil {
				_ = a.Close()
				continue
			}
			wg.Go(func() { defer func() { _ = a.Close() }(); _, _ = io.Copy(a, b) })
			wg.Go(func() {
				defer func() { _ = b.Close() }()
				if n, _ := io.Copy(b, a); counts {
					seen.Add(n)
				}
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	for _, q := range []string{"", "?" + query} {
		pinned.Store(q != "")
		client := dialling(mesh, "client", "tcps://"+ln.Addr().String()+q, func(c *peer.Config) { c.Settle = time.Second })
		if err := client.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(slices.Collect(client.Peers())) + len(slices.Collect(server.Peers())); n > 0 {
			t.Errorf("with %q: %d links", q, n)
		}
		// The channel binding is part of the very first message: it is the server that will have none of it.
		if q == "" && !eventually(func() bool { return server.Stats().Refused["handshake"] > 0 }) {
			t.Errorf("no handshake was refused: %v %v", server.Stats(), client.Stats())
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_ = ln.Close()
	wg.Wait()
	if n := seen.Load(); n > 0 {
		t.Errorf("with a pin %d bytes came through", n)
	}
}

// TestTLSFound: who is found on this machine, and takes TLS alone, is dialled with TLS.
func TestTLSFound(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	dir := t.TempDir()
	use := func(c *peer.Config) {
		c.Listen, c.Network, c.Discovery, c.NoLocal, c.RuntimeDir = []string{"tcps://127.0.0.1:0"}, nil, nil, false, dir+"/run"
	}
	a, b := mesh.Peer("a", use), mesh.Peer("b", use)
	mesh.Join(a, b)
	for i := range a.Peers() {
		if i.Via != "tcps" {
			t.Errorf("linked by %s", i.Via)
		}
	}
}

// TestBrowserToken: a web page gets in by a token of its origin, once.
func TestBrowserToken(t *testing.T) {
	t.Parallel()
	const origin = "http://desk.example:8080"
	p, _ := sessionPeer(t, func(c *peer.Config) { c.Origins, c.Accept = []string{origin}, security.AcceptGuest })
	if _, err := p.BrowserToken("http://evil.example"); !errors.Is(err, transport.ErrOrigin) {
		t.Errorf("another origin: %v", err)
	}
	token, err := p.BrowserToken(origin)
	if err != nil {
		t.Fatal(err)
	}
	connect := func(token string) error {
		ws, resp, err := websocket.Dial(t.Context(), "ws://"+p.Self().Address+"/mesh", &websocket.DialOptions{
			HTTPHeader: http.Header{"Origin": {origin}}, Subprotocols: []string{transport.Subprotocol, "auth." + token}})
		if err != nil {
			if resp == nil || resp.StatusCode != http.StatusForbidden {
				t.Errorf("%v", err)
			}
			return err
		}
		defer func() { _ = ws.CloseNow() }()
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(getData)); err != nil {
			return err
		}
		_, text, err := ws.Read(t.Context())
		if err == nil && !strings.Contains(string(text), `["hello",5]`) {
			t.Errorf("%s", text)
		}
		return err
	}
	if err := connect(token); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{token, "", "x"} {
		if connect(bad) == nil {
			t.Errorf("the token %q let a page in", bad)
		}
	}
	if n := p.Stats().Refused["new: token"]; n != 3 {
		t.Errorf("counted %v", p.Stats().Refused)
	}
}
