package mdns

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	hashicorp "github.com/hashicorp/mdns"
	"github.com/miekg/dns"

	"peermesh/discovery"
)

// lan is a network in memory. Interfaces of the same name are on the same cable.
type lan struct {
	mu    sync.Mutex
	hosts []*fakeHost
	log   []sent
}

// sent is a packet that somebody sent to the group.
type sent struct {
	at     time.Time
	host   *fakeHost
	iface  string
	family family
	port   uint16
	data   []byte
}

// fakeHost is a machine on the lan; it is the network of a Source.
type fakeHost struct {
	lan *lan

	// Guarded by lan.mu.
	ifaces      []iface
	sockets     []*fakeSocket
	servers     []*fakeServer
	nextPort    uint16
	silent      bool // sends nothing any more, as after a crash
	listenError map[family]error
	sendError   map[family]error
	ifacesError error
	served      int // servers started so far
}

func (n *lan) host(ifaces ...iface) *fakeHost {
	h := &fakeHost{
		lan: n, ifaces: ifaces, nextPort: 40000, listenError: map[family]error{}, sendError: map[family]error{},
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts = append(n.hosts, h)
	return h
}

// change changes the host under the lock.
func (h *fakeHost) change(f func()) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	f()
}

func (h *fakeHost) interfaces() ([]iface, error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	return slices.Clone(h.ifaces), h.ifacesError
}

func (h *fakeHost) open(i iface, f family, port uint16) (socket, error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	if err := h.listenError[f]; err != nil {
		return nil, err
	}
	if port == 0 {
		h.nextPort++
		port = h.nextPort
	}
	s := &fakeSocket{
		host: h, iface: i, family: f, port: port, in: make(chan packet, 4096), closed: make(chan struct{}),
	}
	h.sockets = append(h.sockets, s)
	return s, nil
}

func (h *fakeHost) listen(i iface, f family) (socket, error) { return h.open(i, f, mdnsPort) }
func (h *fakeHost) dial(i iface, f family) (socket, error)   { return h.open(i, f, 0) }

func (h *fakeHost) serve(i iface, z hashicorp.Zone) (server, error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	s := &fakeServer{h, z}
	h.servers = append(h.servers, s)
	h.served++
	return s, nil
}

type fakeServer struct {
	host *fakeHost
	zone hashicorp.Zone
}

func (s *fakeServer) Shutdown() error {
	s.host.change(func() {
		s.host.servers = slices.DeleteFunc(s.host.servers, func(o *fakeServer) bool { return o == s })
	})
	return nil
}

type fakeSocket struct {
	host   *fakeHost
	iface  iface
	family family
	port   uint16
	in     chan packet
	closed chan struct{}
	once   sync.Once
}

func (s *fakeSocket) read() (packet, error) {
	select {
	case p := <-s.in:
		return p, nil
	case <-s.closed:
		return packet{}, net.ErrClosed
	}
}

func (s *fakeSocket) close() {
	s.once.Do(func() {
		close(s.closed)
		s.host.change(func() {
			s.host.sockets = slices.DeleteFunc(s.host.sockets, func(o *fakeSocket) bool { return o == s })
		})
	})
}

// addr is the address that the socket sends from.
func (s *fakeSocket) addr() netip.Addr {
	for _, p := range s.iface.addrs {
		if p.Addr().Is4() == (s.family == ipv4Family) {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

func (s *fakeSocket) deliver(p packet) {
	select {
	case s.in <- p:
	default: // as the kernel does when its buffer is full
	}
}

func (s *fakeSocket) send(b []byte) error {
	n := s.host.lan
	n.mu.Lock()
	if err := s.host.sendError[s.family]; err != nil {
		n.mu.Unlock()
		return err
	}
	if s.host.silent {
		n.mu.Unlock()
		return nil
	}
	n.log = append(n.log, sent{time.Now(), s.host, s.iface.name, s.family, s.port, slices.Clone(b)})
	n.mu.Unlock()
	n.inject(s.iface.name, s.family, netip.AddrPortFrom(s.addr(), s.port), b, s)
	return nil
}

// inject delivers a packet to everybody who has joined the group on a cable. from is nil if a stranger sent it.
func (n *lan) inject(cable string, f family, src netip.AddrPort, b []byte, from *fakeSocket) {
	n.mu.Lock()
	var servers []*fakeServer
	for _, h := range n.hosts {
		here := slices.IndexFunc(h.ifaces, func(i iface) bool { return i.name == cable })
		if here < 0 {
			continue
		}
		for _, s := range h.sockets {
			// A socket whose interface was replaced is deaf.
			if s.port == mdnsPort && s.family == f && s.iface.index == h.ifaces[here].index {
				s.deliver(packet{data: slices.Clone(b), from: src, group: true, ifindex: s.iface.index})
			}
		}
		if !h.silent && h.listenError[f] == nil {
			servers = append(servers, h.servers...)
		}
	}
	n.mu.Unlock()
	// The hashicorp server answers the asker alone.
	var q dns.Msg
	if from == nil || q.Unpack(b) != nil || q.Response || from.port == mdnsPort {
		return
	}
	for _, srv := range servers {
		var rr []dns.RR
		for _, x := range q.Question {
			rr = append(rr, srv.zone.Records(x)...)
		}
		if len(rr) == 0 {
			continue
		}
		a, err := packResponse(rr)
		if err != nil {
			panic(err)
		}
		from.deliver(packet{data: a, from: netip.AddrPortFrom(src.Addr(), mdnsPort)})
	}
}

// sentBy returns the packets that a host sent to the group from port 5353 on a cable in IPv4, and that keep approves.
func (n *lan) sentBy(h *fakeHost, keep func(*dns.Msg) bool) []sent {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []sent
	for _, s := range n.log {
		var m dns.Msg
		if s.host == h && s.family == ipv4Family && s.port == mdnsPort && m.Unpack(s.data) == nil && keep(&m) {
			out = append(out, s)
		}
	}
	return out
}

// packets is how many have been sent.
func (n *lan) packets() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.log)
}

func isQuery(m *dns.Msg) bool    { return !m.Response }
func isAnswer(m *dns.Msg) bool   { return m.Response && m.Answer[0].Header().Ttl > 0 }
func isGoodbye(m *dns.Msg) bool  { return m.Response && m.Answer[0].Header().Ttl == 0 }
func times(s []sent) []time.Time { return mapped(s, func(x sent) time.Time { return x.at }) }

func mapped[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = f(a)
	}
	return out
}

