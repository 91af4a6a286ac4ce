package mdns

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
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
		_, a, b := pair(t, Config{Keys: [][]byte{keyOf("1")}})
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
		n, a, b := pair(t, Config{Keys: [][]byte{keyOf("1")}})
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

func TestSeveralInstancesInOnePacket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		a := n.host(nic(2, "eth0", "192.168.1.1/24")).start(t, Config{}, peerNamed("a", 7001))
		synctest.Wait()
		three := []discovery.Announcement{peerNamed("x", 1), peerNamed("y", 2), peerNamed("z", 3)}
		n.inject("eth0", ipv4Family, stranger, packetOf(t, nil, 120, three...), nil)
		for _, p := range three {
			a.expect(discovery.Joined, p.Name, "", time.Millisecond)
		}
		n.inject("eth0", ipv4Family, stranger, packetOf(t, nil, 0, three[1:]...), nil)
		got := []string{a.next(2 * time.Second).Record.Name, a.next(time.Millisecond).Record.Name}
		if slices.Sort(got); !slices.Equal(got, []string{"y", "z"}) {
			t.Fatalf("%v left", got)
		}
	})
}

func TestProofs(t *testing.T) {
	t.Parallel()
	k1, k2 := keyOf("1"), keyOf("2")
	for _, tt := range []struct {
		name    string
		ours    [][]byte
		theirs  []byte
		mangle  func(*dns.Msg)
		counter string // "" if the peer is to be found
	}{
		{"none needed, none there", nil, nil, nil, ""},
		{"right", [][]byte{k1}, k1, nil, ""},
		{"of the second key", [][]byte{k2, k1}, k1, nil, ""},
		{"of another mesh", [][]byte{k2}, k1, nil, "proof"},
		{"missing", [][]byte{k1}, nil, nil, "proof"},
		{"there, and we have no key", nil, k1, nil, "proof"},
		{"port changed", [][]byte{k1}, k1, func(m *dns.Msg) { m.Answer[1].(*dns.SRV).Port++ }, "proof"},
		{"address added", [][]byte{k1}, k1, func(m *dns.Msg) { replaceTXT(m, "a=", "a=192.168.1.66,") }, "proof"},
		{"boot changed", [][]byte{k1}, k1, func(m *dns.Msg) { replaceTXT(m, "boot=1", "boot=2") }, "proof"},
		{"tls changed", [][]byte{k1}, k1, func(m *dns.Msg) { replaceTXT(m, "v=1", "v=1;tls=1") }, "proof"},
		{"version", [][]byte{k1}, k1, func(m *dns.Msg) { replaceTXT(m, "v=1", "v=2") }, "malformed"},
		{"id", [][]byte{k1}, k1, func(m *dns.Msg) { replaceTXT(m, "id=x", "id=y") }, "malformed"},
		{"address", [][]byte{k1}, k1, func(m *dns.Msg) { replaceTXT(m, "a=192", "a=host") }, "malformed"},
		{"tls=2", nil, nil, func(m *dns.Msg) { replaceTXT(m, "v=1", "v=1;tls=2") }, "malformed"},
		{"zone", nil, nil, func(m *dns.Msg) { replaceTXT(m, "a=192.168.1.77", "a=fe80::1%eth0") }, "malformed"},
		{"unspecified", nil, nil, func(m *dns.Msg) { replaceTXT(m, "a=192.168.1.77", "a=0.0.0.0,::") }, "unreachable"},
		{"multicast", nil, nil, func(m *dns.Msg) { replaceTXT(m, "a=192.168.1.77", "a=224.0.0.251") }, "unreachable"},
		{"loopback of another host", nil, nil, func(m *dns.Msg) { replaceTXT(m, "a=192.168.1.77", "a=127.0.0.1,::1") }, "unreachable"},
		{"first of two keys counts", nil, nil, func(m *dns.Msg) { replaceTXT(m, "v=1", "v=1;V=2") }, ""},
		{"name in upper case", nil, nil, func(m *dns.Msg) {
			for _, rr := range m.Answer[1:3] {
				rr.Header().Name = strings.ToUpper(rr.Header().Name)
			}
		}, ""},
		{"no TXT", nil, nil, func(m *dns.Msg) { m.Answer = slices.Delete(m.Answer, 2, 3) }, "incomplete"},
		{"a question in place of an answer", nil, nil, func(m *dns.Msg) { m.Response = false }, "suppressed?"},
		{"opcode", nil, nil, func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, "foreign"},
		{"rcode", nil, nil, func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, "foreign"},
		{"class", nil, nil, func(m *dns.Msg) {
			for _, rr := range m.Answer {
				rr.Header().Class = dns.ClassCHAOS
			}
		}, "foreign"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &lan{}
				a := n.host(nic(2, "eth0", "192.168.1.1/24")).start(t, Config{Keys: tt.ours}, peerNamed("a", 7001))
				synctest.Wait()
				b := packetOf(t, tt.theirs, 120, peerNamed("x", 7009))
				if tt.mangle != nil {
					var m dns.Msg
					if err := m.Unpack(b); err != nil {
						t.Fatal(err)
					}
					tt.mangle(&m)
					var err error
					if b, err = m.Pack(); err != nil {
						t.Fatal(err)
					}
				}
				n.inject("eth0", ipv4Family, stranger, b, nil)
				if tt.counter == "" {
					if r := a.expect(discovery.Joined, "x", "", time.Millisecond); r.Trusted != (len(tt.ours) > 0) {
						t.Fatalf("%+v", r)
					}
					return
				}
				a.quiet(time.Second)
				if !strings.HasSuffix(tt.counter, "?") && a.counter(tt.counter) != 1 {
					t.Fatalf("%s is not counted: %v", tt.counter, a.src.Status().Counters)
				}
			})
		})
	}
}

