package mdns

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"peermesh/discovery"
)

func TestRestartIsAnUpdate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{})
		time.Sleep(5 * time.Second)
		b.stop()
		again := peerNamed("b", 7003)
		again.Boot = "1767225700000-00000000"
		b.host.start(t, Config{}, again)
		if r := a.expect(discovery.Updated, "b", "", 500*time.Millisecond); r.Boot != again.Boot || r.Addrs[0] != "192.168.1.2:7003" {
			t.Fatalf("%+v", r)
		}
		// The goodbye of the earlier run comes late.
		a.host.lan.inject("eth0", ipv4Family, stranger, packetOf(t, nil, 0, peerNamed("b", 7002)), nil)
		a.quiet(time.Minute)
	})
}

// What a keyed peer said before its restart is not believed again, whoever repeats it.
func TestReplayOfAnEarlierRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Keys: discovery.FixedKeys(keyOf("1"))})
		again := peerNamed("b", 7003)
		again.Boot = "1767225700000-00000000"
		if err := b.Update(again); err != nil {
			t.Fatal(err)
		}
		a.expect(discovery.Updated, "b", "", 2*time.Second)
		n.inject("eth0", ipv4Family, stranger, packetOf(t, keyOf("1"), 120, peerNamed("b", 7002)), nil)
		a.quiet(time.Minute)
		if a.counter("stale") != 1 {
			t.Errorf("%v", a.src.Status().Counters)
		}
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{})
		a.quiet(20 * time.Minute) // alive, and so never expired
		b.host.change(func() { b.host.silent = true })
		began := time.Now()
		a.expect(discovery.Left, "b", discovery.Expired, 121*time.Second)
		lived := time.Since(began)
		// Before that it was asked for, out of turn, at 80, 85, 90 and 95 % of the record's life.
		died := time.Now()
		asked := 0
		for _, at := range times(n.sentBy(a.host, isQuery)) {
			if left := died.Sub(at); left > 0 && left < 25*time.Second {
				asked++
			}
		}
		if asked < 4 {
			t.Errorf("asked %d times before it expired", asked)
		}
		t.Logf("expired after %v", lived)
		b.host.change(func() { b.host.silent = false })
		a.expect(discovery.Joined, "b", "", 61*time.Second)
	})
}

// A goodbye in the name of somebody who is still there is contradicted before it counts.
func TestFalseGoodbyeIsContradicted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, a, _ := pair(t, Config{})
		time.Sleep(5 * time.Second)
		before := n.packets()
		for range 20 {
			n.inject("eth0", ipv4Family, stranger, packetOf(t, nil, 0, peerNamed("b", 7002)), nil)
			a.quiet(1500 * time.Millisecond)
		}
		if sent := n.packets() - before; sent > 60 {
			t.Errorf("%d packets because of 20", sent)
		}
	})
}

// In a settled mesh those who are known need not answer, and nothing happens but a query a minute each.
func TestSettledMeshIsQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		const peers = 10
		var nodes []*node
		for i := range peers {
			h := n.host(nic(2, "eth0", fmt.Sprintf("192.168.1.%d/24", i+1)))
			nodes = append(nodes, h.start(t, Config{}, peerNamed(string(rune('a'+i)), 7000+i)))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(3 * time.Minute)
		n.mu.Lock()
		n.log = nil
		n.mu.Unlock()
		time.Sleep(10 * time.Minute)
		queries, answers := 0, 0
		for _, x := range nodes {
			if got := len(x.Peers()); got != peers-1 {
				t.Errorf("%d peers are known", got)
			}
			queries += len(n.sentBy(x.host, isQuery))
			answers += len(n.sentBy(x.host, isAnswer))
		}
		t.Logf("%d queries and %d answers of %d peers in 10 minutes", queries, answers, peers)
		if queries > 12*peers || answers > 12*peers {
			t.Error("too many")
		}
	})
}

func TestAnswersToAllAreRateLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		h := n.host(nic(2, "eth0", "192.168.1.1/24"))
		a := h.start(t, Config{}, peerNamed("a", 7001))
		time.Sleep(10 * time.Second)
		ask := func(name string, qtype, class uint16, from string) {
			m := dns.Msg{Question: []dns.Question{{Name: name, Qtype: qtype, Qclass: class}}}
			b, _ := m.Pack()
			n.inject("eth0", ipv4Family, netip.MustParseAddrPort(from), b, nil)
		}
		count := func(f func()) int {
			before := len(n.sentBy(h, isAnswer))
			f()
			return len(n.sentBy(h, isAnswer)) - before
		}
		const service = "_peermesh._tcp.local."
		for _, q := range []struct {
			name  string
			qtype uint16
		}{
			{service, dns.TypePTR},
			{"_PeerMesh._TCP.Local.", dns.TypePTR},
			{service, dns.TypeANY},
			{"_services._dns-sd._udp.local.", dns.TypePTR},
			{"a-aaaaaaaa._peermesh._tcp.local.", dns.TypeSRV},
			{"A-AAAAAAAA._peermesh._tcp.local.", dns.TypeTXT},
			{peerNamed("a", 0).ID + ".local.", dns.TypeA},
		} {
			got := count(func() {
				for range 100 {
					ask(q.name, q.qtype, dns.ClassINET, "192.168.1.9:5353")
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(3 * time.Second)
			})
			if got < 1 || got > 2 {
				t.Errorf("%s %d: %d answers to 100 questions in a second", q.name, q.qtype, got)
			}
		}
		for _, q := range []struct {
			what, name   string
			qtype, class uint16
			from         string
		}{
			{"another service", "_ipp._tcp.local.", dns.TypePTR, dns.ClassINET, "192.168.1.9:5353"},
			{"another instance", "b-bbbbbbbb._peermesh._tcp.local.", dns.TypeSRV, dns.ClassINET, "192.168.1.9:5353"},
			{"another type", service, dns.TypeMX, dns.ClassINET, "192.168.1.9:5353"},
			{"another class", service, dns.TypePTR, dns.ClassCHAOS, "192.168.1.9:5353"},
			{"somebody who wants it alone", service, dns.TypePTR, dns.ClassINET, "192.168.1.9:40000"},
			{"somebody who wants it alone, and all heard it", service, dns.TypePTR, dns.ClassINET | cacheFlush, "192.168.1.9:5353"},
		} {
			if got := count(func() { ask(q.name, q.qtype, q.class, q.from); time.Sleep(3 * time.Second) }); got != 0 {
				t.Errorf("%s: %d answers", q.what, got)
			}
		}
		time.Sleep(time.Minute)
		if got := count(func() {
			ask(service, dns.TypePTR, dns.ClassINET|cacheFlush, "192.168.1.9:5353")
			time.Sleep(3 * time.Second)
		}); got != 1 {
			t.Errorf("not heard for long: %d answers", got)
		}
		if a.counter("queries") == 0 || a.counter("foreign") == 0 {
			t.Errorf("%v", a.src.Status().Counters)
		}
	})
}

func TestKnownAnswersSuppress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		h := n.host(nic(2, "eth0", "192.168.1.1/24"))
		a := h.start(t, Config{}, peerNamed("a", 7001))
		nn, _ := newNames("")
		ask := func(ttl uint32, truncated, question bool, from string) {
			b, err := packQuery(nn, []knownService{{"A-aaaaaaaa", ttl}, {"b-bbbbbbbb", 120}})
			if err != nil {
				t.Fatal(err)
			}
			var m dns.Msg
			m.Unpack(b)
			m.Truncated = truncated
			if !question {
				m.Question = nil
			}
			if truncated {
				m.Answer = nil
			}
			b, _ = m.Pack()
			n.inject("eth0", ipv4Family, netip.MustParseAddrPort(from), b, nil)
		}
		for _, tt := range []struct {
			what string
			ask  func()
			want int
		}{
			{"fresh", func() { ask(100, false, true, "192.168.1.9:5353") }, 0},
			{"about to expire", func() { ask(59, false, true, "192.168.1.9:5353") }, 1},
			{"in a second packet", func() {
				ask(0, true, true, "192.168.1.9:5353")
				ask(100, false, false, "192.168.1.9:5353")
			}, 0},
			{"in a second packet of somebody else", func() {
				ask(0, true, true, "192.168.1.9:5353")
				ask(100, false, false, "192.168.1.8:5353")
			}, 1},
			{"but another asks, too", func() {
				ask(0, true, true, "192.168.1.9:5353")
				ask(0, true, true, "192.168.1.8:5353")
				ask(100, false, false, "192.168.1.9:5353")
			}, 1},
		} {
			time.Sleep(10 * time.Second)
			before := len(n.sentBy(h, isAnswer))
			tt.ask()
			time.Sleep(5 * time.Second)
			if got := len(n.sentBy(h, isAnswer)) - before; got != tt.want {
				t.Errorf("%s: %d answers, want %d", tt.what, got, tt.want)
			}
		}
		if a.Status().Peers != 0 {
			t.Error("a known answer in somebody's question was taken for an answer")
		}
	})
}
