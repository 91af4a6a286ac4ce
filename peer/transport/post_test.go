package transport_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"peermesh/codec"
	"peermesh/peer/transport"
)

// TestPost: what becomes of requests, by what the connection that is handed out for them does.
func TestPost(t *testing.T) {
	t.Parallel()
	const head = "POST /rpc HTTP/1.1\r\nHost: localhost\r\n"
	const json = "Content-Type: application/json\r\n"
	answer := func(text string) func(*transport.Conn) {
		return func(c *transport.Conn) {
			if _, err := codec.NewReader(c, c.Framing, 1<<20).Next(); err != nil {
				t.Error(err)
			}
			_, _ = c.Write([]byte(text))
		}
	}
	for name, c := range map[string]struct {
		text   string
		do     func(*transport.Conn) // nil: nothing is handed out
		status int
		want   string
	}{
		"an answer":         {head + json + "Content-Length: 2\r\n\r\n{}", answer("{\"a\":1}\x00"), 200, `{"a":1}`},
		"an answer, signed": {head + json + "Content-Length: 2\r\n\r\n{}", answer("{\"s\":1}\x00{\"a\":1}\x00"), 200, "{\"s\":1}\x00{\"a\":1}"},
		"none":              {head + json + "Content-Length: 2\r\n\r\n{}", answer(""), 204, ""},
		"an empty body":     {head + json + "Content-Length: 0\r\n\r\n", answer(""), 204, ""},
		"chunks":            {head + json + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", answer("{}\x00"), 200, "{}"},
		"a charset":         {head + "Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}", answer("{}\x00"), 200, "{}"},
		"another type":      {head + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", nil, 415, "want Content-Type: application/json\n"},
		"no type":           {head + "Content-Length: 2\r\n\r\n{}", nil, 415, "want Content-Type: application/json\n"},
		"not wanted":        {head + json + "Content-Length: 2\r\n\r\n{", func(*transport.Conn) {}, 400, "the body was cut short\n"},
		"answered half-way": {head + json + "Content-Length: 9\r\n\r\n{}", func(c *transport.Conn) { _, _ = c.Write([]byte("no\x00")) }, 200, "no"},
		"too much an answer": {head + json + "Content-Length: 2\r\n\r\n{}", func(c *transport.Conn) {
			_, _ = io.Copy(io.Discard, c)
			if _, err := c.Write(make([]byte, 4*transport.MaxPost)); err != nil {
				t.Error(err)
			}
			if n, err := c.Write([]byte("x")); n > 0 || err == nil {
				t.Error("there is no bound")
			}
			if err := errors.Join(c.SetDeadline(time.Unix(1, 0)), c.SetReadDeadline(time.Unix(1, 0)), c.SetWriteDeadline(time.Unix(1, 0))); err != nil {
				t.Error(err)
			}
		}, 200, strings.Repeat("\x00", 4*transport.MaxPost-1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ln := listen(t, "127.0.0.1:0", transport.ListenConfig{})
			handed := make(chan struct{})
			go func() {
				defer close(handed)
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				if c.do == nil || conn.Via != "http" || !conn.Once || conn.Framing != codec.NUL || conn.CB != "" || !conn.IsLoopback() {
					t.Errorf("handed out: %+v", conn)
					return
				}
				c.do(conn)
				_ = conn.Close()
				if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			}()
			client, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			resp := request(t, client, c.text)
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status || string(text) != c.want {
				t.Errorf("%s, %.100q, %v", resp.Status, text, err)
			}
			if kind := resp.Header.Get("Content-Type"); c.status == 200 && (kind != "application/json" || resp.Header.Get("X-Content-Type-Options") != "nosniff") {
				t.Errorf("the answer is of type %q", kind)
			}
			_ = ln.Close()
			<-handed
		})
	}
}

// TestPostGone: a client that leaves ends what it asked for, and so does the listener's end.
func TestPostGone(t *testing.T) {
	t.Parallel()
	ln := listen(t, "127.0.0.1:0", transport.ListenConfig{})
	ask := func() (*net.TCPConn, *transport.Conn) {
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		say(client, "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(c); string(text) != "{}\x00" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		return client.(*net.TCPConn), c
	}
	broken := func(c *transport.Conn) {
		waitFor(t, func() bool { _, err := c.Write(nil); return errors.Is(err, net.ErrClosed) })
	}
	client, c := ask()
	_ = client.Close()
	broken(c)

	client, c = ask()
	_ = client.CloseWrite()
	broken(c)
	_ = client.SetDeadline(time.Now().Add(10 * time.Second))
	if resp, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a client that has closed its half is told %v, %v", resp, err)
	}
	_ = client.Close()

	client, c = ask()
	_ = ln.Close()
	broken(c)
	_ = client.Close()
	if c, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(c, err)
	}
}
