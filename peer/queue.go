package peer

import (
	"sync"

	"peermesh/api"
	"peermesh/security"
)

// queue holds the messages that wait to be written to a link: one growing buffer of text and a list of where each
// message ends. Senders append under the lock; the flusher swaps the whole for an empty one. Nothing in it is signed
// yet, because time, nonce and sequence are given when a message is written.
type queue struct {
	mu       sync.Mutex
	cur      batch
	spare    batch
	first    uint64 // number of the first message of cur
	messages int    // that have not been handed to a write yet
	bytes    int
	closed   bool
	finished bool          // the last message that anybody may begin has been queued
	wake     chan struct{} // of one place
	room     *sync.Cond    // for answers; on mu
	maxMsgs  int
	maxBytes int
}

// batch is a run of messages.
type batch struct {
	text  []byte
	items []item
}

// item is one message of a batch.
type item struct {
	end    int // where its text ends; it begins where the one before ends
	out    security.Outgoing
	method *api.Method // of a notification that may be dropped for a newer one; else nil
	bare   bool        // it leaves without security
	about  about       // what the tap shall know of it
	gone   bool        // dropped or taken back
}

func newQueue(maxMsgs, maxBytes int) *queue {
	q := &queue{wake: make(chan struct{}, 1), maxMsgs: maxMsgs, maxBytes: maxBytes}
	q.room = sync.NewCond(&q.mu)
	return q
}

// urgency says what happens to a message that finds the queue full.
type urgency uint8

const (
	ordinary urgency = iota // it is refused
	answer                  // it may go up to twice the bound; beyond that whoever answers waits
	bare                    // an answer that leaves without security, whatever the link has: a refusal
	urgent                  // it always goes
	along                   // it belongs to a request of this link: like ordinary, also after the last message
)

// push appends a message and wakes the flusher; see add.
func (q *queue) push(text []byte, out security.Outgoing, m *api.Method, u urgency, a about) (number uint64, dropped bool, err error) {
	number, _, dropped, err = q.add(text, out, m, u, a)
	if err == nil {
		q.rouse()
	}
	return number, dropped, err
}

// rouse wakes the flusher.
func (q *queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// add appends a message, a copy of text. An answer waits for room; the caller holds no lock then. It returns the
// message's number, for take, how many wait to be written with it, and whether another was dropped for it. The error is
// ErrBusy, ErrGone, or errMoved where the link has been succeeded by another. The caller sees to it that the message is
// written.
func (q *queue) add(text []byte, out security.Outgoing, m *api.Method, u urgency, a about) (number uint64, waiting int, dropped bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, 0, false, api.ErrGone
	}
	for (u == answer || u == bare) && !q.closed && q.fullLocked(len(text), 2) {
		// A handler, or the reader of a client that asks faster than it listens. It does not wait for ever: the write
		// that holds everything up has a deadline.
		q.room.Wait()
	}
	if q.closed {
		return 0, 0, false, api.ErrGone
	}
	if u == ordinary && q.finished {
		return 0, 0, false, errMoved
	}
	if (u == ordinary || u == along) && q.fullLocked(len(text), 1) {
		if m == nil || !m.DropOldest {
			return 0, 0, false, api.ErrBusy
		}
		// Where everything that fills the queue is being written already there is none to drop; then this one waits
		// alone, and is dropped for the next.
		dropped = q.dropOldestLocked(m)
	}
	if m != nil && !m.DropOldest {
		m = nil
	}
	number = q.first + uint64(len(q.cur.items))
	q.cur.text = append(extend(q.cur.text, len(text)), text...)
	q.cur.items = append(q.cur.items, item{end: len(q.cur.text), out: out, method: m, bare: u == bare, about: a})
	q.messages++
	q.bytes += len(text)
	return number, len(q.cur.items), dropped, nil
}

func (q *queue) fullLocked(size, factor int) bool {
	return q.messages >= factor*q.maxMsgs || q.bytes > 0 && q.bytes+size > factor*q.maxBytes
}

// dropOldestLocked takes back the oldest waiting message of the same method.
func (q *queue) dropOldestLocked(m *api.Method) bool {
	for i := range q.cur.items {
		if it := &q.cur.items[i]; it.method == m && !it.gone {
			q.removeLocked(i)
			return true
		}
	}
	return false
}

func (q *queue) removeLocked(i int) {
	q.cur.items[i].gone = true
	q.messages--
	q.bytes -= q.cur.size(i)
}

// take takes a message back. It reports whether that was in time: whether nothing of it was written.
func (q *queue) take(number uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if number < q.first {
		return false
	}
	i := int(number - q.first)
	if i < len(q.cur.items) && !q.cur.items[i].gone {
		q.removeLocked(i)
	}
	return true
}

// swap returns what waits, to be handed back to done after it was written. It is for who writes alone.
func (q *queue) swap() batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.swapLocked()
}

// swapSmall is swap where no more than so many bytes wait. Otherwise it does nothing and reports false.
func (q *queue) swapSmall(bytes int) (b batch, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.cur.text) > bytes {
		return b, false
	}
	return q.swapLocked(), true
}

func (q *queue) swapLocked() batch {
	b := q.cur
	q.first += uint64(len(b.items))
	q.cur, q.spare = q.spare, batch{}
	return b
}

// handed frees the places of messages that are about to be written. What one write holds is bounded by itself.
func (q *queue) handed(messages, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages -= messages
	q.bytes -= bytes
	q.room.Broadcast()
}

// done gives a written batch back.
func (q *queue) done(b batch) {
	for i := range b.items {
		b.items[i].out = security.Outgoing{}
	}
	if cap(b.text) > keepLinked {
		giveLarge(b.text)
		b.text = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = batch{text: b.text[:0], items: b.items[:0]}
}

// finish appends the last message that is no answer: who has another is told that the link has moved.
func (q *queue) finish(text []byte, out security.Outgoing) {
	_, _, _ = q.push(text, out, nil, urgent, about{}) // a link that has ended needs none
	q.mu.Lock()
	q.finished = true
	q.mu.Unlock()
}

// close refuses further messages and returns how many were still waiting.
func (q *queue) close() (lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for i := range q.cur.items {
		if !q.cur.items[i].gone {
			lost++
		}
	}
	q.cur, q.spare = batch{}, batch{}
	q.room.Broadcast()
	return lost
}

// empty reports whether nothing waits.
func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.messages == 0
}

func (b *batch) size(i int) int {
	if i == 0 {
		return b.items[0].end
	}
	return b.items[i].end - b.items[i-1].end
}

func (b *batch) textOf(i int) []byte {
	start := 0
	if i > 0 {
		start = b.items[i-1].end
	}
	return b.text[start:b.items[i].end]
}
