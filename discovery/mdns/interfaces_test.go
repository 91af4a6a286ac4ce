package mdns

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/discovery"
)

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
		left, updated := a.next(10*time.Second), a.next(time.Second)
		if left.Kind != discovery.Left {
			left, updated = updated, left // of two that happen at one moment either may be told first
		}
		if left.Kind != discovery.Left || left.Record.Name != "c" || left.Reason != discovery.Interface {
			t.Errorf("%v", left)
		}
		if updated.Kind != discovery.Updated || updated.Record.Name != "b" || slices.Contains(updated.Record.Addrs, "[fe80::b%wlan0]:7002") {
			t.Errorf("%v", updated)
		}
	})
}

func drain(n *node) {
	for n.Status().Pending > 0 {
		n.next(time.Second)
	}
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
