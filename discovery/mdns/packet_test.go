package mdns

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"peermesh/discovery"
)

func TestRecordSetLimits(t *testing.T) {
	t.Parallel()
	n, err := newNames("")
	if err != nil {
		t.Fatal(err)
	}
	long := peerNamed("a", 65535)
	long.Name = strings.Repeat("a", 53)
	long.TLS = true
	var addrs []netip.Addr
	for i := range 20 {
		addrs = append(addrs, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, byte(i) | 0xf0}))
	}
	s, err := newRecordSet(n, long, addrs, [][]byte{keyOf("1")})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range s.txt.(*dns.TXT).Txt {
		if len(x) > 255 {
			t.Errorf("%d bytes: %s", len(x), x)
		}
	}
	for _, b := range [][]byte{s.announcement, s.goodbye, s.enumeration} {
		if len(b) > 1200 || len(b) == 0 {
			t.Errorf("%d bytes", len(b))
		}
	}
	if len(s.addrs) == 0 || len(s.addrs) > maxAnnounce {
		t.Errorf("%d addresses", len(s.addrs))
	}
	// What we say is what others read.
	m, err := parse(s.announcement, n, nil)
	if err != nil || len(m.services) != 1 {
		t.Fatal(m, err)
	}
	a, err := m.services[0].decode()
	if err != nil {
		t.Fatal(err)
	}
	if a.id != long.ID || a.name != long.Name || a.boot != long.Boot || a.port != long.Port || !a.tls || len(a.addrs) != len(s.addrs) ||
		!discovery.VerifyProof([][]byte{keyOf("1")}, a.proof, a.claim) {
		t.Errorf("%+v", a)
	}
	for _, rr := range []dns.RR{s.srv, s.txt, s.addrs[0]} {
		if rr.Header().Class != dns.ClassINET|cacheFlush {
			t.Errorf("no flush bit: %v", rr)
		}
	}
	for _, rr := range []dns.RR{s.ptr, s.enum} {
		if rr.Header().Class != dns.ClassINET {
			t.Errorf("shared records are not to be flushed: %v", rr)
		}
	}
	if _, err := newRecordSet(n, long, nil, nil); err == nil {
		t.Error("announces no address")
	}
	long.Name += "a"
	if _, err := newRecordSet(n, long, addrs, nil); err == nil {
		t.Error("announces too long a name")
	}
}