// replaceTXT changes the TXT record; ";" makes two strings of one.
func replaceTXT(m *dns.Msg, from, to string) {
	txt := m.Answer[2].(*dns.TXT)
	var out []string
	for _, s := range txt.Txt {
		if strings.HasPrefix(s, from) {
			s = to + strings.TrimPrefix(s, from)
		}
		out = append(out, strings.Split(s, ";")...)
	}
	txt.Txt = out
}

func TestOneFamilyFailsTheOtherWorks(t *testing.T) {
	t.Parallel()
	for _, bad := range []family{ipv4Family, ipv6Family} {
		for _, how := range []string{"listen", "send"} {
			t.Run(fmt.Sprintf("%s %s", bad, how), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					n := &lan{}
					ha := n.host(nic(2, "eth0", "192.168.1.1/24", "2001:db8::1/64"))
					hb := n.host(nic(2, "eth0", "192.168.1.2/24", "2001:db8::2/64"))
					errs := ha.sendError
					if how == "listen" {
						errs = ha.listenError
					}
					errs[bad] = errFake
					a := ha.start(t, Config{}, peerNamed("a", 7001))
					synctest.Wait()
					b := hb.start(t, Config{}, peerNamed("b", 7002))
					a.expect(discovery.Joined, "b", "", 200*time.Millisecond)
					b.expect(discovery.Joined, "a", "", 200*time.Millisecond)
					if notes := a.src.Status().Notes; !slices.ContainsFunc(notes, func(s string) bool {
						return strings.Contains(s, bad.String()) && strings.Contains(s, "as told")
					}) || slices.Contains(notes, "no multicast route") {
						t.Errorf("%q", notes)
					}
					a.quiet(10 * time.Minute)
					// It recovers.
					ha.change(func() { delete(errs, bad) })
					time.Sleep(2 * time.Minute)
					if notes := a.src.Status().Notes; slices.ContainsFunc(notes, func(s string) bool { return strings.Contains(s, "as told") }) {
						t.Errorf("%q", notes)
					}
				})
			})
		}
	}
}

func TestInterfaceGoesAndComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{})
		ha := a.host
		served := ha.served
		was := ha.ifaces
		time.Sleep(9600 * time.Millisecond) // a looks at its interfaces 10 s after it started, 100 ms from now

		// Gone when a looks, and back two seconds later: nothing has happened.
		ha.change(func() { ha.ifaces = nil })
		time.Sleep(1500 * time.Millisecond)
		ha.change(func() { ha.ifaces = was })
		a.quiet(30 * time.Second)
		if ha.served != served {
			t.Error("the server was restarted")
		}

		ha.change(func() { ha.ifaces = nil })
		began := time.Now()
		a.expect(discovery.Left, "b", discovery.Interface, 8*time.Second)
		if d := time.Since(began); d < 2*time.Second {
			t.Errorf("believed after %v", d)
		}
		synctest.Wait()
		ha.change(func() {
			if len(ha.sockets)+len(ha.servers) != 0 {
				t.Error("sockets are left open")
			}
		})
		if !slices.Contains(a.src.Status().Notes, "no multicast route") {
			t.Errorf("%q", a.src.Status().Notes)
		}

		// A new card of the same name: sockets of the old one would be deaf.
		ha.change(func() { ha.ifaces = []iface{nic(3, "eth0", "192.168.1.1/24", "fe80::3/64")} })
		a.expect(discovery.Joined, "b", "", 8*time.Second)
		r := b.expect(discovery.Updated, "a", "", time.Second)
		if !slices.Contains(r.Addrs, "[fe80::3%eth0]:7001") {
			t.Errorf("%+v", r)
		}

		// Replaced between two looks.
		ha.change(func() { ha.ifaces = []iface{nic(4, "eth0", "192.168.1.1/24", "fe80::3/64")} })
		time.Sleep(20 * time.Second)
		if len(a.Peers()) != 1 {
			t.Error("b is lost")
		}
		if ha.served < served+2 {
			t.Error("the server was not restarted")
		}
	})
}

// The same card gets another address: nobody leaves, others learn of it, and sockets and server know it.
func TestAddressChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{})
		ha := a.host
		served := ha.served
		ha.change(func() { ha.ifaces = []iface{nic(2, "eth0", "10.0.0.1/8")} })
		if r := b.expect(discovery.Updated, "a", "", 10*time.Second); !slices.Equal(r.Addrs, []string{"10.0.0.1:7001"}) {
			t.Errorf("%v", r.Addrs)
		}
		a.quiet(time.Minute)
		if ha.served != served+1 {
			t.Errorf("%d servers were started", ha.served-served)
		}
		ha.change(func() {
			for _, s := range ha.sockets {
				if s.addr().String() != "10.0.0.1" {
					t.Errorf("a socket of %v", s.iface)
				}
			}
			if len(ha.sockets) != 2 {
				t.Errorf("%d sockets", len(ha.sockets))
			}
		})
	})
}

func TestSeveralInterfaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		ha := n.host(nic(2, "eth0", "192.168.1.1/24", "fe80::1/64"), nic(3, "wlan0", "10.0.0.1/24", "fe80::2/64"), nic(4, "docker0", "172.17.0.1/16"))
		a := ha.start(t, Config{}, peerNamed("a", 7001))
		hb := n.host(nic(2, "eth0", "192.168.1.2/24"), nic(3, "wlan0", "10.0.0.2/24", "fe80::b/64"))
		hb.start(t, Config{}, peerNamed("b", 7002))
		c := n.host(nic(2, "wlan0", "10.0.0.3/24")).start(t, Config{}, peerNamed("c", 7003))
		if names := []string{c.next(time.Millisecond).Record.Name, c.next(time.Millisecond).Record.Name}; !slices.Contains(names, "a") || !slices.Contains(names, "b") {
			t.Errorf("%v", names)
		}
		time.Sleep(5 * time.Second)
		for _, p := range a.Peers() {
			if p.Name == "b" && !slices.Equal(p.Addrs, []string{"192.168.1.2:7002", "10.0.0.2:7002", "[fe80::b%eth0]:7002", "[fe80::b%wlan0]:7002"}) {
				t.Errorf("%v", p.Addrs)
			}
		}
		if !slices.Equal(a.src.Status().Notes, []string{
			"eth0: IPv4: joined", "eth0: IPv6: joined", "wlan0: IPv4: joined", "wlan0: IPv6: joined",
		}) {
			t.Errorf("%q", a.src.Status().Notes)
		}
		// a loses the interface that it shares with c alone, and keeps b.
		drain(a)
		ha.change(func() { ha.ifaces = ha.ifaces[:1] })
		if ev := a.next(10 * time.Second); ev.Kind != discovery.Left || ev.Record.Name != "c" || ev.Reason != discovery.Interface {
			t.Errorf("%v", ev)
		}
		r := a.expect(discovery.Updated, "b", "", time.Second)
		if slices.Contains(r.Addrs, "[fe80::b%wlan0]:7002") {
			t.Errorf("%v", r.Addrs)
		}
	})
}

