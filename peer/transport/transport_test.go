package transport_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peermesh/codec"
	"peermesh/peer/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T, addr string, cfg transport.ListenConfig) *transport.Listener {
	t.Helper()
	a, err := transport.ParseAddress(addr)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := transport.Listen(a, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return ln
}

// echo sends back the frames of each connection.
func echo(t *testing.T, ln *transport.Listener) {
	t.Helper()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := codec.NewReader(c, c.Framing, 1<<20)
				for {
					frame, err := r.Next()
					if err != nil {
						return
					}
					if len(frame) == 0 {
						continue
					}
					if _, err := c.Write(r.Framing().Append(nil, frame)); err != nil || c.Once {
						return
					}
				}
			}()
		}
	}()
}

// TestOnePort speaks every protocol to one port.
func TestOnePort(t *testing.T) {
	t.Parallel()
	ln := listen(t, "127.0.0.1:0", transport.ListenConfig{})
	echo(t, ln)
	host := ln.Addr().String()
	for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP} {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		frame := f.Append(nil, []byte(`{"a":1}`))
		got := make([]byte, len(frame))
		_, werr := conn.Write(frame)
		_, rerr := io.ReadFull(conn, got)
		if werr != nil || rerr != nil || !bytes.Equal(got, frame) {
			t.Errorf("%s: %q, %v, %v", f.Name(), got, werr, rerr)
		}
		_ = conn.Close()
	}
	ws, err := transport.Dial(t.Context(), transport.Net{}, transport.Address{Scheme: "ws", Host: host, Path: transport.DefaultPath})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	// Several frames in one write, small and larger than a message may be shared by, come back whole and in order.
	var out []byte
	for i := range 50 {
		out = append(append(out, fmt.Sprintf(`{"n":%d,"x":%q}`, i, strings.Repeat("x", i*2000))...), 0)
	}
	go func() { _, _ = ws.Write(out) }() // its error shows in what is read
	got := make([]byte, len(out))
	if _, err := io.ReadFull(ws, got); err != nil || !bytes.Equal(got, out) {
		t.Errorf("the frames came back otherwise: %v", err)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+host+"/rpc", strings.NewReader(`{"a":1}`)) // a good request
	req.Header.Set("Content-Type", "application/json")
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != `{"a":1}` {
		t.Errorf("POST: %q, %v", text, err)
	}
	if resp, err := tr.RoundTrip(&http.Request{Method: "GET", URL: req.URL, Header: http.Header{}}); err != nil || resp.StatusCode != 405 {
		t.Errorf("GET: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	// TLS is not spoken; the connection ends.
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte{0x16, 3, 1, 0, 1})
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); err == nil || n > 0 {
		t.Error("TLS was answered")
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	slots := transport.NewSlots(2, 1)
	ln := listen(t, "127.0.0.1:0", transport.ListenConfig{Slots: slots})
	var clients []net.Conn
	dial := func() {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write([]byte("{}\x00")); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	for range 3 {
		dial()
	}
	first, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	third := make(chan *transport.Conn)
	go func() {
		if c, err := ln.Accept(); err == nil {
			third <- c
		}
	}()
	select {
	case <-third:
		t.Fatal("a third new connection was accepted")
	case <-time.After(100 * time.Millisecond): // that nothing happens can only be waited for
	}
	first.Admitted()
	first.Admitted()
	select {
	case c := <-third:
		_ = c.Close()
	case <-time.After(10 * time.Second):
		t.Fatal("the place that was given back is not used")
	}
}

// TestSilent: who connects and says nothing is handed on after 2 s.
func TestSilent(t *testing.T) {
	t.Parallel()
	ln := listen(t, "127.0.0.1:0", transport.ListenConfig{})
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	started := time.Now()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if d := time.Since(started); !c.Silent || d < 1900*time.Millisecond {
		t.Errorf("silent %v after %s", c.Silent, d)
	}
}

func TestPipe(t *testing.T) {
	t.Parallel()
	a, b := transport.Pipe()
	go func() { _, _ = a.Write([]byte("x\x00")) }() // its error shows in what is read
	got := make([]byte, 2)
	if _, err := io.ReadFull(b, got); err != nil || string(got) != "x\x00" {
		t.Error(got, err)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Error(err)
	}
}
