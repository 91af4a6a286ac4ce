package mdns

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroupsOnly makes a socket hear only the groups that it joined itself, on the interface where it did. By default
// Linux delivers to each socket of the port what any socket of the machine has joined.
func ownGroupsOnly(c syscall.RawConn, f family) error {
	return c.Control(func(fd uintptr) {
		// An old kernel that refuses costs nothing: packets from other interfaces are told by their control message.
		if f == ipv4Family {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
		} else {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
		}
	})
}

// serveOn chooses the interfaces that a hashicorp server is started for. For the same reason one that has a socket in
// each family hears the queries of all interfaces that our own sockets have joined on; a second one would answer each
// of them once more.
func serveOn(all []iface) []iface {
	for _, i := range all {
		if i.has(ipv4Family) && i.has(ipv6Family) {
			return []iface{i}
		}
	}
	var out []iface
	for _, f := range []family{ipv4Family, ipv6Family} {
		for _, i := range all {
			if i.has(f) {
				out = append(out, i)
				break
			}
		}
	}
	return out
}
