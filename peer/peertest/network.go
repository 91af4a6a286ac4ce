package peertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"peermesh/peer/transport"
)

// Network is a network in memory with hosts that are told apart by their names. All its methods are safe for
// concurrent use. Faults hold for the connections that are there and for those to come, until Heal.
type Network struct {
	mu        sync.Mutex
	hosts     map[string]*host
	byIP      map[string]*host
	listeners map[string]*listener // by ip:port
	conns     map[*connection]struct{}
	faults    map[pair]fault
	nextIP    int
	nextPort  int
}

// host is a peer's view of the network.
type host struct {
	net  *Network
	name string
	ip   net.IP
}

type pair struct{ from, to string }

type fault struct {
	delay          time.Duration
	stalled, lossy bool
	cut            bool
}

// connection is both directions between two hosts.
type connection struct {
	a, b   *host // a dialled
	ab, ba *wire
}

// NewNetwork makes a network without hosts.
func NewNetwork() *Network {
	return &Network{hosts: map[string]*host{}, byIP: map[string]*host{}, listeners: map[string]*listener{},
		conns: map[*connection]struct{}{}, faults: map[pair]fault{}, nextIP: 1, nextPort: 40000}
}

// Host returns a host's view of the network: what Config.Network of the peer on it wants. Asking again gives the same.
func (n *Network) Host(name string) transport.Network {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hostLocked(name)
}

func (n *Network) hostLocked(name string) *host {
	h := n.hosts[name]
	if h == nil {
		h = &host{net: n, name: name, ip: net.IPv4(10, 99, byte(n.nextIP>>8), byte(n.nextIP)).To4()}
		n.nextIP++
		n.hosts[name] = h
		n.byIP[h.ip.String()] = h
	}
	return h
}

// Listen implements transport.Network.
func (h *host) Listen(hostport string) (net.Listener, error) {
	_, portText, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, err
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == 0 {
		n.nextPort++
		port = n.nextPort
	}
	addr := &net.TCPAddr{IP: h.ip, Port: port}
	if n.listeners[addr.String()] != nil {
		return nil, fmt.Errorf("peertest: %s is in use", addr)
	}
	l := &listener{net: n, addr: addr, conns: make(chan net.Conn, 128), done: make(chan struct{})}
	n.listeners[addr.String()] = l
	return l, nil
}

var errRefused = errors.New("peertest: connection refused")

// Dial implements transport.Network.
func (h *host) Dial(ctx context.Context, hostport string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n := h.net
	n.mu.Lock()
	l := n.listeners[hostport]
	if l == nil {
		n.mu.Unlock()
		return nil, errRefused
	}
	other := n.byIP[l.addr.IP.String()]
	if n.faults[pair{h.name, other.name}].cut || n.faults[pair{other.name, h.name}].cut {
		n.mu.Unlock()
		<-ctx.Done() // as if the packets went nowhere
		return nil, ctx.Err()
	}
	n.nextPort++
	c := &connection{a: h, b: other, ab: newWire(), ba: newWire()}
	n.conns[c] = struct{}{}
	n.applyLocked(c)
	local := &net.TCPAddr{IP: h.ip, Port: n.nextPort}
	ends := 2
	closed := func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if ends--; ends == 0 {
			delete(n.conns, c)
		}
	}
	n.mu.Unlock()
	mine := &conn{in: c.ba, out: c.ab, local: local, remote: l.addr, onClose: closed}
	theirs := &conn{in: c.ab, out: c.ba, local: l.addr, remote: local, onClose: closed}
	select {
	case l.conns <- theirs:
		return mine, nil
	case <-l.done:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type listener struct {
	net   *Network
	addr  *net.TCPAddr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr.String())
		l.net.mu.Unlock()
		for {
			select {
			case c := <-l.conns:
				_ = c.Close()
				continue
			default:
			}
			return
		}
	})
	return nil
}

// Delay lets what from sends arrive at to only after d.
func (n *Network) Delay(from, to string, d time.Duration) {
	n.change(from, to, func(f *fault) { f.delay = d })
}

// Stall keeps to from reading what from sends, until Heal: a slow reader. The wire holds 64 KiB before writes block.
func (n *Network) Stall(from, to string) { n.change(from, to, func(f *fault) { f.stalled = true }) }

// HalfOpen loses everything that either of two hosts sends to the other, and tells neither: what a pulled cable or a
// crashed router does. New connections get nowhere.
func (n *Network) HalfOpen(a, b string) {
	n.change(a, b, func(f *fault) { f.lossy, f.cut = true, true })
	n.change(b, a, func(f *fault) { f.lossy, f.cut = true, true })
}

// Cut breaks the connections between two hosts, as a reset does; both ends notice. New ones can be made.
func (n *Network) Cut(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if c.a.name == a && c.b.name == b || c.a.name == b && c.b.name == a {
			c.ab.set(func() { c.ab.broken = true })
			c.ba.set(func() { c.ba.broken = true })
		}
	}
}

// Heal ends all faults between two hosts. What was lost stays lost.
func (n *Network) Heal(a, b string) {
	n.change(a, b, func(f *fault) { *f = fault{} })
	n.change(b, a, func(f *fault) { *f = fault{} })
}

func (n *Network) change(from, to string, f func(*fault)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.faults[pair{from, to}]
	f(&v)
	n.faults[pair{from, to}] = v
	for c := range n.conns {
		n.applyLocked(c)
	}
}

func (n *Network) applyLocked(c *connection) {
	for w, p := range map[*wire]pair{c.ab: {c.a.name, c.b.name}, c.ba: {c.b.name, c.a.name}} {
		f := n.faults[p]
		w.set(func() { w.delay, w.stalled, w.lossy = f.delay, f.stalled, f.lossy })
	}
}

// Conns returns how many connections there are.
func (n *Network) Conns() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}
