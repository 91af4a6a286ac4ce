package transport

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Slots bounds how many accepted connections there are that have proven nothing yet: 64 in all and 8 for one address
// (of IPv6, for one /64); for the addresses of this machine, 64. When all are taken, further connections wait
// unaccepted; a connection above the bound of its own address is closed. It is safe for concurrent use.
type Slots struct {
	free    chan struct{}
	perAddr int
	refused atomic.Uint64

	mu   sync.Mutex
	used map[netip.Prefix]int
}

// The default bounds of Slots.
const (
	MaxNew        = 64
	MaxNewPerAddr = 8
)

// NewSlots makes Slots with places for total connections, perAddr of one address.
func NewSlots(total, perAddr int) *Slots {
	return &Slots{free: make(chan struct{}, total), perAddr: perAddr, used: map[netip.Prefix]int{}}
}

// Refused returns how many connections were closed because their address had too many.
func (s *Slots) Refused() uint64 { return s.refused.Load() }

// acquire takes a place in all, before a connection is accepted.
func (s *Slots) acquire(ctx context.Context) error {
	select {
	case s.free <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Slots) release() { <-s.free }

// admit counts an accepted connection towards its address. It returns what gives the place back, or nil when the
// address has too many.
func (s *Slots) admit(remote net.Addr) func() {
	addr := addrOf(remote)
	if !addr.IsValid() || addr.IsLoopback() {
		return sync.OnceFunc(s.release)
	}
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // the number of bits is one that the address has
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[prefix] >= s.perAddr {
		s.refused.Add(1)
		return nil
	}
	s.used[prefix]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		if s.used[prefix]--; s.used[prefix] == 0 {
			delete(s.used, prefix)
		}
		s.mu.Unlock()
		s.release()
	})
}
