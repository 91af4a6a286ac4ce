package peer

import "sync"

// lane runs messages one after the other, or a few at once, in the order of their arrival. There is one for each API
// of each link, and one for each method that api.Concurrent lets out of the order. A lane has no goroutine while it
// is empty.
type lane struct {
	mu      sync.Mutex
	limit   int // how many run at once
	running int
	waiting []*message
	run     func(*message, *scratch)
	wg      *sync.WaitGroup // of whoever waits for the goroutines
}

// scratch is where the goroutine of a lane encodes.
type scratch struct{ result, answer []byte }

var scratches = sync.Pool{New: func() any { return &scratch{make([]byte, 0, 1024), make([]byte, 0, 1024)} }}

// add appends a message. What bounds the lane is counted by the link, before.
func (n *lane) add(m *message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running < n.limit {
		n.running++
		n.startLocked(m)
		return
	}
	n.waiting = append(n.waiting, m)
}

// startLocked runs m, and what comes after it, on a goroutine of its own.
func (n *lane) startLocked(m *message) {
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
		m = n.next(h)
	}
	scratches.Put(s)
}

// next ends a turn and returns the message to run after it, or nil.
func (n *lane) next(h *handling) *message {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.freed {
		return nil // another goroutine has taken over
	}
	h.freed = true // a handler may have left somebody behind who makes calls in its name
	if len(n.waiting) == 0 {
		n.running--
		return nil
	}
	return n.popLocked()
}

func (n *lane) popLocked() *message {
	m := n.waiting[0]
	n.waiting[0] = nil
	if n.waiting = n.waiting[1:]; len(n.waiting) == 0 {
		n.waiting = nil
	}
	return m
}

// free gives up a turn whose handler is about to wait: the next message starts.
func (n *lane) free(h *handling) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.freed {
		return
	}
	h.freed = true
	if len(n.waiting) == 0 {
		n.running--
		return
	}
	n.startLocked(n.popLocked())
}
