package transport

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// incoming is a connection that a listener has accepted. It holds a place among the new ones until it is admitted or
// closed. Until it is admitted or handed out, a timer ends it; until it is handed out, the listener's end does too.
type incoming struct {
	net.Conn
	at      time.Time // when it was accepted
	timer   *time.Timer
	release func()
	unwatch func() bool // lets it outlive the listener
	done    atomic.Bool // admitted

	secure bool
	cb     string // its channel binding
}

// admitted gives the place back: the connection has proven something.
func (c *incoming) admitted() {
	c.done.Store(true)
	c.timer.Stop()
	c.release()
}

// handedOut leaves the connection's life to who has got it.
func (c *incoming) handedOut() {
	c.timer.Stop()
	c.unwatch()
}

// Unwrap returns the connection itself, to be written to.
func (c *incoming) Unwrap() net.Conn { return c.Conn }

// Close closes the connection and gives its place back.
func (c *incoming) Close() error {
	c.handedOut()
	c.release()
	return c.Conn.Close()
}

// via returns the name of the way, which has an s behind it with TLS.
func (c *incoming) via(plain string) string {
	if c.secure {
		return plain + "s"
	}
	return plain
}

// conn makes a Conn of what is read and written through rw.
func (c *incoming) conn(rw net.Conn, via string) *Conn {
	return &Conn{Conn: rw, Via: c.via(via), CB: c.cb, Accepted: c.at, admitted: c.admitted}
}

// unread puts back what was read from the connection.
func (c *incoming) unread(head []byte) { c.Conn = &replay{Conn: c.Conn, head: head} }

// replay is a connection whose first bytes were read already.
type replay struct {
	net.Conn
	head []byte
}

// Unwrap is like that of incoming.
func (r *replay) Unwrap() net.Conn { return r.Conn }

func (r *replay) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// handOver is the net.Listener of the HTTP server: it accepts what it is given.
type handOver struct {
	addr  net.Addr
	conns chan net.Conn
	done  <-chan struct{}
}

func (h *handOver) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.done:
		return false
	}
}

func (h *handOver) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, io.EOF
	}
}

func (h *handOver) Close() error   { return nil }
func (h *handOver) Addr() net.Addr { return h.addr }
