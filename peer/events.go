package peer

import (
	"context"
	"iter"
	"sync"

	"peermesh/api"
)

// EventKind says what happened to a peer.
type EventKind string

// The kinds of events.
const (
	Joined   EventKind = "joined"   // linked, and its APIs are known
	Updated  EventKind = "updated"  // its APIs or its link changed
	Suspect  EventKind = "suspect"  // silent for 10 s; it is still sent to
	Back     EventKind = "back"     // it answers again
	Left     EventKind = "left"     // its link is gone; Reason says why
	Refused  EventKind = "refused"  // it did not accept us, or we not it; it was never a member
	Enrolled EventKind = "enrolled" // it has got the mesh's keys for an invite of ours; it is no member yet
)

// Event is one change of the membership.
type Event struct {
	Kind   EventKind
	Peer   *api.Info
	Reason string // of Left: bye, lost, silent, refused, restarted, revoked; of Refused: what is wrong
	Err    error  // the cause, where there is one
	Missed int    // events that were dropped before this one because the receiver was slow
}

// maxEvents is how many events wait for one receiver.
const maxEvents = 1024

// subscribers hands events to whoever wants them. Nobody who is slow holds up anybody: the oldest events give way.
type subscribers struct {
	mu   sync.Mutex
	list map[*subscriber]struct{}
}

type subscriber struct {
	events []Event
	missed int
	wake   chan struct{}
}

// Events yields what happens to the membership, from the call on, until ctx ends or the peer is closed. It begins with a
// Joined for each peer that is linked already, and a Refused for each that does not let us in. A receiver that falls
// behind by 1,024 events loses the oldest; the next one says how many. Any number of receivers may be active; each
// sequence is for one loop.
func (p *Peer) Events(ctx context.Context) iter.Seq[Event] {
	s, present := p.subscribe()
	leave := func() {
		p.events.mu.Lock()
		delete(p.events.list, s)
		p.events.mu.Unlock()
	}
	stop := context.AfterFunc(ctx, leave) // nobody need ever begin the loop
	return func(yield func(Event) bool) {
		defer func() {
			if stop() {
				leave()
			}
		}()
		for {
			for _, e := range present {
				if !yield(e) {
					return
				}
			}
			select {
			case <-s.wake:
			case <-ctx.Done():
				return
			case <-p.closed:
				select {
				case <-s.wake: // what happened last
				default:
					return
				}
			}
			p.events.mu.Lock()
			present, s.events = s.events, nil
			if s.missed > 0 && len(present) > 0 {
				present[0].Missed, s.missed = s.missed, 0
			}
			p.events.mu.Unlock()
		}
	}
}

// subscribe enters a subscriber, and returns what it would have been told before.
func (p *Peer) subscribe() (*subscriber, []Event) {
	s := &subscriber{wake: make(chan struct{}, 1)}
	p.mu.Lock() // so that nobody joins between the two
	defer p.mu.Unlock()
	p.events.mu.Lock()
	if p.events.list == nil {
		p.events.list = map[*subscriber]struct{}{}
	}
	p.events.list[s] = struct{}{}
	p.events.mu.Unlock()
	var present []Event
	for _, l := range *p.members.Load() {
		present = append(present, Event{Kind: Joined, Peer: p.show(l)})
	}
	for _, t := range p.targets {
		if t.refused != nil && !t.linkedLocked() {
			present = append(present, *t.refused)
		}
	}
	return s, present
}

// emit hands an event to all receivers; it does not block.
func (p *Peer) emit(e Event) {
	p.tapEvent(e)
	p.events.mu.Lock()
	defer p.events.mu.Unlock()
	for s := range p.events.list {
		if len(s.events) >= maxEvents {
			s.events = s.events[1:]
			s.missed++
		}
		s.events = append(s.events, e)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}
