package mdns

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// maxInterfaces bounds the sockets that are opened: 4 for each interface.
const maxInterfaces = 16

// skipped are the beginnings of names of interfaces that lead nowhere worth looking: the inner networks of container
// and virtual machine hosts, and Apple's peer-to-peer radio.
var skipped = [...]string{"docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "cni", "flannel", "cali", "awdl", "llw", "utun"}

// choose returns the interfaces to use, ordered by name. Named ones are used if they are up and have an address.
// Without names those are used that are up, connected and can multicast, except point-to-point links and inner
// networks; and loopback when there is nothing else, so that peers on one machine meet without any network.
func choose(all []iface, named []string) []iface {
	usable := func(i iface) bool { return i.flags&net.FlagUp != 0 && len(i.addrs) > 0 }
	var out, loopback []iface
	for _, i := range all {
		switch {
		case !usable(i):
		case len(named) > 0:
			if slices.Contains(named, i.name) {
				out = append(out, i)
			}
		case i.flags&net.FlagLoopback != 0:
			loopback = append(loopback, i)
		case i.flags&net.FlagMulticast == 0, i.flags&net.FlagRunning == 0, i.flags&net.FlagPointToPoint != 0:
		case slices.ContainsFunc(skipped[:], func(p string) bool { return strings.HasPrefix(i.name, p) }):
		default:
			out = append(out, i)
		}
	}
	if len(out) == 0 && len(named) == 0 {
		out = loopback
	}
	slices.SortFunc(out, func(a, b iface) int { return strings.Compare(a.name, b.name) })
	return out[:min(len(out), maxInterfaces)]
}

// announceable returns the addresses of interfaces, best first: IPv4, then IPv6, link-local ones last, loopback only
// if there is nothing else.
func announceable(ifaces []iface) []netip.Addr {
	class := func(a netip.Addr) int {
		switch {
		case a.IsLinkLocalUnicast() && a.Is4():
			return 2
		case a.IsLinkLocalUnicast():
			return 3
		case a.Is4():
			return 0
		}
		return 1
	}
	var out, loopback []netip.Addr
	for _, i := range ifaces {
		for _, p := range i.addrs {
			a := p.Addr()
			switch {
			case a.IsUnspecified() || a.IsMulticast() || slices.Contains(out, a):
			case a.IsLoopback():
				loopback = append(loopback, a)
			default:
				out = append(out, a)
			}
		}
	}
	if len(out) == 0 {
		out = loopback
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return class(a) - class(b) })
	return out
}

// onLink reports whether somebody with this address can be a neighbour on the interface.
func (i iface) onLink(a netip.Addr) bool {
	if a.IsLinkLocalUnicast() || a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	return slices.ContainsFunc(i.addrs, func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) })
}

// watch decides which changes of the interfaces are believed: those that were there for a while. A cable that is
// pulled and put back, or a radio that changes its access point, disturbs nobody.
type watch struct {
	damp    time.Duration
	current map[string]iface // by name
	pending map[string]change
}

// change is what an interface looks like now, and since when; without an index it is gone.
type change struct {
	to    iface
	since time.Time
}

func newWatch(damp time.Duration) *watch {
	return &watch{damp: damp, current: make(map[string]iface), pending: make(map[string]change)}
}

// look takes the interfaces as they are, and reports whether those in current are others than before. The first look
// is believed at once.
func (w *watch) look(now time.Time, ifaces []iface, first bool) bool {
	seen := make(map[string]iface, len(ifaces))
	for _, i := range ifaces {
		seen[i.name] = i
	}
	for name := range w.current {
		if _, ok := seen[name]; !ok {
			seen[name] = iface{name: name}
		}
	}
	for name := range w.pending {
		if _, ok := seen[name]; !ok {
			delete(w.pending, name) // it came and went
		}
	}
	changed := false
	for name, i := range seen {
		if cur, ok := w.current[name]; ok && cur.equal(i) {
			delete(w.pending, name)
			continue
		}
		p, ok := w.pending[name]
		if !ok || !p.to.equal(i) {
			p = change{i, now}
			w.pending[name] = p
		}
		if first || now.Sub(p.since) >= w.damp {
			delete(w.pending, name)
			if i.index == 0 {
				delete(w.current, name)
			} else {
				w.current[name] = i
			}
			changed = true
		}
	}
	return changed
}

// list returns the interfaces that are believed.
func (w *watch) list() []iface {
	out := make([]iface, 0, len(w.current))
	for _, i := range w.current {
		out = append(out, i)
	}
	return out
}

// next is when to look again: after every, or sooner if a change is waiting.
func (w *watch) next(last time.Time, every time.Duration) time.Time {
	t := last.Add(every)
	for _, p := range w.pending {
		t = sooner(t, p.since.Add(w.damp))
	}
	return t
}
