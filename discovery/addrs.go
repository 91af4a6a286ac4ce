package discovery

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// subnetsAge is how long the list of our own subnets is used before it is read again.
const subnetsAge = 5 * time.Second

// rank is the order in which addresses are worth dialling: this machine, our own subnets, the rest of the network,
// and last link-local addresses, whose zone may be the wrong one on a host with several interfaces.
func rank(addr string, own []netip.Prefix) int {
	if _, rest, ok := strings.Cut(addr, "://"); ok {
		addr, _, _ = strings.Cut(rest, "/")
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 2 // a host name
	}
	ip := ap.Addr().Unmap()
	switch {
	case ip.IsLoopback():
		return 0
	case ip.IsLinkLocalUnicast():
		return 3
	}
	for _, p := range own {
		if p.Contains(ip) {
			return 1
		}
	}
	return 2
}

// rankAddrs returns addrs without repetitions, best first, otherwise in the order given, at most MaxAddrs of them.
func rankAddrs(addrs []string, own []netip.Prefix) []string {
	out := make([]string, 0, len(addrs))
	for _, a := range addrs {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return rank(a, own) - rank(b, own) })
	if len(out) > MaxAddrs {
		out = out[:MaxAddrs]
	}
	return out
}

// interfaceSubnets are the subnets that this machine has an address in.
func interfaceSubnets() []netip.Prefix {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil // ranking is a preference: without it addresses stay in the order given
	}
	var out []netip.Prefix
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		ones, bits := n.Mask.Size()
		if ip = ip.Unmap(); !ok || bits != ip.BitLen() {
			continue
		}
		out = append(out, netip.PrefixFrom(ip, ones).Masked())
	}
	return out
}
