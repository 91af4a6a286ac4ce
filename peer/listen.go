package peer

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"peermesh/api"
	"peermesh/discovery"
	"peermesh/peer/transport"
	"peermesh/security"
)

// listen opens the listeners and tells discovery where they are.
func (p *Peer) listen() error {
	addrs, next := p.cfg.listenAddresses()
	cert, err := p.id.Certificate()
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	pin, err := p.id.TLSPin()
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	cfg := transport.ListenConfig{Network: p.cfg.Network, Slots: p.slots, Hosts: p.cfg.Hosts, Origins: p.cfg.Origins, Tokens: p.tokens,
		TLS: security.ServerTLS(cert), Refused: func(reason, _ string) { p.stats.refuse("new: " + reason) }}
	self := *p.self.Load()
	var bound []net.Addr
	for _, a := range addrs {
		if a.Scheme == "stdio" {
			if l := p.adoptConn(transport.Stdio(), nil); l == nil {
				return api.ErrClosed
			}
			continue
		}
		if p.keyless && !onLoopback(a.Host) {
			return fmt.Errorf("peer: %s: without a key a mesh is for this machine alone: make one with `peerctl key new %s`, or listen on 127.0.0.1", a, p.cfg.Mesh)
		}
		ln, err := listenOn(a, next, cfg)
		if err != nil {
			return fmt.Errorf("peer: listen on %s: %w", a, err)
		}
		p.listeners = append(p.listeners, ln)
		bound = append(bound, ln.Addr())
		addr := reachable(ln.Addr())
		if a.Secure() { // who is told of it dials nothing else
			addr = transport.Address{Scheme: a.Scheme, Host: addr, Path: a.Path, Pin: pin}.String()
		}
		self.Addresses = append(self.Addresses, addr)
	}
	if len(self.Addresses) > 0 {
		self.Address = self.Addresses[0]
	}
	p.self.Store(&self)
	p.announced.Store(len(bound) > 0)
	ann := discovery.Announcement{ID: self.ID, Name: self.Name, Boot: self.Boot}
	if len(bound) > 0 {
		ann.Port, ann.Addrs, ann.TLS = portOf(bound[0]), ipsOf(bound[:1]), p.listeners[0].Scheme() == "tcps" || p.listeners[0].Scheme() == "wss"
	}
	return p.found.Update(ann)
}

// BrowserToken makes a token with which a page of origin, one of Config.Origins, may open one WebSocket within a minute:
// the page offers it as the subprotocol "auth.<token>" beside "jsonrpc.mesh.v1". A token lets a connection in and proves
// nothing else; what may be said on it is a matter of Config.Accept and the policy. At most 64 are open at a time. Errors
// are transport.ErrOrigin, also for an origin that is not listed, and transport.ErrTooManyTokens.
func (p *Peer) BrowserToken(origin string) (string, error) {
	if !slices.Contains(p.cfg.Origins, origin) {
		return "", fmt.Errorf("%w: %q is not among the origins that this peer lets in", transport.ErrOrigin, clip(origin))
	}
	return p.tokens.New(origin, time.Now())
}

// reachable returns an address that others can use for a listener on all addresses of the machine.
func reachable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || !t.IP.IsUnspecified() {
		return a.String()
	}
	best := net.IPv4(127, 0, 0, 1)
	addrs, _ := net.InterfaceAddrs() // without it there is the loopback address
	for _, ifa := range addrs {
		if n, ok := ifa.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			best = n.IP
			break
		}
	}
	return net.JoinHostPort(best.String(), strconv.Itoa(t.Port))
}

const portsTried = 100

func listenOn(a transport.Address, next bool, cfg transport.ListenConfig) (*transport.Listener, error) {
	host, port, err := net.SplitHostPort(a.Host)
	if err != nil {
		return nil, err
	}
	ln, err := transport.Listen(a, cfg)
	if n, perr := strconv.Atoi(port); next && perr == nil {
		for i := 1; i < portsTried && isInUse(err); i++ {
			a.Host = net.JoinHostPort(host, strconv.Itoa(n+i))
			ln, err = transport.Listen(a, cfg)
		}
	}
	return ln, err
}

func onLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isInUse(err error) bool {
	var sys *os.SyscallError
	return errors.As(err, &sys) && addressInUse(sys.Err)
}

// accept takes connections until the listener is closed.
func (p *Peer) accept(ln *transport.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		if p.adoptConn(c, nil) == nil {
			_ = c.Close()
		}
	}
}

// Attach makes a link of a connection that was made elsewhere, such as one end of a transport.Pipe. The other end is
// treated as one that has dialled us. The connection is the peer's from then on. It returns api.ErrClosed, and leaves
// the connection alone, when the peer has not joined or is closed.
func (p *Peer) Attach(c *transport.Conn) error {
	if !p.joined.Load() || p.adoptConn(c, nil) == nil {
		return api.ErrClosed
	}
	return nil
}

// adoptConn makes a link of a connection and starts it; nil when the peer is closing.
func (p *Peer) adoptConn(c *transport.Conn, t *target) *link {
	return p.adoptWith(c, p.provider(t != nil, c.CB), t)
}

// adoptWith is adoptConn with a security of its own.
func (p *Peer) adoptWith(c *transport.Conn, sec security.Provider, t *target) *link {
	l := p.newLink(c, sec, t)
	if !p.begin(l) {
		return nil
	}
	return l
}

// begin starts a link; false when the peer is closing.
func (p *Peer) begin(l *link) bool {
	silentGuest := l.conn.Silent && p.cfg.Accept == security.AcceptGuest
	begun := false
	p.change(func() {
		if p.closing.Load() {
			return
		}
		p.links[l] = struct{}{}
		if l.session != nil {
			p.establishedLocked(l)
		}
		l.run(silentGuest)
		begun = true
	})
	return begun
}

// portOf returns the port of a listener's address, 0 when there is none.
func portOf(a net.Addr) int {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.Port
	}
	return 0
}

// ipsOf returns the addresses that a listener can be reached at, nil for all of the machine.
func ipsOf(addrs []net.Addr) []string {
	var ips []string
	for _, a := range addrs {
		t, ok := a.(*net.TCPAddr)
		if !ok || t.IP == nil || t.IP.IsUnspecified() {
			return nil
		}
		if ip := t.IP.String(); !slices.Contains(ips, ip) {
			ips = append(ips, ip)
		}
	}
	return ips
}
