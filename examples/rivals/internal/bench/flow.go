package bench

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"peermesh/examples/rivals/internal/contender"
)

// stalled is how long a sender waits for a chunk to arrive before it gives up.
const stalled = 20 * time.Second

// acks is a connection beside the one that is measured: the receiver says on it which chunks have arrived.
type acks struct {
	l     net.Listener // at the server
	ready chan struct{}
	mu    sync.Mutex
	conn  net.Conn
}

func listenAcks() (*acks, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &acks{l: l, ready: make(chan struct{})}
	go func() {
		if conn, err := l.Accept(); err == nil {
			a.mu.Lock()
			a.conn = conn
			a.mu.Unlock()
			close(a.ready)
		}
	}()
	return a, nil
}

func dialAcks(addr string) (*acks, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	a := &acks{conn: conn, ready: make(chan struct{})}
	close(a.ready)
	return a, nil
}

// confirm says that so many chunks have arrived at all receivers.
func (a *acks) confirm(chunks uint64) {
	<-a.ready
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], chunks)
	_, _ = a.conn.Write(b[:]) // without it the sender notices
}

// wait returns when so many chunks have arrived, or more: confirmations may overtake each other.
func (a *acks) wait(chunks uint64) (uint64, error) {
	<-a.ready
	_ = a.conn.SetReadDeadline(time.Now().Add(stalled))
	for b := [8]byte{}; ; {
		if _, err := io.ReadFull(a.conn, b[:]); err != nil {
			return 0, fmt.Errorf("waiting for chunk %d to arrive: %w", chunks, err)
		}
		if n := binary.BigEndian.Uint64(b[:]); n >= chunks {
			return n, nil
		}
	}
}

func (a *acks) close() {
	if a.l != nil {
		_ = a.l.Close()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conn != nil {
		_ = a.conn.Close()
	}
}

// Tally is what has arrived.
type Tally struct {
	Count int64
	Sum   int64 // of all n
	Wrong int64 // messages whose text is not what was sent
}

// tally counts what arrives, and confirms each chunk that has reached all receivers.
type tally struct {
	chunk, size int64
	confirm     func(chunks uint64)
	receivers   []received
	reached     [16]atomic.Int64 // receivers that have a chunk, by its number; the sender is at most two chunks ahead
}

// received is what one receiver has. It fills a cache line of its own.
type received struct {
	count, sum, wrong atomic.Int64
	_                 [40]byte
}

func newTally(receivers, chunk, size int, confirm func(uint64)) *tally {
	return &tally{chunk: int64(chunk), size: int64(size), confirm: confirm, receivers: make([]received, receivers)}
}

func (t *tally) got(receiver int, e contender.Echo) {
	r := &t.receivers[receiver]
	if int64(len(e.Text)) != t.size {
		r.wrong.Add(1)
	}
	r.sum.Add(int64(e.N))
	n := r.count.Add(1)
	if n%t.chunk != 0 {
		return
	}
	slot := &t.reached[n/t.chunk%int64(len(t.reached))]
	if slot.Add(1) == int64(len(t.receivers)) {
		slot.Store(0)
		t.confirm(uint64(n / t.chunk))
	}
}

func (t *tally) total() (sum Tally) {
	for i := range t.receivers {
		r := &t.receivers[i]
		sum.Count += r.count.Load()
		sum.Sum += r.sum.Load()
		sum.Wrong += r.wrong.Load()
	}
	return sum
}

// flow sends one way. It counts on over several runs.
type flow struct {
	send        func(contender.Echo) error
	acks        *acks
	chunk       int
	text        string
	sent, acked uint64 // chunks
	next        int    // n of the next message
	sum         int64
}

// run sends chunks for as long as d, then waits until all has arrived.
func (f *flow) run(d time.Duration) (messages int64, took time.Duration, err error) {
	begin := time.Now()
	first := f.next
	for time.Since(begin) < d {
		if f.sent-f.acked >= 2 {
			if err := f.await(f.sent - 1); err != nil {
				return 0, 0, err
			}
		}
		for range f.chunk {
			if err := f.send(contender.Echo{Text: f.text, N: f.next}); err != nil {
				return 0, 0, err
			}
			f.sum += int64(f.next)
			f.next++
		}
		f.sent++
	}
	if err := f.await(f.sent); err != nil {
		return 0, 0, err
	}
	return int64(f.next - first), time.Since(begin), nil
}

func (f *flow) await(chunks uint64) (err error) {
	if f.acked < chunks {
		f.acked, err = f.acks.wait(chunks)
	}
	return err
}
