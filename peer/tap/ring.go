// Package tap is what an inspector sees of a peer: a bounded ring of what it sent, received, refused and dropped; the
// pairing of requests with their replies; and the record format that peerctl prints and saves.
//
// A Ring never slows the peer down: adding to it takes a short lock and copies the frame, and when it is full the
// oldest events give way. A follower that is too slow is told how many it missed. A peer without a Ring pays nothing.
package tap

import (
	"context"
	"iter"
	"sync"
	"time"
)

// Kind says what an Event is about.
type Kind uint8

// The kinds of events.
const (
	Sent     Kind = iota // a message was queued for its receivers
	Received             // a message came in and was accepted
	Reply                // an answer to a call of ours came in
	Failed               // a call of ours ended without an answer
	Refused              // a message came in and was not accepted
	Dropped              // a message was lost for want of room
	Unheard              // a notification came in that nobody handles
	Change               // a peer joined, left, …
)

// Event is one thing that happened at a peer. Frame and the lists are not written to after the event was added.
type Event struct {
	N       uint64 // number, from 1, without gaps
	Time    time.Time
	Kind    Kind
	From    string        // the sender's name
	To      []string      // the receivers' names
	ToAll   bool          // it was a broadcast
	Frame   []byte        // the message as JSON text, without its security info
	Via     string        // tcp, ws, http, stdio or pipe
	Alg     string        // S-HS256 in a session, HS256, or none
	Sealed  bool          // unreadable on the way
	User    string        // the name in the signature
	OK      bool          // the signature, where there is one, was good, and none was missing
	Method  string        // of Reply and Failed: what was called
	ID      uint64        // of Failed: the id of the call
	RTT     time.Duration // of Reply and Failed: from the call to its end
	Handler time.Duration // of a sent answer: how long the handler ran
	Change  string        // of Change: joined, updated, suspect, back, left, refused
	Reason  string        // of Change, Refused and Dropped
	Code    int           // of Refused: the error code
	Address string        // of Change
	APIs    []string      // of Change: what the peer binds, as "lab.camera 1.2.0"
}

// Ring holds the newest events, at most so many and so many bytes of frames. It is safe for concurrent use.
type Ring struct {
	mu       sync.Mutex
	events   []Event // those from first on
	first    uint64  // number of events[0]
	bytes    int
	max      int
	maxBytes int
	changed  chan struct{}
	closed   bool
}

// The default bounds of a Ring.
const (
	DefaultEvents = 4096
	DefaultBytes  = 8 << 20
)

// NewRing makes a Ring of at most events events and bytes bytes of frames; zero means the default.
func NewRing(events, bytes int) *Ring {
	if events <= 0 {
		events = DefaultEvents
	}
	if bytes <= 0 {
		bytes = DefaultBytes
	}
	return &Ring{first: 1, max: events, maxBytes: bytes, changed: make(chan struct{})}
}

// Add appends an event and gives it its number. The ring keeps e's frame.
func (r *Ring) Add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	e.N = r.first + uint64(len(r.events))
	r.events = append(r.events, e)
	r.bytes += len(e.Frame)
	drop := 0
	for len(r.events)-drop > r.max || r.bytes > r.maxBytes && len(r.events)-drop > 1 {
		r.bytes -= len(r.events[drop].Frame)
		r.events[drop] = Event{}
		drop++
	}
	r.events = r.events[drop:]
	r.first += uint64(drop)
	close(r.changed)
	r.changed = make(chan struct{})
}

// Close ends what follows the ring, once it has seen what is in it.
func (r *Ring) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		close(r.changed)
	}
}

// Next returns the number that the next event will have.
func (r *Ring) Next() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first + uint64(len(r.events))
}

// Follow yields the events from the given number on (0: from the next one on, 1: from the oldest that is kept), and
// waits for more until ctx ends or the ring is closed. With each event comes how many were dropped before it because
// the receiver was too slow.
func (r *Ring) Follow(ctx context.Context, from uint64) iter.Seq2[Event, uint64] {
	return func(yield func(Event, uint64) bool) {
		if from == 0 {
			from = r.Next()
		}
		for started := false; ; started = true {
			r.mu.Lock()
			var missed uint64
			if from < r.first {
				if started {
					missed = r.first - from
				}
				from = r.first
			}
			batch := append([]Event(nil), r.events[min(from-r.first, uint64(len(r.events))):]...)
			changed, closed := r.changed, r.closed
			r.mu.Unlock()
			for _, e := range batch {
				if !yield(e, missed) {
					return
				}
				missed = 0
				from = e.N + 1
			}
			if closed {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}
