package peer

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"peermesh/api"
)

// inbound is what a link has taken in and not finished: the bound on it, the requests by their ids, and the lanes.
type inbound struct {
	link *link

	mu             sync.Mutex
	stopped        bool
	notes          int                  // notifications that wait or run
	requests       int                  // requests that wait or run
	bytes          int                  // of both
	answering      int                  // requests that are being answered: their places are free
	answeringBytes int                  // their bytes
	byNumber       map[uint64]*handling // requests in flight, by an id that is a plain number
	byText         map[string]*handling // the others, by the raw id
	lanes          map[string]*lane     // by the API's name
	lastName       string               // of the lane that was asked for last
	lastLane       *lane
	onIdle         func()
	room           chan struct{} // of one place: something was finished, or is waited for
	dropping       bool          // the pause did not help; until half of the notifications are done
}

// pauseFor is how long reading pauses at most for the handlers of notifications to catch up.
const pauseFor = 2 * time.Second

func (in *inbound) init(l *link) {
	in.link = l
	in.byNumber = map[uint64]*handling{}
	in.byText = map[string]*handling{}
	in.lanes = map[string]*lane{}
	in.room = make(chan struct{}, 1)
}

// nudge makes a reader that pauses look again.
func (in *inbound) nudge() {
	select {
	case in.room <- struct{}{}:
	default:
	}
}

// pause holds up the reader until there is room for a notification: what the other end sends then stays in its own
// queue, and its senders are told when that is full. It reports false when the message must be dropped: when the
// handlers do not catch up, and while a call to that very peer waits for an answer, which only the reader can bring.
func (in *inbound) pause(m *message) bool {
	l := in.link
	timer := time.NewTimer(pauseFor)
	defer timer.Stop()
	for {
		in.mu.Lock()
		dropping := in.dropping
		in.mu.Unlock()
		if dropping || l.calls.count() > 0 {
			return false
		}
		select {
		case <-in.room:
			if in.admit(m) == nil {
				return true
			}
		case <-timer.C:
			in.mu.Lock()
			in.dropping = true
			in.mu.Unlock()
		case <-l.ended:
			return false
		}
	}
}

// admit takes a message in and gives it a lane. The error is errBusy, errInFlight or errGoingAway.
func (in *inbound) admit(m *message) *api.Error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.admitLocked(m)
}

// admitAll is admit for several messages. It returns how many of them were taken in; the one behind them was not.
func (in *inbound) admitAll(all []*message) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, m := range all {
		if in.admitLocked(m) != nil {
			return i
		}
	}
	return len(all)
}

func (in *inbound) admitLocked(m *message) *api.Error {
	limits := &in.link.p.cfg.Limits
	size := m.size()
	switch {
	case in.stopped:
		return errGoingAway
	case in.bytes > 0 && in.bytes+size > limits.QueuedBytes, in.answeringBytes > 0 && in.bytes+in.answeringBytes+size > 2*limits.QueuedBytes:
		return errBusy
	case !m.request:
		if in.notes >= limits.QueuedIn {
			return errBusy
		}
		in.notes++
	default:
		// Answers that the other end does not fetch wait for room in its queue: there may be as many of them again.
		if in.requests >= limits.Calls || in.requests+in.answering >= 2*limits.Calls {
			return errBusy
		}
		if m.reqID, m.numeric = plainNumber(m.id); m.numeric {
			if in.byNumber[m.reqID] != nil {
				return errInFlight
			}
			in.byNumber[m.reqID] = m.handling
		} else {
			if in.byText[string(m.id)] != nil {
				return errInFlight
			}
			in.byText[string(m.id)] = m.handling
		}
		in.requests++
	}
	in.bytes += size
	switch {
	case m.handle != nil:
		m.handling.lane = in.laneLocked("rpc")
	case m.method.Concurrent > 0:
		m.handling.lane = in.link.p.concurrentLane(m.method)
	default:
		m.handling.lane = in.laneLocked(m.binding.lane)
	}
	return nil
}

// release frees the id and the place of a request that is about to be answered: whoever has the answer may use the id
// again, and may have as many calls in flight as before. size is what it had when it came.
func (in *inbound) release(m *message, size int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.requests--
	in.bytes -= size
	in.answering++
	in.answeringBytes += size
	if m.numeric {
		delete(in.byNumber, m.reqID)
	} else {
		delete(in.byText, string(m.id))
	}
}

