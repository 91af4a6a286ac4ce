package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/codec"
	"peermesh/peer/transport"
	"peermesh/security"
)

// certificate returns what a listener secures its connections with, and the pin of it.
func certificate(t testing.TB) (*tls.Config, string) {
	t.Helper()
	id, err := security.NewIdentity("server")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := id.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	pin, err := id.TLSPin()
	if err != nil {
		t.Fatal(err)
	}
	return security.ServerTLS(cert), pin
}

func parse(t testing.TB, expr string) transport.Address {
	t.Helper()
	a, err := transport.ParseAddress(expr)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// exchangeFrame sends a frame to an echo and returns what comes back.
func exchangeFrame(c net.Conn, frame string) (string, error) {
	if _, err := c.Write([]byte(frame)); err != nil {
		return "", err
	}
	got := make([]byte, len(frame))
	n, err := io.ReadFull(c, got)
	return string(got[:n]), err
}

// TestSecure dials every listener that has a certificate by both schemes of TLS, with the right pin and without.
func TestSecure(t *testing.T) {
	t.Parallel()
	cfg, pin := certificate(t)
	for _, scheme := range []string{"tcp", "ws", "tcps", "wss"} {
		ln := listen(t, scheme+"://127.0.0.1:0", transport.ListenConfig{TLS: cfg})
		if ln.Scheme() != scheme {
			t.Error(ln.Scheme())
		}
		for _, expr := range []string{
			"tcps://" + ln.Addr().String(), "tcps://" + ln.Addr().String() + "?pin=" + pin,
			"wss://" + ln.Addr().String(), "wss://" + ln.Addr().String() + "?pin=" + pin,
		} {
			accepted := make(chan *transport.Conn, 1)
			go func() {
				c, err := ln.Accept()
				if err != nil {
					t.Error(err)
				}
				accepted <- c
			}()
			began := time.Now()
			addr := parse(t, expr)
			c, err := transport.Dial(t.Context(), transport.Net{}, addr)
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = c.Write([]byte("{}\x00")) }() // its error shows in what is read
			other := <-accepted
			if c.Via != addr.Scheme || other.Via != addr.Scheme {
				t.Errorf("%s: via %s and %s", expr, c.Via, other.Via)
			}
			if len(c.CB) != 43 || c.CB != other.CB {
				t.Errorf("%s: channel bindings %q and %q", expr, c.CB, other.CB)
			}
			if other.Accepted.Before(began) || other.Accepted.After(time.Now()) || !c.Accepted.IsZero() {
				t.Errorf("%s: accepted at %s and %s", expr, c.Accepted, other.Accepted)
			}
			if got := make([]byte, 3); true {
				if _, err := io.ReadFull(other, got); err != nil || string(got) != "{}\x00" {
					t.Errorf("%s: %q, %v", expr, got, err)
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if n, err := other.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Errorf("%s: the end is not seen: %d, %v", expr, n, err)
			}
			_ = other.Close()
		}
	}
}

func TestSecurePost(t *testing.T) {
	t.Parallel()
	cfg, pin := certificate(t)
	ln := listen(t, "wss://127.0.0.1:0", transport.ListenConfig{TLS: cfg})
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(c.Via + " " + c.CB + "\x00"))
			_ = c.Close()
		}
	}()
	tr := &http.Transport{TLSClientConfig: security.ClientTLS(pin), ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "https://"+ln.Addr().String()+"/rpc", strings.NewReader(`{}`)) // a good request
	req.Header.Set("Content-Type", "application/json")
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cb, err := security.ChannelBinding(*resp.TLS)
	if err != nil {
		t.Error(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || string(text) != "https "+cb || resp.ProtoMajor != 1 || resp.TLS.NegotiatedProtocol != "http/1.1" {
		t.Errorf("%q, %v, %s, %q", text, err, resp.Proto, resp.TLS.NegotiatedProtocol)
	}
}

// TestSecureRefused: what a listener of TLS does not take.
func TestSecureRefused(t *testing.T) {
	t.Parallel()
	cfg, pin := certificate(t)
	_, otherPin := certificate(t)
	refused := newRefusals()
	listeners := map[string]*transport.Listener{}
	for _, scheme := range []string{"tcp", "tcps", "wss"} {
		listeners[scheme] = listen(t, scheme+"://127.0.0.1:0", transport.ListenConfig{TLS: cfg, Refused: refused.note})
		echo(t, listeners[scheme])
	}
	dial := func(scheme string) net.Conn {
		c, err := net.Dial("tcp", listeners[scheme].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	closed := func(what string, c net.Conn) {
		t.Helper()
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || isTimeout(err) {
			t.Errorf("%s: %d, %v", what, n, err)
		}
		if got := refused.next(); got != transport.RefusedTLS {
			t.Errorf("%s is refused as %q", what, got)
		}
	}
	for _, text := range []string{"{}\x00", "\x00", "GET /mesh HTTP/1.1\r\nHost: localhost\r\n\r\n", "Content-Length: 2\r\n\r\n{}", "PRI * HTTP/2.0\r\n\r\n"} {
		for _, scheme := range []string{"tcps", "wss"} {
			c := dial(scheme)
			_, _ = c.Write([]byte(text)) // its error shows in what is read
			closed(scheme+" "+text, c)
		}
	}
	if got, err := exchangeFrame(dial("tcp"), "{}\x00"); got != "{}\x00" || err != nil {
		t.Errorf("a listener of both: %q, %v", got, err)
	}

	c := dial("tcps")
	_, _ = c.Write([]byte("\x16\x03\x01\x00\x05hello"))
	if alert := make([]byte, 7); true {
		_, _ = io.ReadFull(c, alert)
	}
	closed("no handshake", c)

	inside := tls.Client(dial("tcp"), security.ClientTLS(pin))
	if err := tls.Client(inside, security.ClientTLS(pin)).Handshake(); err == nil {
		t.Error("TLS inside TLS is spoken")
	}
	if got := refused.next(); got != transport.RefusedTLS {
		t.Errorf("TLS inside TLS is refused as %q", got)
	}

	for what, change := range map[string]func(*tls.Config){
		"TLS 1.2":     func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 },
		"HTTP/2 only": func(c *tls.Config) { c.NextProtos = []string{"h2"} },
	} {
		cfg := security.ClientTLS(pin)
		change(cfg)
		c := tls.Client(dial("tcp"), cfg)
		err := c.Handshake()
		if err == nil { // TLS 1.3 clients are told afterwards
			_, err = c.Read(make([]byte, 1))
		}
		if err == nil {
			t.Errorf("%s is spoken", what)
		}
		_ = c.Close()
		if got := refused.next(); got != transport.RefusedTLS {
			t.Errorf("%s is refused as %q", what, got)
		}
	}

	for _, scheme := range []string{"tcps", "wss"} {
		addr := parse(t, scheme+"://"+listeners["tcp"].Addr().String()+"?pin="+otherPin)
		_, err := transport.Dial(t.Context(), transport.Net{}, addr)
		var wrong *security.TLSPinError
		if !errors.As(err, &wrong) || wrong.Expected != otherPin || wrong.Found != pin {
			t.Errorf("%s with another's pin: %v", scheme, err)
		}
		if got := refused.next(); got != transport.RefusedTLS {
			t.Errorf("%s with another's pin is refused as %q", scheme, got)
		}
	}
	plain := listen(t, "127.0.0.1:0", transport.ListenConfig{Refused: refused.note})
	for _, scheme := range []string{"tcps", "wss"} {
		if _, err := transport.Dial(t.Context(), transport.Net{}, parse(t, scheme+"://"+plain.Addr().String())); err == nil || !strings.Contains(err.Error(), "TLS with "+plain.Addr().String()) {
			t.Errorf("%s where there is no TLS: %v", scheme, err)
		}
		if got := refused.next(); got != transport.RefusedTLS {
			t.Errorf("refused as %q", got)
		}
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// TestSecureCodec: a port that is bound to a framing is that with TLS and without.
func TestSecureCodec(t *testing.T) {
	t.Parallel()
	cfg, _ := certificate(t)
	for _, scheme := range []string{"tcp", "tcps"} {
		ln := listen(t, scheme+"://127.0.0.1:0?codec=jrpc:lf", transport.ListenConfig{TLS: cfg})
		echo(t, ln)
		c, err := transport.Dial(t.Context(), transport.Net{}, parse(t, "tcps://"+ln.Addr().String()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := exchangeFrame(c, "GET / \n"); got != "GET / \n" || err != nil {
			t.Errorf("%s: %q, %v", scheme, got, err)
		}
		_ = c.Close()
	}
	ln := listen(t, "tcp://127.0.0.1:0?codec=jrpc:lf", transport.ListenConfig{TLS: cfg})
	echo(t, ln)
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := exchangeFrame(c, "GET / \n"); got != "GET / \n" || err != nil {
		t.Errorf("without TLS: %q, %v", got, err)
	}
}

// TestSecureTimes: how long a connection may take to finish a handshake, or to say something after it.
func TestSecureTimes(t *testing.T) {
	t.Parallel()
	cfg, pin := certificate(t)
	synctest.Test(t, func(t *testing.T) {
		refused := newRefusals()
		slots := transport.NewSlots(1, 1)
		m, ln := listenMemory(t, "10.0.0.1:7117", func(c *transport.ListenConfig) {
			c.TLS, c.Refused, c.Slots = cfg, refused.note, slots
		})
		stuck := m.from("10.0.0.2:1")
		go func() { _, _ = stuck.Write([]byte{0x16, 3, 1}) }() // and no more
		began := time.Now()
		quiet := m.from("10.0.0.3:1") // waits, because the one that is stuck holds the only place
		client := tls.Client(quiet, security.ClientTLS(pin))
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("the next one came in after %s", d)
		}
		if got := refused.next(); got != transport.RefusedSlow {
			t.Errorf("refused as %q", got)
		}
		// Who says nothing over TLS is handed out after 2 s, as without.
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); !c.Silent || c.Via != "tcps" || c.Framing != nil || d != 7*time.Second || !c.Accepted.Equal(began.Add(5*time.Second)) {
			t.Errorf("%+v after %s", c, d)
		}
		go func() { _, _ = client.Write([]byte("later\x00")) }()
		r := codec.NewReader(c, c.Framing, 100)
		if frame, err := r.Next(); string(frame) != "later" || err != nil {
			t.Errorf("%q, %v", frame, err)
		}
		// Closing does not wait for an end that reads nothing.
		began = time.Now()
		_ = c.Close()
		if d := time.Since(began); d > 100*time.Millisecond {
			t.Errorf("closing took %s", d)
		}
		_ = stuck.Close()
		_ = quiet.Close()
		_ = ln.Close()
	})
}

func TestSecureSilentPlain(t *testing.T) {
	t.Parallel()
	cfg, _ := certificate(t)
	synctest.Test(t, func(t *testing.T) {
		m := newMemory("10.0.0.1:7117")
		refused := newRefusals()
		ln := listen(t, "tcps://10.0.0.1:7117", transport.ListenConfig{Network: m, TLS: cfg, Refused: refused.note})
		c := m.from("10.0.0.2:1")
		began := time.Now()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("something was said")
		}
		if d := time.Since(began); d != 5*time.Second || refused.next() != transport.RefusedSlow {
			t.Errorf("silent without TLS for %s", d)
		}
		_ = ln.Close()
	})
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	cfg, pin := certificate(t)
	for _, c := range []struct {
		expr string
		cfg  transport.ListenConfig
		want string
	}{
		{"stdio:", transport.ListenConfig{}, "not listen on it"},
		{"tcps://127.0.0.1:0", transport.ListenConfig{}, "tcps://127.0.0.1:0 needs a certificate"},
		{"tcps://127.0.0.1:0?pin=" + pin, transport.ListenConfig{TLS: cfg}, "not listen on it"},
		{"127.0.0.1:0", transport.ListenConfig{Origins: []string{"*"}, Tokens: transport.NewTokens()}, "no origin of web pages"},
		{"127.0.0.1:0", transport.ListenConfig{Origins: []string{"http://a"}}, "needs tokens"},
		{"256.0.0.1:0", transport.ListenConfig{}, "256.0.0.1"},
	} {
		if ln, err := transport.Listen(parse(t, c.expr), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", c.expr, ln, err)
		}
	}
	if ln, err := transport.Listen(transport.Address{Scheme: "tcp", Host: "127.0.0.1:0", Codec: "gob"}, transport.ListenConfig{}); err == nil {
		t.Error(ln.Addr())
	}
}

func TestDialErrors(t *testing.T) {
	t.Parallel()
	cfg, _ := certificate(t)
	ln := listen(t, "127.0.0.1:0", transport.ListenConfig{TLS: cfg, Hosts: []string{"elsewhere"}})
	at := ln.Addr().String()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	_ = free.Close()
	for expr, want := range map[string]string{
		"stdio:":                  "cannot be dialled",
		"tcp://" + nobody:         "refused",
		"tcps://" + nobody:        "refused",
		"ws://" + nobody:          "refused",
		"wss://" + nobody:         "refused",
		"ws://" + at + "/nosuch":  "answers 404 Not Found, and no WebSocket",
		"wss://" + at + "/nosuch": "answers 404 Not Found, and no WebSocket",
		"ws://" + at + "/rpc":     "answers 405 Method Not Allowed",
	} {
		if c, err := transport.Dial(t.Context(), transport.Net{}, parse(t, expr)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", expr, c, err)
		}
	}
	// A server that never answers does not hold up whoever gives up.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, scheme := range []string{"ws", "wss", "tcps"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if c, err := transport.Dial(ctx, transport.Net{}, parse(t, scheme+"://"+silent.Addr().String())); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, %v", scheme, c, err)
		}
		cancel()
	}
}