func TestQueriesFitIntoAPacket(t *testing.T) {
	t.Parallel()
	n, _ := newNames("")
	var known []knownService
	for range discovery.MaxPeers {
		known = append(known, knownService{strings.Repeat("a", 53) + "-" + strings.Repeat("b", 8), 100})
	}
	b, err := packQuery(n, known)
	if err != nil || len(b) > maxSend {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	m, err := parse(b, n, nil)
	if err != nil || !m.query || m.asks != asksService || len(m.known) < 10 {
		t.Fatalf("%+v, %v", m, err)
	}
}

func TestChooseInterfaces(t *testing.T) {
	t.Parallel()
	lo := nic(1, "lo", "127.0.0.1/8", "::1/128")
	lo.flags |= net.FlagLoopback
	with := func(i iface, f func(*iface)) iface { f(&i); return i }
	eth := nic(2, "eth0", "192.168.1.1/24")
	all := []iface{
		lo, eth,
		nic(3, "docker0", "172.17.0.1/16"), nic(4, "br-12ab", "172.18.0.1/16"), nic(5, "veth1234", "fe80::1/64"),
		nic(6, "bare"),
		with(nic(7, "down0", "10.0.0.1/8"), func(i *iface) { i.flags &^= net.FlagUp }),
		with(nic(8, "nocable0", "10.0.0.1/8"), func(i *iface) { i.flags &^= net.FlagRunning }),
		with(nic(9, "tun0", "10.8.0.1/32"), func(i *iface) { i.flags |= net.FlagPointToPoint }),
		with(nic(10, "deaf0", "10.0.0.1/8"), func(i *iface) { i.flags &^= net.FlagMulticast }),
		nic(11, "br0", "10.1.0.1/16"),
	}
	for _, tt := range []struct {
		all   []iface
		named []string
		want  []string
	}{
		{all, nil, []string{"br0", "eth0"}},
		{[]iface{lo, all[2]}, nil, []string{"lo"}},
		{all, []string{"docker0", "absent", "down0", "bare"}, []string{"docker0"}},
		{all, []string{"absent"}, nil},
		{nil, nil, nil},
	} {
		var got []string
		for _, i := range choose(tt.all, tt.named) {
			got = append(got, i.name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("named %v: %v, want %v", tt.named, got, tt.want)
		}
	}
	var many []iface
	for i := range 100 {
		many = append(many, nic(i+1, "eth"+string(rune('A'+i)), "10.0.0.1/8"))
	}
	if got := choose(many, nil); len(got) != maxInterfaces {
		t.Errorf("%d interfaces", len(got))
	}
}

func TestAnnounceableAddresses(t *testing.T) {
	t.Parallel()
	got := announceable([]iface{
		nic(1, "lo", "127.0.0.1/8"),
		nic(2, "eth0", "fe80::1/64", "169.254.1.1/16", "2001:db8::1/64", "192.168.1.1/24"),
		nic(3, "eth1", "10.0.0.1/8", "192.168.1.1/24"),
	})
	var text []string
	for _, a := range got {
		text = append(text, a.String())
	}
	if want := "192.168.1.1 10.0.0.1 2001:db8::1 169.254.1.1 fe80::1"; strings.Join(text, " ") != want {
		t.Errorf("%v, want %v", text, want)
	}
	if got := announceable([]iface{nic(1, "lo", "127.0.0.1/8", "::1/128")}); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

// seeds are packets of every kind that the parser tells apart.
func seeds(t testing.TB) [][]byte {
	one := packetOf(t, keyOf("1"), 120, peerNamed("a", 7001))
	three := packetOf(t, nil, 120, peerNamed("x", 1), peerNamed("y", 2), peerNamed("z", 3))
	n, _ := newNames("")
	query, _ := packQuery(n, []knownService{{"a-aaaaaaaa", 100}})
	follow, _ := packInstanceQuery(n, "a-aaaaaaaa")
	foreign := dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Answer: []dns.RR{&dns.PTR{
		Hdr: dns.RR_Header{Name: "_ipp._tcp.local.", Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: 120},
		Ptr: `My\ Printer\.1._ipp._tcp.local.`,
	}}}
	f, _ := foreign.Pack()
	return [][]byte{
		one, three, packetOf(t, nil, 0, peerNamed("a", 7001)), query, follow, f,
		one[:len(one)-1], bytes.ToUpper(one), nil, make([]byte, 12),
	}
}

// Whatever a packet holds, the parser does not panic, stays within its limits, and what it calls a peer has the form
// of one.
func FuzzPacket(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	n, err := newNames("")
	if err != nil {
		f.Fatal(err)
	}
	ours, err := newRecordSet(n, peerNamed("a", 7001), []netip.Addr{netip.MustParseAddr("192.168.1.1")}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b, n, ours)
		if err != nil {
			if m != nil {
				t.Fatal("a message and an error")
			}
			return
		}
		if len(m.services) > maxServices || len(m.known) > maxServices {
			t.Fatal("too many")
		}
		if m.query && len(m.services) > 0 || !m.query && (m.asks != 0 || len(m.known) > 0) {
			t.Fatal("neither a question nor an answer")
		}
		for _, s := range m.services {
			if s.instance == "" || len(s.instance) > maxLabel || s.instance != strings.ToLower(s.instance) {
				t.Fatalf("instance %q", s.instance)
			}
			a, err := s.decode()
			if err != nil {
				continue
			}
			self := discovery.Announcement{ID: a.id, Name: a.name, Boot: a.boot, Port: a.port}
			if err := self.Validate(); err != nil || !self.Announces() {
				t.Fatalf("%+v: %v", a, err)
			}
			addrs := a.dialable([]string{"eth0"}, true)
			if len(addrs) > maxAddrs {
				t.Fatalf("%d addresses", len(addrs))
			}
			for _, x := range addrs {
				if _, err := netip.ParseAddrPort(x); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
