package mdns

import (
	"io"
	"log"
	"net"
	"net/netip"
	"slices"

	hashicorp "github.com/hashicorp/mdns"
)

// family is an IP version. Whatever happens to one of them is kept away from the other: each has its own sockets,
// and an error there is counted, noted, and tried again.
type family int

const (
	ipv4Family family = 4
	ipv6Family family = 6
)

func (f family) String() string {
	if f == ipv4Family {
		return "IPv4"
	}
	return "IPv6"
}

func (f family) network() string {
	if f == ipv4Family {
		return "udp4"
	}
	return "udp6"
}

// group is where mDNS is spoken.
func (f family) group() *net.UDPAddr {
	if f == ipv4Family {
		return &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: mdnsPort}
	}
	return &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: mdnsPort}
}

const mdnsPort = 5353

// iface is a network interface as it was when it was looked at.
type iface struct {
	index int
	name  string
	flags net.Flags
	addrs []netip.Prefix // with the bits of the subnet, not masked
}

func (i iface) equal(o iface) bool {
	return i.index == o.index && i.name == o.name && i.flags == o.flags && slices.Equal(i.addrs, o.addrs)
}

// has reports whether the interface has an address of the family.
func (i iface) has(f family) bool {
	return slices.ContainsFunc(i.addrs, func(p netip.Prefix) bool { return p.Addr().Is4() == (f == ipv4Family) })
}

// speaks reports whether the family is to be used on the interface. IPv6 multicast over loopback works on no system
// that we know of; IPv4 does.
func (i iface) speaks(f family) bool {
	return i.has(f) && (f == ipv4Family || i.flags&net.FlagLoopback == 0)
}

// packet is one that was received.
type packet struct {
	data    []byte
	from    netip.AddrPort
	group   bool // it was sent to the group, not to us alone
	ifindex int  // it arrived by; 0 where the system does not tell
}

// socket is one for one interface and family.
type socket interface {
	// read waits for a packet. Its data is good until the next call. It fails after close.
	read() (packet, error)
	// send sends to the group, by the socket's interface.
	send(b []byte) error
	close()
}

// network is what a source needs of the machine.
type network interface {
	// interfaces returns all there are.
	interfaces() ([]iface, error)
	// listen opens a socket on port 5353 that has joined the group.
	listen(i iface, f family) (socket, error)
	// dial opens a socket on a port of its own. Answers to what it sends come to it alone (RFC 6762, 6.7).
	dial(i iface, f family) (socket, error)
	// serve starts a hashicorp server.
	serve(i iface, z hashicorp.Zone) (server, error)
}

type server interface{ Shutdown() error }

// system is the machine's network.
type system struct{}

func (system) interfaces() ([]iface, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	out := make([]iface, 0, len(list))
	for _, n := range list {
		i := iface{index: n.Index, name: n.Name, flags: n.Flags}
		addrs, err := n.Addrs()
		if err != nil {
			continue // it went away since
		}
		for _, a := range addrs {
			if p, ok := prefixOf(a); ok {
				i.addrs = append(i.addrs, p)
			}
		}
		out = append(out, i)
	}
	return out, nil
}

func prefixOf(a net.Addr) (netip.Prefix, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	ip = ip.Unmap()
	ones, bits := n.Mask.Size()
	return netip.PrefixFrom(ip, ones), ok && bits == ip.BitLen()
}

func (system) listen(i iface, f family) (socket, error) { return listenSocket(i, f) }

func (system) dial(i iface, f family) (socket, error) { return dialSocket(i, f) }

// serve starts a server. The library opens both families and says nothing when one of them fails; for what goes to
// everybody we do not depend on it. Its logger is discarded: it writes a line for each packet that it dislikes. Its
// goroutines end when their sockets are closed by Shutdown, which does not wait for them.
func (system) serve(i iface, z hashicorp.Zone) (server, error) {
	return hashicorp.NewServer(&hashicorp.Config{
		Zone:   z,
		Iface:  &net.Interface{Index: i.index, Name: i.name, Flags: i.flags},
		Logger: log.New(io.Discard, "", 0),
	})
}
