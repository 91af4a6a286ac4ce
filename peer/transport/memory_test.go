package transport_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"peermesh/peer/transport"
)

// memory is a network of one listener, in memory: connections come from wherever a test says, and time can be faked.
type memory struct {
	addr  *net.TCPAddr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newMemory(addr string) *memory {
	return &memory{addr: tcpAddr(addr), conns: make(chan net.Conn, 256), done: make(chan struct{})}
}

func tcpAddr(s string) *net.TCPAddr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func (m *memory) Listen(string) (net.Listener, error) { return m, nil }

func (m *memory) Dial(context.Context, string) (net.Conn, error) {
	return m.from("10.0.0.9:1"), nil
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.done) })
	for {
		select {
		case c := <-m.conns:
			_ = c.Close()
		default:
			return nil
		}
	}
}

func (m *memory) Addr() net.Addr { return m.addr }

// from connects from an address.
func (m *memory) from(remote string) net.Conn {
	mine, theirs := net.Pipe()
	m.conns <- &addressed{theirs, m.addr, tcpAddr(remote)}
	return mine
}

type addressed struct {
	net.Conn
	local, remote net.Addr
}

func (a *addressed) LocalAddr() net.Addr  { return a.local }
func (a *addressed) RemoteAddr() net.Addr { return a.remote }

// listenMemory listens in memory. The listener is closed at the end of the test, or by the returned function.
func listenMemory(t *testing.T, local string, change func(*transport.ListenConfig)) (*memory, *transport.Listener) {
	t.Helper()
	m := newMemory(local)
	cfg := transport.ListenConfig{Network: m}
	if change != nil {
		change(&cfg)
	}
	return m, listen(t, "tcp://"+local, cfg)
}

// refusals are the reasons of what a listener refuses, in order.
type refusals chan string

func newRefusals() refusals { return make(refusals, 1000) }

func (r refusals) note(reason, _ string) { r <- reason }

// next waits for a refusal.
func (r refusals) next() string {
	select {
	case reason := <-r:
		return reason
	case <-time.After(10 * time.Second):
		return "nothing"
	}
}