// finished is messages of one link that are to be let go: notifications that were handled, requests whose answers are
// queued. Where many come, that is said of several at once.
type finished struct {
	in              *inbound
	notes, requests int
	bytes           [2]int // of notes, of requests
}

// finishedFew is how large a part of what a link may hold is let go late at most.
const finishedFew = 64

// add counts a message. size is what it had when it came.
func (f *finished) add(in *inbound, m *message, size int) {
	if f.in != in {
		f.tell()
		f.in = in
	}
	limits := &in.link.p.cfg.Limits
	if m.request {
		f.requests++
		f.bytes[1] += size
	} else {
		f.notes++
		f.bytes[0] += size
	}
	if f.notes*finishedFew > limits.QueuedIn || f.requests*finishedFew > limits.Calls || (f.bytes[0]+f.bytes[1])*finishedFew > limits.QueuedBytes {
		f.tell()
	}
}

// tell lets go what was counted.
func (f *finished) tell() {
	if f.in != nil {
		f.in.finished(f)
		*f = finished{}
	}
}

func (in *inbound) finished(f *finished) {
	in.mu.Lock()
	in.answering -= f.requests
	in.answeringBytes -= f.bytes[1]
	in.bytes -= f.bytes[0]
	in.notes -= f.notes
	in.dropping = in.dropping && in.notes > in.link.p.cfg.Limits.QueuedIn/2
	in.nudge()
	var idle func()
	if in.idleLocked() {
		idle, in.onIdle = in.onIdle, nil
	}
	in.mu.Unlock()
	if idle != nil {
		idle()
	}
}

func (in *inbound) idleLocked() bool {
	return in.notes == 0 && in.requests == 0 && in.answering == 0
}

// idle has f called once nothing is in flight, at once when nothing is.
func (in *inbound) idle(f func()) {
	in.mu.Lock()
	now := in.idleLocked()
	if !now {
		in.onIdle = f
	}
	in.mu.Unlock()
	if now {
		f()
	}
}

// cancel ends the context of a request in flight. Its answer follows.
func (in *inbound) cancel(id []byte) {
	in.mu.Lock()
	h := in.byText[string(id)]
	if n, ok := plainNumber(id); ok {
		h = in.byNumber[n]
	}
	in.mu.Unlock()
	if h != nil && h.errAt(time.Now()) == nil { // a deadline that has come goes before: it is why the caller gave up
		h.cancel(context.Canceled)
	}
}

// stop ends the contexts of all handlers; nothing more is taken in.
func (in *inbound) stop() {
	in.mu.Lock()
	in.stopped = true
	all := slices.AppendSeq(slices.Collect(maps.Values(in.byNumber)), maps.Values(in.byText))
	in.mu.Unlock()
	for _, h := range all {
		h.cancel(context.Canceled)
	}
}

// refuseNew lets what runs finish and takes in nothing more.
func (in *inbound) refuseNew() {
	in.mu.Lock()
	in.stopped = true
	in.mu.Unlock()
}

// laneLocked returns the lane of an API on this link.
func (in *inbound) laneLocked(name string) *lane {
	if in.lastLane != nil && in.lastName == name {
		return in.lastLane
	}
	n := in.lanes[name]
	if n == nil {
		n = &lane{limit: 1, run: in.link.p.handle, wg: &in.link.p.wg}
		in.lanes[name] = n
	}
	in.lastName, in.lastLane = name, n
	return n
}

// follow takes over the lanes of a link that this one renews, so that the order of its messages goes on.
func (in *inbound) follow(old *inbound) {
	old.mu.Lock()
	lanes := maps.Clone(old.lanes)
	old.mu.Unlock()
	in.mu.Lock()
	in.lanes, in.lastLane = lanes, nil
	in.mu.Unlock()
}

// plainNumber reads an id that is a number of digits alone, without leading zero. Any other id is compared as text.
func plainNumber(id []byte) (uint64, bool) {
	if len(id) == 0 || len(id) > 19 || id[0] < '0' || id[0] > '9' || id[0] == '0' && len(id) > 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(id), 10, 64)
	return n, err == nil
}
