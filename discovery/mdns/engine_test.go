package mdns

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"peermesh/discovery"
)

// pair starts two peers, a and b, on one cable, and lets them meet.
func pair(t *testing.T, cfg Config) (*lan, *node, *node) {
	t.Helper()
	n := &lan{}
	a := n.host(nic(2, "eth0", "192.168.1.1/24", "fe80::1/64")).start(t, cfg, peerNamed("a", 7001))
	a.quiet(300 * time.Millisecond)
	b := n.host(nic(7, "eth0", "192.168.1.2/24", "fe80::2/64")).start(t, cfg, peerNamed("b", 7002))
	b.expect(discovery.Joined, "a", "", time.Millisecond) // the answer to us alone comes at once
	a.expect(discovery.Joined, "b", "", time.Millisecond) // and so does the announcement
	return n, a, b
}

func TestMeet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{Keys: discovery.FixedKeys(keyOf("1"))})
		want := discovery.Record{
			ID: peerNamed("b", 0).ID, Name: "b", Boot: "1767225600000-0a1b2c3d", Source: "mdns", Trusted: true,
			Addrs: []string{"192.168.1.2:7002", "[fe80::2%eth0]:7002"},
		}
		if got := a.Peers(); len(got) != 1 || !got[0].Equal(want) {
			t.Fatalf("%+v, want %+v", got, want)
		}
		<-b.Asked()
		notes := b.src.Status().Notes
		if !slices.Equal(notes, []string{"eth0: IPv4: joined", "eth0: IPv6: joined"}) {
			t.Fatalf("%q", notes)
		}
		if a.counter("own") == 0 || a.Status().Own != 0 {
			t.Fatal("our own announcements are heard, and go no further")
		}
	})
}

func TestAskedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		began := time.Now()
		a := n.host(nic(2, "eth0", "192.168.1.1/24")).start(t, Config{}, discovery.Announcement{})
		<-a.Asked()
		if d := time.Since(began); d != 300*time.Millisecond {
			t.Errorf("took %v", d)
		}
		// With nobody to ask there is nothing to wait for.
		began = time.Now()
		b := n.host().start(t, Config{}, discovery.Announcement{})
		<-b.Asked()
		if d := time.Since(began); d != 0 {
			t.Errorf("took %v", d)
		}
		if notes := b.src.Status().Notes; !slices.Contains(notes, "no multicast route") {
			t.Errorf("%q", notes)
		}
		c := n.host(nic(2, "eth0", "192.168.1.1/24"))
		c.sendError[ipv4Family] = errFake
		began = time.Now()
		cn := c.start(t, Config{Interfaces: []string{"eth0", "eth9"}}, discovery.Announcement{})
		<-cn.Asked()
		if d := time.Since(began); d != 0 {
			t.Errorf("took %v", d)
		}
		synctest.Wait()
		notes := strings.Join(cn.src.Status().Notes, "\n")
		for _, want := range []string{"eth0: IPv4: joined, but sending fails: as told", "eth9: no such interface", "no multicast route"} {
			if !strings.Contains(notes, want) {
				t.Errorf("%q does not say %q", notes, want)
			}
		}
	})
}

func TestQueriesBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		h := n.host(nic(2, "eth0", "192.168.1.1/24"))
		a := h.start(t, Config{}, discovery.Announcement{})
		began := time.Now()
		time.Sleep(5 * time.Minute)
		got := times(n.sentBy(h, isQuery))
		want := []float64{0, 1, 4, 13, 40, 100, 160, 220, 280}
		if len(got) != len(want) {
			t.Fatalf("%d queries, want %d", len(got), len(want))
		}
		for i, w := range want {
			if s := got[i].Sub(began).Seconds(); s < w*.97 || s > w*1.03+.01 {
				t.Errorf("query %d after %.2f s, want %v", i, s, w)
			}
		}
		// Refresh asks at once, starts over, and cannot be made to flood.
		for range 100 {
			a.Refresh()
			synctest.Wait()
		}
		time.Sleep(1500 * time.Millisecond)
		if more := len(n.sentBy(h, isQuery)) - len(got); more < 1 || more > 2 {
			t.Errorf("%d queries after 100 refreshes", more)
		}
		if len(n.sentBy(h, func(m *dns.Msg) bool { return m.Response })) > 0 {
			t.Error("who has no port announces nothing")
		}
		if h.served != 0 {
			t.Error("who announces nothing needs no server")
		}
	})
}