// nic makes an interface that is up.
func nic(index int, name string, addrs ...string) iface {
	i := iface{index: index, name: name, flags: net.FlagUp | net.FlagMulticast | net.FlagRunning}
	for _, a := range addrs {
		i.addrs = append(i.addrs, netip.MustParsePrefix(a))
	}
	return i
}

// peerNamed makes up what a peer says of itself.
func peerNamed(name string, port int) discovery.Announcement {
	return discovery.Announcement{
		ID: strings.Repeat(strings.ReplaceAll(name, "0", "z"), 32)[:32], Name: name, Boot: "1767225600000-0a1b2c3d", Port: port,
	}
}

func keyOf(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// node is a peer on the lan.
type node struct {
	*discovery.Set
	t    *testing.T
	src  *Source
	host *fakeHost
	stop func()
}

func (h *fakeHost) start(t *testing.T, cfg Config, self discovery.Announcement) *node {
	t.Helper()
	src, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	src.net = h
	set, err := discovery.New(discovery.Config{Self: self}, src)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); set.Run(ctx) }()
	stop := func() { cancel(); <-done }
	t.Cleanup(stop)
	return &node{set, t, src, h, stop}
}

// next returns the next event, which has to come within d.
func (n *node) next(d time.Duration) discovery.Event {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	ev, err := n.Next(ctx)
	if err != nil {
		n.t.Fatalf("nothing within %v; %+v", d, n.Status().Sources[0])
	}
	return ev
}

// expect checks what the next event is about.
func (n *node) expect(kind discovery.Kind, name, reason string, within time.Duration) discovery.Record {
	n.t.Helper()
	ev := n.next(within)
	if ev.Kind != kind || ev.Record.Name != name || ev.Reason != reason {
		n.t.Fatalf("%v, want %v %s %s", ev, kind, name, reason)
	}
	return ev.Record
}

// quiet checks that nothing happens for d.
func (n *node) quiet(d time.Duration) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if ev, err := n.Next(ctx); err == nil {
		n.t.Fatalf("unexpected: %v", ev)
	}
}

func (n *node) counter(name string) uint64 {
	c, ok := n.src.Status().Counters[name]
	if !ok {
		n.t.Fatalf("no counter %q", name)
	}
	return c
}

// packetOf makes an announcement of several peers in one packet.
func packetOf(t testing.TB, key []byte, ttl uint32, peers ...discovery.Announcement) []byte {
	t.Helper()
	n, err := newNames("")
	if err != nil {
		t.Fatal(err)
	}
	var keys [][]byte
	if key != nil {
		keys = [][]byte{key}
	}
	m := dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}, Compress: true}
	for _, p := range peers {
		addrs := []netip.Addr{netip.MustParseAddr("192.168.1.77")}
		if len(p.Addrs) > 0 {
			addrs = mapped(p.Addrs, netip.MustParseAddr)
		}
		s, err := newRecordSet(n, p, addrs, keys)
		if err != nil {
			t.Fatal(err)
		}
		for _, rr := range append([]dns.RR{s.ptr, s.srv, s.txt}, s.addrs...) {
			c := dns.Copy(rr)
			c.Header().Ttl = ttl
			m.Answer = append(m.Answer, c)
		}
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	stranger = netip.MustParseAddrPort("192.168.1.200:5353")
	errFake  = errors.New("as told")
)

func numbered(i int) discovery.Announcement {
	b := []byte(strings.Repeat("q", 32))
	for k := range 6 {
		b[k] = "abcdefgh"[i>>(3*k)&7]
	}
	a := peerNamed("x", 7000)
	a.ID, a.Name = string(b), fmt.Sprintf("n%d", i)
	return a
}
