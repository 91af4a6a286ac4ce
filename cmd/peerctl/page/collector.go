package page

import (
	"sync"

	"peermesh/peer/tap"
)

// What a collector keeps at most.
const (
	maxRecords = 10_000
	maxBytes   = 64 << 20
	overhead   = 512 // of a record without what it carries, in memory, about
)

// kept is a record with its number in the collector.
type kept struct {
	seq  uint64
	size int
	rec  *tap.Record
}

// collector keeps the newest records.
type collector struct {
	mu    sync.Mutex
	ring  []kept // of maxRecords
	first uint64 // number of the oldest one; numbers begin with 1
	next  uint64
	bytes int
	lost  uint64        // before they came here
	wake  chan struct{} // closed when there is more
}

func newCollector() *collector {
	return &collector{ring: make([]kept, maxRecords), first: 1, next: 1, wake: make(chan struct{})}
}

func sizeOf(r *tap.Record) int {
	n := overhead + len(r.Params) + len(r.Result) + len(r.Data) + len(r.ID) + len(r.Message) + len(r.Text)
	for _, name := range r.To {
		n += 16 + len(name)
	}
	return n
}

// add keeps a record, which must not change any more.
func (c *collector) add(r *tap.Record) {
	size := sizeOf(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost += r.Dropped
	for c.first < c.next && (c.next-c.first == maxRecords || c.bytes+size > maxBytes) {
		oldest := &c.ring[c.first%maxRecords]
		c.bytes -= oldest.size
		*oldest = kept{}
		c.first++
	}
	c.ring[c.next%maxRecords] = kept{c.next, size, r}
	c.bytes += size
	c.next++
	close(c.wake)
	c.wake = make(chan struct{})
}

// after returns up to n records that follow number seq, into buf, and how many are missing in between. What it returns
// is shared and must not be changed. wake is closed when there is more than that.
func (c *collector) after(seq uint64, n int, buf []kept) (found []kept, missing uint64, wake <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := seq + 1
	if at > c.next {
		at = c.next // of a number that was never given out
	}
	if at < c.first {
		missing, at = c.first-at, c.first
	}
	found = buf[:0]
	for ; at < c.next && len(found) < n; at++ {
		found = append(found, c.ring[at%maxRecords])
	}
	return found, missing, c.wake
}

// get returns a record by its number; nil when it is gone.
func (c *collector) get(seq uint64) *tap.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq < c.first || seq >= c.next {
		return nil
	}
	return c.ring[seq%maxRecords].rec
}

// held tells how much is kept.
func (c *collector) held() (records, bytes int, lost uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.next - c.first), c.bytes, c.lost
}
