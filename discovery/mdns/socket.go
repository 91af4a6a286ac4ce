package mdns

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// writeWait bounds how long a packet waits for room in the socket's buffer.
const writeWait = 200 * time.Millisecond

// udpSocket is the one kind of socket there is; p4 or p6 is set, by family.
type udpSocket struct {
	conn  *net.UDPConn
	p4    *ipv4.PacketConn
	p6    *ipv6.PacketConn
	group *net.UDPAddr
	once  sync.Once
	buf   []byte
}

// listenSocket joins the group on one interface. The standard library shares the port of a multicast address (avahi, the
// hashicorp server and other peers have it too). What the socket is not to hear is settled before it is bound:
// afterwards packets of other interfaces might be in its buffer already.
func listenSocket(i iface, f family) (socket, error) {
	cfg := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return ownGroupsOnly(c, f) }}
	conn, err := cfg.ListenPacket(context.Background(), f.network(), f.group().String())
	if err != nil {
		return nil, err
	}
	s, err := newSocket(conn.(*net.UDPConn), i, f)
	if err != nil {
		return nil, err
	}
	if err := s.join(i); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *udpSocket) join(i iface) error {
	ni := &net.Interface{Index: i.index, Name: i.name}
	if s.p4 != nil {
		return s.p4.JoinGroup(ni, s.group)
	}
	return s.p6.JoinGroup(ni, s.group)
}

func dialSocket(i iface, f family) (socket, error) {
	conn, err := net.ListenUDP(f.network(), nil)
	if err != nil {
		return nil, err
	}
	return newSocket(conn, i, f)
}

func newSocket(conn *net.UDPConn, i iface, f family) (*udpSocket, error) {
	s := &udpSocket{conn: conn, group: f.group(), buf: make([]byte, maxPacket+1)}
	ni := &net.Interface{Index: i.index, Name: i.name}
	var err error
	if f == ipv4Family {
		s.p4 = ipv4.NewPacketConn(conn)
		err = firstError(
			s.p4.SetMulticastInterface(ni),
			s.p4.SetMulticastLoopback(true),
			s.p4.SetMulticastTTL(255), // RFC 6762, 11
		)
		// Not everywhere (Windows) does the system tell how a packet came.
		_ = s.p4.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true)
	} else {
		s.p6 = ipv6.NewPacketConn(conn)
		err = firstError(
			s.p6.SetMulticastInterface(ni),
			s.p6.SetMulticastLoopback(true),
			s.p6.SetMulticastHopLimit(255),
		)
		_ = s.p6.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *udpSocket) read() (packet, error) {
	var (
		p   packet
		n   int
		src net.Addr
		err error
		dst net.IP
	)
	if s.p4 != nil {
		var cm *ipv4.ControlMessage
		if n, cm, src, err = s.p4.ReadFrom(s.buf); cm != nil {
			p.ifindex, dst = cm.IfIndex, cm.Dst
		}
	} else {
		var cm *ipv6.ControlMessage
		if n, cm, src, err = s.p6.ReadFrom(s.buf); cm != nil {
			p.ifindex, dst = cm.IfIndex, cm.Dst
		}
	}
	if err != nil {
		return p, err
	}
	p.data = s.buf[:n]
	p.group = dst == nil || dst.IsMulticast()
	if a, ok := src.(*net.UDPAddr); ok {
		ip, _ := netip.AddrFromSlice(a.IP)
		p.from = netip.AddrPortFrom(ip.Unmap(), uint16(a.Port))
	}
	return p, nil
}

func (s *udpSocket) send(b []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	_, err := s.conn.WriteToUDP(b, s.group)
	return err
}

func (s *udpSocket) close() { s.once.Do(func() { s.conn.Close() }) }
