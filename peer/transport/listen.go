package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"peermesh/codec"
)

// Listener accepts connections on one port and serves every protocol there. It is safe for concurrent use.
type Listener struct {
	addr   Address
	fixed  codec.Framing // nil: whatever the other end speaks
	ln     net.Listener
	slots  *Slots
	tls    *tls.Config // nil: no TLS
	gate   *gate
	report func(reason, remote string)
	web    *http.Server
	pipe   *handOver
	out    chan *Conn
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// newTimeout is how long a new connection may take, from the moment it was accepted, to say what it speaks: for a TLS
// handshake, the headers of an HTTP request and the body of a POST request.
const newTimeout = 5 * time.Second

// silence is how long a connection may say nothing before it is handed on as one of frames.
const silence = 2 * time.Second

// Why a connection or an HTTP request was refused.
const (
	RefusedAddress = "address" // its address has too many new connections
	RefusedSlow    = "slow"    // it said too little in the time that new connections have
	RefusedTLS     = "tls"     // no TLS where it is demanded, TLS where it is not spoken, or a handshake that failed
	RefusedHost    = "host"    // a request for another host
	RefusedOrigin  = "origin"  // of a web page that is not listed
	RefusedToken   = "token"   // of a listed web page, without a token that is open for it
)

// ListenConfig is what a Listener needs besides its address.
type ListenConfig struct {
	Network Network // where to listen; nil: Net
	Slots   *Slots  // shared by the listeners of a peer; nil: its own

	// TLS is what connections are secured with whose first byte is that of a TLS handshake: on every listener that
	// has it, and on those of the schemes tcps and wss nothing else is taken. Nil: none. See security.ServerTLS;
	// TLS 1.3 and HTTP/1.1 are insisted on.
	TLS *tls.Config

	// Hosts are the names, beside the listener's own address and localhost, that HTTP requests may be for: a name,
	// which goes with the listener's port, or name:port, as a forwarded port needs.
	Hosts []string

	// Origins are the web pages that may open a WebSocket with one of Tokens: scheme://host or scheme://host:port,
	// exactly as browsers send it. Every other request of a web page is refused.
	Origins []string
	Tokens  *Tokens

	// Refused, when set, is told each time that a connection or a request is refused, why, and to whom. It is called
	// from many goroutines and must not block.
	Refused func(reason, remote string)
}

// Listen listens on an address of the scheme tcp, tcps, ws or wss; all serve the same, but the two with s over TLS
// alone. It returns ErrOrigin for an origin that is none, and an error for an address or a configuration that makes no
// sense. Close releases it.
func Listen(addr Address, cfg ListenConfig) (*Listener, error) {
	if addr.Scheme == "stdio" || addr.Pin != "" {
		return nil, fmt.Errorf("transport: %s: one can dial that, and not listen on it", addr)
	}
	if addr.Secure() && cfg.TLS == nil {
		return nil, fmt.Errorf("transport: %s needs a certificate", addr)
	}
	gate, err := newGate(&cfg)
	if err != nil {
		return nil, err
	}
	var fixed codec.Framing
	if addr.Codec != "" {
		if fixed, err = codec.ParseFraming(addr.Codec); err != nil {
			return nil, err
		}
	}
	if cfg.Network == nil {
		cfg.Network = Net{}
	}
	if cfg.Slots == nil {
		cfg.Slots = NewSlots(MaxNew, MaxNewPerAddr)
	}
	ln, err := cfg.Network.Listen(addr.Host)
	if err != nil {
		return nil, err
	}
	l := &Listener{addr: addr, fixed: fixed, ln: ln, slots: cfg.Slots, gate: gate, report: cfg.Refused, out: make(chan *Conn)}
	if cfg.TLS != nil {
		l.tls = serverTLS(cfg.TLS)
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.pipe = &handOver{addr: ln.Addr(), conns: make(chan net.Conn), done: l.ctx.Done()}
	l.web = newWebServer(l)
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
		release := l.slots.admit(c.RemoteAddr())
		if release == nil {
			l.refused(RefusedAddress, c)
			_ = c.Close()
			l.slots.release()
			continue
		}
		in := &incoming{Conn: c, at: time.Now(), release: release, unwatch: context.AfterFunc(l.ctx, func() { _ = c.Close() })}
		in.timer = time.AfterFunc(newTimeout, func() {
			l.refused(RefusedSlow, c)
			_ = c.Close() // whoever reads from it notices, and gives its place back
		})
		l.wg.Go(func() {
			if !l.open(in) {
				_ = in.Close()
			}
		})
	}
}

// refused tells that a connection, or a request on it, is refused.
func (l *Listener) refused(reason string, c net.Conn) {
	if l.report != nil {
		l.report(reason, c.RemoteAddr().String())
	}
}

// open finds out what a connection speaks and hands it on. It reports whether somebody has got it.
func (l *Listener) open(c *incoming) bool {
	sniff := codec.Sniff
	if l.fixed != nil {
		if l.tls == nil {
			return l.giveFrames(c, false)
		}
		sniff = sniffTLS
	}
	protocol, head := look(c.Conn, sniff, !l.addr.Secure())
	switch {
	case protocol == codec.Undecided:
		return false
	case protocol == codec.TLS && l.tls != nil:
		s, cb, err := secure(l.ctx, tls.Server(&replay{Conn: c.Conn, head: head}, l.tls))
		if err != nil {
			l.refused(RefusedTLS, c)
			return false
		}
		c.Conn, c.secure, c.cb = s, true, cb
		if l.fixed != nil {
			return l.giveFrames(c, false)
		}
		protocol, head = look(c.Conn, sniff, true)
	case l.addr.Secure():
		protocol = codec.TLS // is what it should have been
	}
	c.unread(head)
	switch protocol {
	case codec.HTTP:
		return l.pipe.give(c)
	case codec.Frames:
		return l.giveFrames(c, len(head) == 0 && l.fixed == nil)
	case codec.TLS: // not spoken here, or inside TLS
		l.refused(RefusedTLS, c)
	}
	return false
}

// sniffTLS tells TLS from everything else.
func sniffTLS(head []byte) codec.Protocol {
	switch p := codec.Sniff(head); {
	case p == codec.TLS || len(head) == 0:
		return p
	}
	return codec.Frames
}

// look reads what is needed to decide the protocol. Undecided means that the connection has ended. A guest that only
// listens says nothing at all: where that may be, silence means frames.
func look(c net.Conn, sniff func([]byte) codec.Protocol, maySilent bool) (p codec.Protocol, head []byte) {
	if maySilent {
		_ = c.SetReadDeadline(time.Now().Add(silence))
	}
	head = make([]byte, 0, 16)
	for {
		n, err := c.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if p = sniff(head); p == codec.Undecided && err != nil {
			if !isTimeout(err) || len(head) > 0 {
				return codec.Undecided, nil
			}
			p = codec.Frames
		}
		_ = c.SetReadDeadline(time.Time{})
		if p != codec.Undecided {
			return p, head
		}
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// giveFrames hands out a connection of frames.
func (l *Listener) giveFrames(c *incoming, silent bool) bool {
	conn := c.conn(c, "tcp")
	conn.Framing, conn.Silent = l.fixed, silent
	if !l.give(conn) {
		return false
	}
	c.handedOut()
	return true
}

// give hands a connection out, unless the listener is closed; then it is closed too.
func (l *Listener) give(c *Conn) bool {
	select {
	case l.out <- c:
		return true
	case <-l.ctx.Done():
		_ = c.Close()
		return false
	}
}
