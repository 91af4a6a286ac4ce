package peer

import "sync"

// lane runs messages one after the other, or a few at once, in the order of their arrival. There is one for each API
// of each link, and one for each method that api.Concurrent lets out of the order. A lane has no goroutine while it
// is empty.
type lane struct {
	limit int // how many run at once
	run   func(*message, *scratch)
	wg    *sync.WaitGroup // of whoever waits for the goroutines

	mu      sync.Mutex
	running int
	waiting []*message

	// Of the one whose turn it is, where the limit is one: what he has taken from waiting, so that he need not take the
	// lock for each message while others are added.
	taken []*message
	at    int // of the first of them that has not run
}

// scratch is where the goroutine of a lane encodes, and what it has finished and not said yet.
type scratch struct {
	result, answer []byte
	done           finished
	spare          spareMessages
}

var scratches = sync.Pool{New: func() any { return &scratch{result: make([]byte, 0, 1024), answer: make([]byte, 0, 1024)} }}

// add appends messages. What bounds the lane is counted by the link, before.
func (n *lane) add(all ...*message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(all) > 0 && n.running < n.limit {
		n.running++
		n.start(all[0])
		all = all[1:]
	}
	n.waiting = append(n.waiting, all...)
}

// start runs m, and what comes after it, on a goroutine of its own.
func (n *lane) start(m *message) {
	n.wg.Add(1)
	go n.work(m)
}

// work runs m and then what waits, until nothing does or the turn was given up.
func (n *lane) work(m *message) {
	defer n.wg.Done()
	s := scratches.Get().(*scratch)
	for m != nil {
		h := m.handling
		n.run(m, s) // m is somebody else's then
		if !h.endTurn() {
			break // another goroutine has taken over
		}
		m = n.next(&s.done)
	}
	s.done.tell()
	s.spare.give()
	scratches.Put(s)
}

// free gives up the turn of a message whose handler is about to wait: the next message starts.
func (n *lane) free(h *handling) {
	if !h.endTurn() {
		return
	}
	if m := n.next(nil); m != nil {
		n.start(m)
	}
}

// next returns the message to run after one whose turn the caller has ended, or nil.
func (n *lane) next(done *finished) *message {
	if n.limit == 1 && n.at < len(n.taken) {
		return n.pop()
	}
	if done != nil {
		done.tell() // who waits for room need not wait for the next handler
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waiting) == 0 {
		n.running--
		if max(cap(n.taken), cap(n.waiting)) > keepWaiting {
			n.taken, n.waiting, n.at = nil, nil, 0
		}
		return nil
	}
	if n.limit > 1 {
		m := n.waiting[0]
		n.waiting[0] = nil
		n.waiting = n.waiting[1:]
		return m
	}
	n.taken, n.waiting, n.at = n.waiting, n.taken[:0], 0
	return n.pop()
}

// keepWaiting is how many places an empty lane keeps.
const keepWaiting = 64

func (n *lane) pop() *message {
	m := n.taken[n.at]
	n.taken[n.at] = nil
	n.at++
	return m
}
