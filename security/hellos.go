package security

import "sync"

// maxHellos is how many first messages are remembered, protocol section 5.
const maxHellos = 4096

// hello is what is remembered of a first message: "the first 16 bytes", which are half of a fresh public key.
type hello [16]byte

// Hellos remembers the first messages of handshakes, so that a repeated one is refused before it has cost any public-key
// work. A peer has one for all its links. When it is full it forgets the oldest: a repeat that comes later still proves
// nothing and opens no session, it only costs what a fresh hello costs.
//
// It is safe for concurrent use.
type Hellos struct {
	mu   sync.Mutex
	seen map[hello]struct{}
	ring []hello // in the order of arrival, from next on once it is full
	next int
}

// NewHellos returns an empty memory. It grows to about 300 KiB.
func NewHellos() *Hellos { return &Hellos{seen: make(map[hello]struct{})} }

// add remembers a first message and reports whether it was new.
func (h *Hellos) add(m hello) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.seen[m]; ok {
		return false
	}
	if len(h.ring) < maxHellos {
		h.ring = append(h.ring, m)
	} else {
		delete(h.seen, h.ring[h.next])
		h.ring[h.next] = m
		h.next = (h.next + 1) % maxHellos
	}
	h.seen[m] = struct{}{}
	return true
}
