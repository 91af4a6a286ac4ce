package mdns_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	hashicorp "github.com/hashicorp/mdns"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"peermesh/discovery"
	"peermesh/discovery/mdns"
)

func peer(name string, port int) discovery.Announcement {
	return discovery.Announcement{
		ID: strings.Repeat(name, 32)[:32], Name: name, Boot: "1767225600000-0a1b2c3d", Port: port,
	}
}

func key(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// soon is how long a test waits for what should take no time.
const soon = 10 * time.Second

// Processes on one machine find each other over loopback, and see each other go at once.
func TestLoopback(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	loopbackOnly(t)
	keys := [][]byte{key("1")}
	a := startHost(t, hostConfig{Self: peer("a", 7001), Keys: keys}, false)
	b := startHost(t, hostConfig{Self: peer("b", 7002), Keys: keys}, false)
	ev := a.expect(discovery.Joined, "b", soon)
	if ev.Record.Addrs[0] != "127.0.0.1:7002" || !ev.Record.Trusted {
		t.Errorf("%+v", ev)
	}
	b.expect(discovery.Joined, "a", soon)

	b.do(`update {"ID":"` + strings.Repeat("b", 32) + `","Name":"b","Boot":"1767225600000-0a1b2c3d","Port":7009}`)
	if ev := a.expect(discovery.Updated, "b", soon); ev.Record.Addrs[0] != "127.0.0.1:7009" {
		t.Errorf("%+v", ev)
	}
	b.stop()
	if ev := a.expect(discovery.Left, "b", soon); ev.Reason != discovery.Goodbye {
		t.Errorf("%+v", ev)
	}
	// A crash says no goodbye; the next run is news all the same.
	c := startHost(t, hostConfig{Self: peer("c", 7003), Keys: keys}, false)
	a.expect(discovery.Joined, "c", soon)
	c.kill()
	again := peer("c", 7003)
	again.Boot = "1767225600001-0a1b2c3d"
	startHost(t, hostConfig{Self: again, Keys: keys}, false)
	if ev := a.expect(discovery.Updated, "c", soon); ev.Record.Boot != again.Boot {
		t.Errorf("%+v", ev)
	}
	if st := a.status(); st.Counters["own"] == 0 || st.Counters["bad"]+st.Counters["crosstalk"]+st.Counters["proof"] != 0 {
		t.Errorf("%+v", st)
	}
}

// No route for multicast, or no interface at all: no error, a note, and everything stops as it should.
func TestNoRoute(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	run := func(what string) {
		src, err := mdns.New(mdns.Config{})
		if err != nil {
			t.Fatal(err)
		}
		set, err := discovery.New(discovery.Config{Self: peer("a", 7001)}, src)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- set.Run(ctx) }()
		select {
		case <-set.Asked():
		case <-time.After(soon):
			t.Errorf("%s: never asked", what)
		}
		st := set.Status().Sources[0]
		t.Logf("%s: %q", what, st.Notes)
		if st.State != "running" || st.Err != nil || len(st.Notes) == 0 {
			t.Errorf("%s: %+v", what, st)
		}
		if what == "loopback down" && !slices.Contains(st.Notes, "no multicast route") {
			t.Errorf("%s: %q", what, st.Notes)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	run("loopback down")
	if err := raiseLoopback(); err != nil {
		t.Fatal(err)
	}
	run("no route")
	if out, err := os.ReadFile("/proc/net/route"); err != nil || strings.Count(string(out), "\n") > 1 {
		t.Errorf("there are routes: %s", out)
	}
	// Loopback needs none: the sockets are bound to their interface.
	a := startHost(t, hostConfig{Self: peer("a", 7001)}, false)
	startHost(t, hostConfig{Self: peer("b", 7002)}, false)
	a.expect(discovery.Joined, "b", soon)
}

func TestStopsCleanlyManyTimes(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	loopbackOnly(t)
	round := func(i int) {
		src, err := mdns.New(mdns.Config{})
		if err != nil {
			t.Fatal(err)
		}
		set, err := discovery.New(discovery.Config{Self: peer("a", 7001)}, src)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- set.Run(ctx) }()
		if i%2 == 0 { // else stopped right after the start
			for set.Status().Sources[0].Counters["announced"] == 0 {
				runtime.Gosched()
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	fds := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	round(0)
	others := goleak.IgnoreCurrent()
	before := fds()
	for i := range 200 {
		round(i)
	}
	if after := fds(); after > before+2 {
		t.Errorf("%d open files before, %d after", before, after)
	}
	if err := goleak.Find(others); err != nil {
		t.Error(err)
	}
}

// The library's client, and whoever asks like it, finds us: in upper case, too, and without a route.
func TestHashicorpClientFindsUs(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	loopbackOnly(t)
	startHost(t, hostConfig{Self: peer("a", 7001)}, false)
	for _, service := range []string{"_peermesh._tcp", "_PeerMesh._TCP"} {
		deadline := time.Now().Add(soon)
		for found := false; !found; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not found", service)
			}
			entries := make(chan *hashicorp.ServiceEntry, 16)
			err := hashicorp.Query(&hashicorp.QueryParam{
				Service: service, Timeout: 200 * time.Millisecond, Entries: entries, DisableIPv6: true,
				Logger: log.New(io.Discard, "", 0),
			})
			if err != nil {
				t.Fatal(err)
			}
			close(entries)
			for e := range entries {
				found = found || e.Port == 7001 && strings.HasPrefix(e.Name, "a-aaaaaaaa.") &&
					slices.Contains(e.InfoFields, "id="+strings.Repeat("a", 32)) && e.AddrV4.IsLoopback()
			}
		}
	}
}

// Other services on the network, and the noise they make, are nothing to us.
func TestForeignPackets(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	loopbackOnly(t)
	service, err := hashicorp.NewMDNSService("printer", "_ipp._tcp", "", "printer.local.", 631, []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"x=1"})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := hashicorp.NewServer(&hashicorp.Config{Zone: service, Logger: log.New(io.Discard, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Shutdown()
	a := startHost(t, hostConfig{Self: peer("a", 7001)}, false)
	a.ready()
	send := multicast(t)
	for _, b := range [][]byte{nil, {0}, make([]byte, 11), make([]byte, 12), []byte(strings.Repeat("x", 600)), make([]byte, 9000)} {
		send(b)
	}
	q := dns.Msg{Question: []dns.Question{{Name: "_ipp._tcp.local.", Qtype: dns.TypePTR, Qclass: dns.ClassINET}}}
	b, _ := q.Pack()
	send(b)
	q.Response, q.Answer = true, service.Records(q.Question[0])
	b, _ = q.Pack()
	send(b)
	// A question that lists an instance of ours as known is no answer.
	q = dns.Msg{Question: []dns.Question{{Name: "_peermesh._tcp.local.", Qtype: dns.TypePTR, Qclass: dns.ClassINET}}}
	q.Answer = []dns.RR{&dns.PTR{
		Hdr: dns.RR_Header{Name: "_peermesh._tcp.local.", Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: 120},
		Ptr: "ghost-gggggggg._peermesh._tcp.local.",
	}}
	b, _ = q.Pack()
	send(b)
	startHost(t, hostConfig{Self: peer("b", 7002)}, false)
	a.expect(discovery.Joined, "b", soon)
	st := a.status()
	if len(st.Peers) != 1 || st.Counters["bad"] < 3 || st.Counters["foreign"] < 2 {
		t.Errorf("%+v", st)
	}
}

// multicast returns a function that sends to the group on loopback.
func multicast(t *testing.T) func([]byte) {
	t.Helper()
	c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func(b []byte) {
		t.Helper()
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

func numbered(i int) discovery.Announcement {
	b := []byte(strings.Repeat("q", 32))
	for k := range 6 {
		b[k] = "abcdefgh"[i>>(3*k)&7]
	}
	a := peer("x", 7000)
	a.ID, a.Name = string(b), fmt.Sprintf("n%d", i)
	return a
}

// A flood of forged announcements through a real socket.
func TestFlood(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	loopbackOnly(t)
	open := startHost(t, hostConfig{Self: peer("a", 7001)}, false)
	keyed := startHost(t, hostConfig{Self: peer("b", 7002), Keys: [][]byte{key("1")}}, false)
	go func() { // nobody is interested, but the pipe must not fill up
		for range open.events {
		}
	}()
	open.ready()
	keyed.ready()
	send := multicast(t)
	for i := range 10_000 {
		p := numbered(i)
		m := dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Compress: true}
		name := p.Name + "-" + p.ID[:8] + "._peermesh._tcp.local."
		m.Answer = []dns.RR{
			&dns.SRV{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 4500}, Port: 7000, Target: "x.local."},
			&dns.TXT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 4500},
				Txt: []string{"v=1", "id=" + p.ID, "boot=" + p.Boot, "a=10.0.0.1"}},
		}
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		send(b)
	}
	startHost(t, hostConfig{Self: peer("c", 7003), Keys: [][]byte{key("1")}}, false)
	keyed.expect(discovery.Joined, "c", soon)
	st := keyed.status()
	if len(st.Peers) != 1 || st.Counters["proof"]+st.Counters["dropped"] < 100 {
		t.Errorf("%+v", st)
	}
	startHost(t, hostConfig{Self: peer("d", 7004)}, false)
	deadline := time.Now().Add(soon)
	for !slices.ContainsFunc(open.status().Peers, func(r discovery.Record) bool { return r.Name == "d" }) {
		if time.Now().After(deadline) {
			t.Fatalf("the real one is not found: %v", open.status().Counters)
		}
	}
	if st := open.status(); len(st.Peers) > discovery.MaxPeers {
		t.Errorf("%d peers", len(st.Peers))
	}
}

func needIPv6(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		t.Skip("skip: needs a kernel with IPv6")
	}
}

// cable is a bridge that hosts are plugged into.
type cable struct {
	t    *testing.T
	name string
	n    int
}

func newCable(t *testing.T, name string) *cable {
	t.Helper()
	ip(t, "link add "+name+" type bridge mcast_snooping 0")
	ip(t, "link set "+name+" up")
	return &cable{t, name, 0}
}

// plug gives a host an interface on the cable, with addresses.
func (c *cable) plug(h *host, iface string, addrs ...string) {
	c.t.Helper()
	c.plugAs(h, iface, "", addrs...)
}

// plugAs does the same with an interface that is set up before it is raised, in the words of "ip link set".
func (c *cable) plugAs(h *host, iface, setup string, addrs ...string) {
	c.t.Helper()
	c.n++
	end := fmt.Sprintf("%s-%d", c.name, c.n)
	ip(c.t, fmt.Sprintf("link add %s type veth peer name %s netns %d", end, iface, h.cmd.Process.Pid))
	ip(c.t, fmt.Sprintf("link set %s master %s up", end, c.name))
	var sh []string
	for _, a := range addrs {
		sh = append(sh, "ip addr add "+a+" dev "+iface)
	}
	if setup != "" {
		sh = append(sh, "ip link set "+iface+" "+setup)
	}
	h.do("sh " + strings.Join(append(sh, "ip link set "+iface+" up"), "; "))
}

// Several hosts in both families, without any route for multicast. IPv6 addresses are tentative for a second or two
// after an interface came up, and cannot be sent from: that must not hold up IPv4.
func TestHostsOnABridge(t *testing.T) {
	needIPv6(t)
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "br0")
	keys := [][]byte{key("1")}
	var hosts []*host
	for i, name := range []string{"a", "b", "c"} {
		h := startHost(t, hostConfig{Self: peer(name, 7001+i), Keys: keys, Wait: true}, true)
		c.plug(h, "eth0", fmt.Sprintf("10.99.0.%d/24", i+1), fmt.Sprintf("fd99::%d/64", i+1))
		hosts = append(hosts, h)
	}
	for _, h := range hosts {
		h.do("start")
	}
	for i, h := range hosts {
		for k, name := range []string{"a", "b", "c"} {
			if i == k {
				continue
			}
			ev := h.expect(discovery.Joined, name, soon)
			if ev.Record.Addrs[0] != fmt.Sprintf("10.99.0.%d:%d", k+1, 7001+k) {
				t.Errorf("%+v", ev)
			}
			t.Logf("host %d found %s after %v: %v", i, name, ev.Took, ev.Record.Addrs)
		}
	}
	hosts[2].stop()
	if ev := hosts[0].expect(discovery.Left, "c", soon); ev.Reason != discovery.Goodbye {
		t.Errorf("%+v", ev)
	}
	// The addresses settle, and IPv6 works.
	deadline := time.Now().Add(soon)
	for {
		st := hosts[0].status()
		if slices.Contains(st.Notes, "eth0: IPv6: joined") && len(st.Peers) == 1 && slices.Contains(st.Peers[0].Addrs, "[fd99::2]:7002") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", st)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// IPv6 alone, and IPv4 alone, on the same cable: those who share a family meet.
func TestOneFamilyOnly(t *testing.T) {
	needIPv6(t)
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "br0")
	four, six, both, six2 := startHost(t, hostConfig{Self: peer("f", 7001), Wait: true}, true),
		startHost(t, hostConfig{Self: peer("s", 7002), Wait: true}, true),
		startHost(t, hostConfig{Self: peer("b", 7003), Wait: true}, true),
		startHost(t, hostConfig{Self: peer("t", 7004), Wait: true}, true)
	c.plugAs(four, "eth0", "addrgenmode none", "10.99.0.1/24")
	c.plug(six, "eth0")
	c.plug(both, "eth0", "10.99.0.3/24")
	c.plug(six2, "eth0")
	for _, h := range []*host{four, six, both, six2} {
		h.do("start")
	}
	if ev := both.expect(discovery.Joined, "s", soon); !strings.HasPrefix(ev.Record.Addrs[0], "[fe80::") || !strings.Contains(ev.Record.Addrs[0], "%eth0]") {
		t.Errorf("%+v", ev)
	}
	four.expect(discovery.Joined, "b", soon)
	six.expect(discovery.Joined, "b", soon)
	six.expect(discovery.Joined, "t", soon)
	if st := four.status(); len(st.Peers) != 1 || slices.ContainsFunc(st.Notes, func(s string) bool { return strings.Contains(s, "IPv6") }) {
		t.Errorf("%+v", st)
	}
}

// Two cables: nobody hears on one what was said on the other, and nobody is lost with one of two.
func TestTwoInterfaces(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	x, y := newCable(t, "brx"), newCable(t, "bry")
	a := startHost(t, hostConfig{Self: peer("a", 7001), Wait: true}, true)
	b := startHost(t, hostConfig{Self: peer("b", 7002), Wait: true}, true)
	c := startHost(t, hostConfig{Self: peer("c", 7003), Wait: true}, true)
	x.plug(a, "eth0", "10.77.0.1/24")
	y.plug(a, "eth1", "10.78.0.1/24")
	x.plug(b, "eth0", "10.77.0.2/24")
	y.plug(b, "eth1", "10.78.0.2/24")
	y.plug(c, "eth0", "10.78.0.3/24")
	for _, h := range []*host{a, b, c} {
		h.do("start")
	}
	// What is heard on one cable may be known a moment before what is heard on the other.
	ev := a.expect(discovery.Joined, "b", soon)
	for want := []string{"10.77.0.2:7002", "10.78.0.2:7002"}; !slices.Equal(ev.Record.Addrs[:2], want); {
		ev = a.expect(discovery.Updated, "b", soon)
	}
	a.expect(discovery.Joined, "c", soon)
	// c is on 10.78/24, and tries what it can reach first.
	if ev := c.expect(discovery.Joined, "a", soon); ev.Record.Addrs[0] != "10.78.0.1:7001" {
		t.Errorf("%v", ev.Record.Addrs)
	}
	if n := a.status().Counters["crosstalk"]; n != 0 {
		t.Errorf("%d packets came from an interface that was not the socket's", n)
	}
	a.do("sh ip link del eth1") // what was sent there may still come, and is then nobody's
	if ev := a.expect(discovery.Left, "c", soon); ev.Reason != discovery.Interface {
		t.Errorf("%+v", ev)
	}
	st := a.status()
	if len(st.Peers) != 1 || st.Peers[0].Name != "b" {
		t.Errorf("%+v", st)
	}
}

// A network card is pulled and another one plugged in under the same name, as docks and virtual machines do.
func TestInterfaceIsReplaced(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "br0")
	a := startHost(t, hostConfig{Self: peer("a", 7001), Wait: true}, true)
	b := startHost(t, hostConfig{Self: peer("b", 7002), Wait: true}, true)
	a.do("start") // before there is any network
	c.plug(b, "eth0", "10.99.0.2/24")
	b.do("start")
	c.plug(a, "eth0", "10.99.0.1/24")
	a.expect(discovery.Joined, "b", soon)
	b.expect(discovery.Joined, "a", soon)

	a.do("sh ip link del eth0")
	if ev := a.expect(discovery.Left, "b", soon); ev.Reason != discovery.Interface {
		t.Errorf("%+v", ev)
	}
	c.plug(a, "eth0", "10.99.0.1/24")
	a.expect(discovery.Joined, "b", soon)

	// And in one go.
	c.n++
	ip(t, fmt.Sprintf("link add fresh type veth peer name eth9 netns %d", a.cmd.Process.Pid))
	ip(t, "link set fresh master br0 up")
	a.do("sh ip link del eth0; ip link set eth9 name eth0; ip addr add 10.99.0.1/24 dev eth0; ip link set eth0 up")
	// The membership of the old card is gone. That we hear again shows when somebody new announces itself, and that we
	// are heard when it finds us.
	deadline := time.Now().Add(soon)
	for i := 0; ; i++ {
		if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/igmp", a.cmd.Process.Pid)); err != nil {
			t.Fatal(err)
		} else if strings.Contains(string(data), "FB0000E0") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the group was not joined anew")
		}
		time.Sleep(20 * time.Millisecond)
	}
	d := startHost(t, hostConfig{Self: peer("d", 7004), Wait: true}, true)
	c.plug(d, "eth0", "10.99.0.4/24")
	d.do("start")
	d.expect(discovery.Joined, "a", soon)
	a.expect(discovery.Joined, "d", soon)
}

