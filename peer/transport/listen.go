package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"peermesh/codec"
)

// Listener accepts connections on one port and serves every protocol there. It is safe for concurrent use.
type Listener struct {
	addr  Address
	fixed codec.Framing // nil: whatever the other end speaks
	ln    net.Listener
	slots *Slots
	web   *http.Server
	pipe  *handOver
	out   chan *Conn
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

// newTimeout is how long a connection may take to say what it speaks, and an HTTP request to send its headers.
const newTimeout = 5 * time.Second

// ListenConfig is what a Listener needs besides its address.
type ListenConfig struct {
	Network Network  // where to listen; nil: Net
	Slots   *Slots   // shared by the listeners of a peer; nil: its own
	Hosts   []string // host names, beside local addresses and localhost, that HTTP requests may be for
}

// Listen listens on an address of the scheme tcp or ws; both serve the same. Close releases it.
func Listen(addr Address, cfg ListenConfig) (*Listener, error) {
	if cfg.Network == nil {
		cfg.Network = Net{}
	}
	if cfg.Slots == nil {
		cfg.Slots = NewSlots(MaxNew, MaxNewPerAddr)
	}
	var fixed codec.Framing
	if addr.Codec != "" {
		var err error
		if fixed, err = codec.ParseFraming(addr.Codec); err != nil {
			return nil, err
		}
	}
	ln, err := cfg.Network.Listen(addr.Host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Listener{addr: addr, fixed: fixed, ln: ln, slots: cfg.Slots, out: make(chan *Conn), ctx: ctx, stop: cancel}
	l.pipe = &handOver{addr: ln.Addr(), conns: make(chan net.Conn), done: ctx.Done()}
	l.web = newWebServer(l, cfg.Hosts)
	l.wg.Go(l.accept)
	l.wg.Go(func() { _ = l.web.Serve(l.pipe) }) // ends with ErrServerClosed
	return l, nil
}

// Addr returns where it listens, with the port that was chosen.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Scheme returns the scheme of the address it was made with.
func (l *Listener) Scheme() string { return l.addr.Scheme }

// Accept waits for the next connection whose protocol is known. It returns net.ErrClosed after Close.
func (l *Listener) Accept() (*Conn, error) {
	select {
	case c := <-l.out:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops listening and closes what was not handed out by Accept. It waits until all of it has ended.
func (l *Listener) Close() error {
	l.stop()
	err := l.ln.Close()
	_ = l.web.Close() // closes the connections it knows; there is nothing to report
	l.wg.Wait()
	return err
}

func (l *Listener) accept() {
	for l.slots.acquire(l.ctx) == nil {
		c, err := l.ln.Accept()
		if err != nil {
			l.slots.release()
			if errors.Is(err, net.ErrClosed) || l.ctx.Err() != nil {
				return
			}
			// Out of file descriptors, most likely: the others that wait must not be lost.
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-l.ctx.Done():
				return
			}
		}
		done := l.slots.admit(c.RemoteAddr())
		if done == nil {
			_ = c.Close()
			l.slots.release()
			continue
		}
		if l.fixed != nil {
			l.wg.Go(func() { l.give(&Conn{Conn: c, Via: "tcp", Framing: l.fixed, admitted: done}) })
			continue
		}
		l.wg.Go(func() { l.sniff(c, done) })
	}
}

// sniff reads the first bytes and hands the connection on.
func (l *Listener) sniff(c net.Conn, admitted func()) {
	stop := context.AfterFunc(l.ctx, func() { _ = c.Close() })
	defer stop()
	// A guest that only listens says nothing at all, so silence is no error: the link above knows what to make of it.
	_ = c.SetReadDeadline(time.Now().Add(silence))
	head := make([]byte, 0, 16)
	protocol := codec.Undecided
	for protocol == codec.Undecided {
		n, err := c.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if protocol = codec.Sniff(head); protocol != codec.Undecided {
			break
		}
		if err != nil {
			if isTimeout(err) && len(head) == 0 {
				protocol = codec.Frames
				break
			}
			_ = c.Close()
			admitted()
			return
		}
		_ = c.SetReadDeadline(time.Now().Add(newTimeout))
	}
	_ = c.SetReadDeadline(time.Time{})
	rest := &replay{Conn: c, head: head}
	switch protocol {
	case codec.HTTP:
		if !l.pipe.give(&slotConn{replay: rest, admitted: admitted}) {
			_ = c.Close()
			admitted()
		}
	case codec.Frames:
		l.give(&Conn{Conn: rest, Via: "tcp", Silent: len(head) == 0, admitted: admitted})
	default: // TLS is not spoken here
		_ = c.Close()
		admitted()
	}
}

// silence is how long a connection may say nothing before it is handed on as one of frames.
const silence = 2 * time.Second

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func (l *Listener) give(c *Conn) bool {
	select {
	case l.out <- c:
		return true
	case <-l.ctx.Done():
		_ = c.Close() // gives its place back too
		return false
	}
}

// replay is a connection whose first bytes were read already.
type replay struct {
	net.Conn
	head []byte
}

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

// slotConn gives its place back when it is closed.
type slotConn struct {
	*replay
	admitted func()
}

func (c *slotConn) Close() error {
	c.admitted()
	return c.replay.Close()
}
