package transport

import (
	"net"
	"net/netip"
	"time"

	"peermesh/codec"
)

// Conn is one connection. Each Write holds whole frames, with their delimiters. Read and Write may be called from two
// goroutines at once; Close from any.
type Conn struct {
	net.Conn
	// Via names the way: tcp, ws, http, tcps, wss, https, stdio or pipe.
	Via string
	// Accepted is when a listener accepted the connection; zero for others. What it took to find out what the other end
	// speaks, a TLS handshake too, counts into the time that a new connection has.
	Accepted time.Time
	// Framing is how frames are told apart; nil when the first bytes of the other end decide.
	Framing codec.Framing
	// Silent says that the other end has said nothing for 2 s after it connected.
	Silent bool
	// CB is the TLS exporter of the connection (RFC 9266) in base64url; empty without TLS.
	CB string
	// Once says that the connection takes one message (or batch) and its answer: a POST request.
	Once bool

	admitted func()
}

// Admitted gives back the place that a connection holds among those that have proven nothing yet; see Slots. Closing
// the connection does it too, except for one of a POST request, of which more may come on the connection underneath:
// that one is kept only when one of its requests was admitted.
func (c *Conn) Admitted() {
	if c.admitted != nil {
		c.admitted()
	}
}

// Remote returns the address of the other end for display: host:port, or the name of the way.
func (c *Conn) Remote() string {
	if a := c.Conn.RemoteAddr(); a != nil && a.String() != "" {
		return a.String()
	}
	return c.Via
}

// addrOf returns the host of an address, zero when it has none.
func addrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// IsLoopback reports whether the other end is on this machine.
func (c *Conn) IsLoopback() bool {
	a := addrOf(c.Conn.RemoteAddr())
	return !a.IsValid() || a.IsLoopback()
}