// Somebody whose address is not of the link gets no hearing when he writes to us alone.
func TestOffLink(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "br0")
	a := startHost(t, hostConfig{Self: peer("a", 7001), Wait: true}, true)
	c.plug(a, "eth0", "10.99.0.1/24")
	ip(t, "addr add 10.99.0.254/24 dev br0")
	ip(t, "addr add 192.168.99.2/24 dev br0")
	a.do("sh ip route add default via 10.99.0.254")
	a.do("start")
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(192, 168, 99, 2)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := numbered(1)
	name := p.Name + "-" + p.ID[:8] + "._peermesh._tcp.local."
	m := dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Answer: []dns.RR{
		&dns.SRV{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 120}, Port: 7000, Target: "x.local."},
		&dns.TXT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 120},
			Txt: []string{"v=1", "id=" + p.ID, "boot=" + p.Boot, "a=10.99.0.9"}},
	}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	a.ready()
	for range 20 {
		if _, err := conn.WriteToUDP(b, &net.UDPAddr{IP: net.IPv4(10, 99, 0, 1), Port: 5353}); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	startHostOn(t, c, "b", "10.99.0.2/24")
	a.expect(discovery.Joined, "b", soon)
	if st := a.status(); len(st.Peers) != 1 {
		t.Errorf("%+v", st)
	}
}

func startHostOn(t *testing.T, c *cable, name, addr string) *host {
	t.Helper()
	h := startHost(t, hostConfig{Self: peer(name, 7001), Wait: true}, true)
	c.plug(h, "eth0", addr)
	h.do("start")
	return h
}
