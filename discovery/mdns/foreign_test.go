package mdns

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"peermesh/discovery"
)

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
				a := n.host(nic(2, "eth0", "192.168.1.1/24")).start(t, Config{Keys: discovery.FixedKeys(tt.ours...)}, peerNamed("a", 7001))
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

// 10,000 forged announcements: the tables hold, the peer that is linked stays, and the real one is found.
func TestForgedAnnouncements(t *testing.T) {
	t.Parallel()
	for _, keyed := range []bool{false, true} {
		t.Run(fmt.Sprintf("keyed=%v", keyed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var cfg Config
				if keyed {
					cfg.Keys = discovery.FixedKeys(keyOf("1"))
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