func TestAnnouncements(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		h := n.host(nic(2, "eth0", "192.168.1.1/24"))
		a := h.start(t, Config{}, discovery.Announcement{ID: peerNamed("a", 0).ID, Name: "a"})
		time.Sleep(10 * time.Second)
		if got := n.sentBy(h, isAnswer); len(got) != 0 {
			t.Fatalf("%d announcements without a port", len(got))
		}
		offsets := func(begin time.Time, keep func(*dns.Msg) bool) (out []time.Duration) {
			for _, at := range times(n.sentBy(h, keep)) {
				if !at.Before(begin) {
					out = append(out, at.Sub(begin))
				}
			}
			return out
		}
		check := func(what string, begin time.Time, keep func(*dns.Msg) bool, want ...time.Duration) {
			t.Helper()
			if got := offsets(begin, keep); !slices.Equal(got, want) {
				t.Errorf("%s at %v, want %v", what, got, want)
			}
		}
		begin := time.Now()
		if err := a.Update(peerNamed("a", 7001)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		check("announced", begin, isAnswer, 0, time.Second)

		begin = time.Now()
		a.Update(peerNamed("a", 7002)) // another port
		time.Sleep(10 * time.Second)
		check("announced", begin, isAnswer, 0, time.Second)
		check("goodbyes", begin, isGoodbye)

		begin = time.Now()
		renamed := peerNamed("a", 7002)
		renamed.Name = "alice"
		a.Update(renamed) // another instance: the old one takes its leave
		time.Sleep(10 * time.Second)
		check("goodbyes", begin, isGoodbye, 0)

		// Many changes at once: no more than a packet a second.
		begin = time.Now()
		for i := range 50 {
			a.Update(peerNamed("a", 8000+i))
			synctest.Wait()
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		if got := offsets(begin, isAnswer); len(got) > 3 {
			t.Errorf("announced at %v", got)
		}

		begin = time.Now()
		a.Update(discovery.Announcement{ID: renamed.ID, Name: "alice"})
		synctest.Wait()
		check("goodbyes", begin, isGoodbye, 0)
		if len(h.servers) != 0 {
			t.Error("a server is left that has nothing to say")
		}
		a.Update(renamed)
		time.Sleep(10 * time.Second)
		begin = time.Now()
		a.stop()
		check("goodbyes", begin, isGoodbye, 0)
		if len(h.sockets)+len(h.servers) != 0 {
			t.Error("something is left open")
		}
	})
}

func TestGoodbye(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{})
		time.Sleep(5 * time.Second)
		b.stop()
		a.quiet(990 * time.Millisecond)
		a.expect(discovery.Left, "b", discovery.Goodbye, 20*time.Millisecond)
		a.quiet(time.Minute)
	})
}

func TestOwnIDIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		a := n.host(nic(2, "eth0", "192.168.1.1/24")).start(t, Config{}, peerNamed("a", 7001))
		synctest.Wait()
		other := peerNamed("a", 7009) // our id, from elsewhere
		n.inject("eth0", ipv4Family, stranger, packetOf(t, nil, 120, other), nil)
		n.inject("eth0", ipv4Family, stranger, packetOf(t, nil, 0, other), nil)
		a.quiet(time.Minute)
		if a.counter("own") < 1 {
			t.Error("not counted")
		}
	})
}

func TestBareNamesAreAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		h := n.host(nic(2, "eth0", "192.168.1.1/24"))
		a := h.start(t, Config{}, peerNamed("a", 7001))
		time.Sleep(5 * time.Second)
		before := len(n.sentBy(h, isQuery))
		for i := range 200 {
			m := dns.Msg{MsgHdr: dns.MsgHdr{Response: true}}
			m.Answer = []dns.RR{&dns.PTR{
				Hdr: dns.RR_Header{Name: "_peermesh._tcp.local.", Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: 120},
				Ptr: fmt.Sprintf("n%d-xxxxxxxx._peermesh._tcp.local.", i),
			}}
			b, _ := m.Pack()
			n.inject("eth0", ipv4Family, stranger, b, nil)
		}
		synctest.Wait()
		got := n.sentBy(h, isQuery)[before:]
		if len(got) < 1 || len(got) > 5 {
			t.Errorf("%d queries because of 200 names", len(got))
		}
		// Those who are known are not asked for.
		n.inject("eth0", ipv4Family, stranger, packetOf(t, nil, 120, peerNamed("x", 1)), nil)
		time.Sleep(10 * time.Second)
		incomplete := a.counter("incomplete")
		m := dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Answer: []dns.RR{&dns.PTR{
			Hdr: dns.RR_Header{Name: "_peermesh._tcp.local.", Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: 120},
			Ptr: "X-xxxxxxxx._peermesh._tcp.local.",
		}}}
		b, _ := m.Pack()
		n.inject("eth0", ipv4Family, stranger, b, nil)
		synctest.Wait()
		if a.counter("incomplete") != incomplete {
			t.Error("a peer that is known was asked for")
		}
	})
}

func TestStopRightAfterStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		h := n.host(nic(2, "eth0", "192.168.1.1/24"))
		for range 50 {
			h.start(t, Config{}, peerNamed("a", 7001)).stop()
		}
		if len(h.sockets)+len(h.servers) != 0 {
			t.Error("something is left open")
		}
	})
}

func TestServiceNames(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "_peermesh._tcp", "_PeerMesh._TCP", "_a-1._udp"} {
		if _, err := New(Config{Service: s}); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"peermesh", "_peermesh", "_peermesh._tcp.local", "peermesh._tcp", "_a b._tcp", "_._tcp", "_abcdefghijklmnop._tcp"} {
		if _, err := New(Config{Service: s}); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	if _, err := New(Config{Keys: discovery.FixedKeys([]byte{1})}); err == nil {
		t.Error("a short key was taken")
	}
}