func drain(n *node) {
	for n.Status().Pending > 0 {
		n.next(time.Second)
	}
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

func TestLoopbackOfThisHostIsDialable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		h := n.host(nic(2, "eth0", "192.168.1.1/24"))
		a := h.start(t, Config{}, peerNamed("a", 7001))
		self := peerNamed("b", 7002)
		self.Addrs = []string{"127.0.0.1"}
		b := n.host(nic(2, "eth0", "192.168.1.1/24")) // the same address: another process of the machine
		b.start(t, Config{}, self)
		if r := a.expect(discovery.Joined, "b", "", time.Second); !slices.Equal(r.Addrs, []string{"127.0.0.1:7002"}) {
			t.Errorf("%v", r.Addrs)
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

// 10,000 forged announcements: the tables hold, the peer that is linked stays, and the real one is found.
func TestForgedAnnouncements(t *testing.T) {
	t.Parallel()
	for _, keyed := range []bool{false, true} {
		t.Run(fmt.Sprintf("keyed=%v", keyed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var cfg Config
				if keyed {
					cfg.Keys = [][]byte{keyOf("1")}
				}
				n := &lan{}
				a := n.host(nic(2, "eth0", "192.168.1.1/24")).start(t, cfg, peerNamed("a", 7001))
				n.host(nic(2, "eth0", "192.168.1.3/24")).start(t, cfg, peerNamed("l", 7003))
				a.expect(discovery.Joined, "l", "", time.Second)
				a.Keep(peerNamed("l", 0).ID, true)
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				for i := range 10_000 {
					p := numbered(i)
					p.Addrs = []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}
					n.inject("eth0", ipv4Family, stranger, packetOf(t, nil, 4500, p), nil)
					if i%200 == 0 {
						synctest.Wait()
						if st := a.Status(); st.Peers > discovery.MaxPeers || st.Pending > 2*discovery.MaxPeers {
							t.Fatalf("%+v", st)
						}
					}
				}
				synctest.Wait()
				runtime.GC()
				runtime.ReadMemStats(&after)
				if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
					t.Errorf("grown by %d bytes", grown)
				}
				n.host(nic(2, "eth0", "192.168.1.2/24")).start(t, cfg, peerNamed("b", 7002))
				time.Sleep(500 * time.Millisecond)
				found := map[string]bool{}
				for _, p := range a.Peers() {
					found[p.Name] = true
				}
				if !found["b"] || !found["l"] {
					t.Errorf("real ones are missing among %d", len(found))
				}
				st := a.src.Status().Counters
				switch {
				case keyed && (st["proof"] < 9000 || len(found) != 2):
					t.Errorf("%d found, %v", len(found), st)
				case !keyed && st["evicted"] < 9000:
					t.Errorf("%v", st)
				}
			})
		})
	}
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

func TestInterfacesCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &lan{}
		h := n.host(nic(2, "eth0", "192.168.1.1/24"))
		h.ifacesError = errors.New("as told")
		a := h.start(t, Config{}, peerNamed("a", 7001))
		<-a.Asked()
		h.change(func() { h.ifacesError = nil })
		time.Sleep(10 * time.Second)
		if len(n.sentBy(h, isAnswer)) == 0 {
			t.Error("did not recover")
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
	if _, err := New(Config{Keys: [][]byte{{1}}}); err == nil {
		t.Error("a short key was taken")
	}
}
