package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"peermesh/codec"
	"peermesh/peer/transport"
)

func TestStreams(t *testing.T) {
	t.Parallel()
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	drained, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := transport.Streams("stdio", in, out)
	if c.Via != "stdio" || c.Framing != codec.NUL || c.Remote() != "stdio" || !c.IsLoopback() || c.LocalAddr().Network() != "stdio" || c.LocalAddr().String() != "stdio" {
		t.Errorf("%+v", c)
	}
	c.Admitted() // there is nothing to give back
	if _, err := feed.Write([]byte("in\x00")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "in\x00" {
		t.Error(got, err)
	}
	if _, err := c.Write([]byte("ou\x00")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(drained, got); err != nil || string(got) != "ou\x00" {
		t.Error(got, err)
	}
	if err := c.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Error(err)
	}
	_ = feed.Close()
	if n, err := c.Read(got); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	_ = drained.Close()

	// Streams without deadlines have none.
	plain := transport.Streams("pipe", io.NopCloser(strings.NewReader("x")), nopWriter{})
	if err := errors.Join(plain.SetDeadline(time.Unix(1, 0)), plain.Close()); err != nil {
		t.Error(err)
	}
	file, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	c = transport.Streams("file", file, file)
	if err := c.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Error(err)
	}
	_ = c.Close()
	if err := c.SetWriteDeadline(time.Unix(1, 0)); err == nil {
		t.Error("a closed file takes a deadline")
	}
	if s := transport.Stdio(); s.Via != "stdio" || s.Framing != codec.NUL {
		t.Errorf("%+v", s)
	}
}

type nopWriter struct{ io.Writer }

func (nopWriter) Close() error { return nil }

func TestConnRemote(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, c := range []struct {
		remote, want string
		loopback     bool
	}{
		{"10.0.0.7:1", "10.0.0.7:1", false}, {"127.3.2.1:1", "127.3.2.1:1", true}, {"[::1]:1", "[::1]:1", true},
		{"[::ffff:127.0.0.1]:1", "127.0.0.1:1", true}, {"[2001:db8::1]:1", "[2001:db8::1]:1", false},
	} {
		conn := &transport.Conn{Conn: &addressed{a, tcpAddr("10.0.0.1:1"), tcpAddr(c.remote)}, Via: "tcp"}
		if conn.Remote() != c.want || conn.IsLoopback() != c.loopback {
			t.Errorf("%s: %s, %v", c.remote, conn.Remote(), conn.IsLoopback())
		}
	}
	for _, conn := range []*transport.Conn{
		{Conn: &addressed{a, nil, nil}, Via: "odd"}, {Conn: &addressed{a, nil, &net.UnixAddr{}}, Via: "odd"},
	} {
		if conn.Remote() != "odd" || !conn.IsLoopback() {
			t.Errorf("%s, %v", conn.Remote(), conn.IsLoopback())
		}
	}
}

// TestWebSocketForeign talks to a listener as clients do that are not ours.
func TestWebSocketForeign(t *testing.T) {
	t.Parallel()
	ln := listen(t, "ws://127.0.0.1:0/other", transport.ListenConfig{})
	accepted := make(chan *transport.Conn, 1)
	dial := func(path string, opts *websocket.DialOptions) (*websocket.Conn, *transport.Conn) {
		t.Helper()
		go func() {
			c, err := ln.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}()
		ws, _, err := websocket.Dial(t.Context(), "ws://"+ln.Addr().String()+path, opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.CloseNow() })
		c := <-accepted
		t.Cleanup(func() { _ = c.Close() })
		if c.Via != "ws" || c.Framing != codec.WS || c.Once || c.Silent {
			t.Errorf("%+v", c)
		}
		return ws, c
	}
	// Without the subprotocol each frame is a message; what comes in binary is text; a message may hold several frames.
	ws, c := dial("/mesh", nil)
	for _, m := range []struct {
		kind websocket.MessageType
		text string
	}{{websocket.MessageBinary, "{}"}, {websocket.MessageText, "a\x00b"}, {websocket.MessageText, ""}} {
		go func() { _ = ws.Write(t.Context(), m.kind, []byte(m.text)) }() // its error shows in what is read
		got := make([]byte, len(m.text)+1)
		if n, err := io.ReadFull(c, got); err != nil || string(got) != m.text+"\x00" {
			t.Errorf("%q, %v", got[:n], err)
		}
	}
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	go func() { _, _ = c.Write([]byte("one\x00two\x00three")) }()
	for _, want := range []string{"one", "two", "three"} {
		if kind, text, err := ws.Read(t.Context()); kind != websocket.MessageText || string(text) != want || err != nil {
			t.Errorf("%v %q, %v; want %q", kind, text, err, want)
		}
	}
	// A regular end is the end of the stream; another is an error.
	go func() { _ = ws.Close(websocket.StatusNormalClosure, "") }()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
	ws, c = dial("/other", &websocket.DialOptions{Subprotocols: []string{"x", transport.Subprotocol}, CompressionMode: websocket.CompressionContextTakeover})
	if ws.Subprotocol() != transport.Subprotocol {
		t.Error(ws.Subprotocol())
	}
	go func() { _, _ = c.Write([]byte("one\x00two\x00")) }()
	if _, text, err := ws.Read(t.Context()); string(text) != "one\x00two" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	go func() { _ = ws.Close(websocket.StatusProtocolError, "") }()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
		t.Error(n, err)
	}
	if _, err := c.Write([]byte("x\x00")); err == nil {
		t.Error("written to what is closed")
	}
	// One that is cut off within a message is an error too.
	ws, c = dial("/mesh", nil)
	w, err := ws.Writer(context.Background(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 10<<10)); err != nil {
		t.Fatal(err)
	}
	_ = ws.CloseNow()
	if _, err := io.Copy(io.Discard, c); err == nil {
		t.Error("a message that is cut off is whole")
	}
}

// TestListenerClose: what waits to be accepted ends with the listener.
func TestListenerClose(t *testing.T) {
	t.Parallel()
	ln := listen(t, "127.0.0.1:0", transport.ListenConfig{})
	var clients []net.Conn
	for _, text := range []string{"{}\x00", "", "GE", "GET /mesh", upgrade("localhost")} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	_ = clients[4].SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := clients[4].Read(make([]byte, 1)); err != nil { // the upgrade is answered
		t.Error(err)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	for i, c := range clients {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Errorf("connection %d is still open", i)
		}
	}
}

// failing is a network whose listener fails now and then.
type failing struct {
	*memory
	fails int
}

func (f *failing) Listen(string) (net.Listener, error) { return f, nil }

func (f *failing) Accept() (net.Conn, error) {
	if f.fails > 0 {
		f.fails--
		return nil, errors.New("out of file descriptors")
	}
	return f.memory.Accept()
}

func TestAcceptFails(t *testing.T) {
	t.Parallel()
	f := &failing{newMemory("10.0.0.1:7117"), 3}
	ln := listen(t, "10.0.0.1:7117", transport.ListenConfig{Network: f})
	c := f.from("10.0.0.2:1")
	defer c.Close()
	say(c, "\x00")
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
