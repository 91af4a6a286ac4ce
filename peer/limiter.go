package peer

import (
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter bounds how often something happens for each address.
type limiter struct {
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	every   rate.Limit
	burst   int
}

const maxBuckets = 4096

func newLimiter(every rate.Limit, burst int) *limiter {
	return &limiter{buckets: map[string]*rate.Limiter{}, every: every, burst: burst}
}

// allow takes one from the bucket of an address, of which the port does not count.
func (l *limiter) allow(addr string, now time.Time) bool {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		addr = host
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[addr]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.sweepLocked(now)
		}
		b = rate.NewLimiter(l.every, l.burst)
		l.buckets[addr] = b
	}
	return b.AllowN(now, 1)
}

// sweepLocked forgets the addresses whose buckets are full again; if there are none, all of them.
func (l *limiter) sweepLocked(now time.Time) {
	for addr, b := range l.buckets {
		if b.TokensAt(now) >= float64(l.burst) {
			delete(l.buckets, addr)
		}
	}
	if len(l.buckets) >= maxBuckets {
		clear(l.buckets)
	}
}
