package security

import (
	"crypto/sha256"
	"hash/maphash"
	"sync"
	"time"
)

// Bounds of the memory against replays, protocol section 3.1 step 5.
const (
	generation    = 120 * time.Second
	maxNonces     = 1 << 20
	maxNoncesEach = 1 << 18 // for one (kid, user)
)

// nonceCache remembers which messages were accepted. A message is acceptable for at most 2*Window after it was first
// accepted (it may be signed Window ahead of our clock), which is one generation; with two of them each is remembered
// for one generation at least, two at most. Nothing is forgotten earlier: when it is full, messages are refused.
//
// Generations follow the monotonic clock, where the times given have one.
type nonceCache struct {
	mu        sync.Mutex
	started   time.Time // of the young generation; zero: nothing was added yet
	young     nonces
	old       nonces
	seed      maphash.Seed
	max, each int // zero: the protocol's bounds; tests set smaller ones
}

// nonces is one generation.
type nonces struct {
	seen map[[16]byte]struct{}
	// of counts by sender, under a keyed hash of it: two senders that collide share their bound, and nobody can make
	// them collide.
	of map[uint64]int32
}

// add remembers a nonce of 32 hexadecimal digits. It reports whether it was there already and, when there is no room
// for it, how long to wait for room: until the old generation is forgotten.
func (c *nonceCache) add(now time.Time, kid, user string, nonce []byte) (seen bool, retry time.Duration) {
	var buf [8 + 1 + 256]byte
	// Neither a kid nor a name holds a NUL.
	b := append(buf[:0], kid...)
	b = append(b, 0)
	b = append(b, user...)
	sender := len(b)
	b = append(b, 0)
	b = append(b, nonce...)
	sum := sha256.Sum256(b)
	key := [16]byte(sum[:16])

	c.mu.Lock()
	defer c.mu.Unlock()
	c.rotateLocked(now)
	if _, ok := c.young.seen[key]; ok {
		return true, 0
	}
	if _, ok := c.old.seen[key]; ok {
		return true, 0
	}
	who := maphash.Bytes(c.seed, b[:sender])
	if len(c.young.seen)+len(c.old.seen) >= c.max || int(c.young.of[who]+c.old.of[who]) >= c.each {
		return false, max(generation-now.Sub(c.started), time.Millisecond)
	}
	c.young.seen[key] = struct{}{}
	c.young.of[who]++
	return false, 0
}

func (c *nonceCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young.seen) + len(c.old.seen)
}

// rotateLocked makes the young generation the old one when its time has come. The caller must hold mu.
func (c *nonceCache) rotateLocked(now time.Time) {
	if c.started.IsZero() {
		c.seed = maphash.MakeSeed()
		if c.max == 0 {
			c.max, c.each = maxNonces, maxNoncesEach
		}
		c.young, c.old = c.young.next(), c.old.next()
		c.started = now
		return
	}
	age := now.Sub(c.started)
	if age < generation {
		return
	}
	c.old, c.young = c.young, c.old.next()
	if age >= 2*generation {
		c.old = c.old.next()
	}
	c.started = now
}

// next returns an empty generation: n's own memory when that is small, else new memory, so that a burst does not stay.
func (n nonces) next() nonces {
	if n.seen == nil || len(n.seen) > 1<<14 || len(n.of) > 1<<10 {
		return nonces{seen: make(map[[16]byte]struct{}), of: make(map[uint64]int32)}
	}
	clear(n.seen)
	clear(n.of)
	return n
}
