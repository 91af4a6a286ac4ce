package tap

import (
	"context"
	"sync"
	"time"

	"peermesh/api"
)

// Kind says what an Event is about.
type Kind uint8

// The kinds of events.
const (
	Sent     Kind = iota // a message was written
	Received             // a message came in and was accepted
	Handled              // the handlers of a notification have run
	Failed               // a call of ours ended without an answer
	Refused              // something came in and was not accepted
	Dropped              // a message was lost for want of room
	Unheard              // a message came in that was not handled: its method, its params, its direction, or who sent it
	Change               // a peer joined, left, …
)

// Event is one thing that happened at a peer, as the Ring keeps it. Times are Unix nanoseconds of the peer's own clock.
type Event struct {
	N      uint64 // number, from 1, without gaps
	Kind   Kind
	At     int64     // when it was written, read, refused, …
	Queued int64     // of Sent: when it was queued; 0: unknown
	Start  int64     // of a sent answer and of Handled: when the first handler began; 0: no handler ran
	End    int64     // likewise: when the last one ended
	Other  *api.Info // the other end of the link, as it was then
	Seq    uint64    // in a session, of Sent and Received: the number of the frame in its direction
	Group  uint64    // of Sent: what the messages of one broadcast have in common; 0: of none
	Again  uint64    // of a sent request: the id of the one that it repeats; 0: none
	Size   int       // of the message
	ID     uint64    // of Failed: of the call
	Code   int       // of Refused and Unheard: the error code
	Method string    // of all but Sent and Received, where it is known
	What   string    // of Change: joined, updated, suspect, back, left, refused, enrolled
	Reason string    // of Change, Refused, Dropped, Failed, Unheard

	off, len uint64 // of the text in the arena; off counts all bytes that were ever put there
}

// Ring holds the newest events and the texts of their messages. Adding to it takes a short lock and copies the text; it
// allocates nothing, and what is old gives way. It is safe for concurrent use.
type Ring struct {
	mu        sync.Mutex
	slots     []Event
	next      uint64 // number of the next event
	arena     []byte
	written   uint64 // bytes of the arena that were ever used
	followers []*Follower
	closed    bool
}

// The bounds of a Ring: how many events it keeps, how many bytes of messages, and how many of one message.
const (
	Events  = 4096
	Bytes   = 8 << 20
	MaxText = 1 << 20
)

// NewRing makes a Ring. It takes 9 MiB.
func NewRing() *Ring { return &Ring{slots: make([]Event, Events), next: 1, arena: make([]byte, Bytes)} }

// Add appends an event, gives it its number, and copies text, the message it is about.
func (r *Ring) Add(e Event, text []byte) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	e.N, e.Size = r.next, len(text)
	if len(text) > 0 {
		text = text[:min(len(text), MaxText)]
		size := uint64(len(r.arena))
		if at := r.written % size; at+uint64(len(text)) > size {
			r.written += size - at // it would not fit before the end: a text is in one piece
		}
		e.off, e.len = r.written, uint64(len(text))
		copy(r.arena[e.off%size:], text)
		r.written += e.len
	}
	r.slots[e.N%Events] = e
	r.next++
	for _, f := range r.followers {
		if f.waits {
			f.waits = false
			f.wake <- struct{}{} // it has room: it is empty while somebody waits
		}
	}
	r.mu.Unlock()
}

// Close ends what follows the ring, once it has seen what is in it.
func (r *Ring) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, f := range r.followers {
		if f.waits {
			f.waits = false
			f.wake <- struct{}{}
		}
	}
}

// Follower reads a Ring. It is for one goroutine.
type Follower struct {
	ring  *Ring
	from  uint64 // number of the event to be read next
	wake  chan struct{}
	waits bool // guarded by the ring's lock
	texts []byte
}

// Follow begins with the next event, or, if old, with the oldest that is kept. Close the Follower when done.
func (r *Ring) Follow(old bool) *Follower {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &Follower{ring: r, from: r.next, wake: make(chan struct{}, 1)}
	if old {
		f.from = r.firstLocked()
	}
	r.followers = append(r.followers, f)
	return f
}

func (r *Ring) firstLocked() uint64 {
	if r.next > Events {
		return r.next - Events
	}
	return 1
}

// Close ends the reading.
func (f *Follower) Close() {
	f.ring.mu.Lock()
	defer f.ring.mu.Unlock()
	for i, o := range f.ring.followers {
		if o == f {
			f.ring.followers = append(f.ring.followers[:i], f.ring.followers[i+1:]...)
			return
		}
	}
}

// Wait waits until there is something to read. It reports false when ctx has ended, or the ring was closed and read.
func (f *Follower) Wait(ctx context.Context) bool {
	r := f.ring
	r.mu.Lock()
	if f.from < r.next || r.closed {
		defer r.mu.Unlock()
		return f.from < r.next
	}
	f.waits = true
	r.mu.Unlock()
	select {
	case <-f.wake:
		return f.Wait(ctx)
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		if !f.waits {
			<-f.wake
		}
		f.waits = false
		return false
	}
}

// Read appends up to limit events to events, each with its text in texts, and returns how many were missed before them
// because this reader was too slow. Texts that were overwritten since are nil. They are valid until the next Read.
func (f *Follower) Read(events []Event, texts [][]byte, limit int) ([]Event, [][]byte, uint64) {
	r := f.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	var missed uint64
	if first := r.firstLocked(); f.from < first {
		missed, f.from = first-f.from, first
	}
	f.texts = f.texts[:0]
	size := uint64(len(r.arena))
	room := uint64(0)
	for n := f.from; n < r.next && n < f.from+uint64(limit); n++ {
		room += r.slots[n%Events].len
	}
	if uint64(cap(f.texts)) < room {
		f.texts = make([]byte, 0, room) // so that it does not move while texts are taken from it
	}
	for ; f.from < r.next && limit > 0; limit-- {
		e := r.slots[f.from%Events]
		var text []byte
		if e.len > 0 && r.written-e.off <= size {
			at := len(f.texts)
			f.texts = append(f.texts, r.arena[e.off%size:e.off%size+e.len]...)
			text = f.texts[at:len(f.texts):len(f.texts)]
		}
		events, texts = append(events, e), append(texts, text)
		f.from++
	}
	return events, texts, missed
}

// Now returns the time as events have it.
func Now() int64 { return time.Now().UnixNano() }
