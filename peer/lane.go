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
	run     func(*message)
	wg      *sync.WaitGroup // of whoever waits for the goroutines
}

// add appends a message. What bounds the lane is counted by the link, before.
func (n *lane) add(m *message) {
	m.lane = n
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
	for m != nil {
		n.run(m)
		m = n.next(m)
	}
}

// next returns the message to run after m, or nil.
func (n *lane) next(m *message) *message {
	n.mu.Lock()
	defer n.mu.Unlock()
	if m.freed {
		return nil // another goroutine has taken over
	}
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

// free gives up the turn of a message whose handler is about to wait: the next message starts.
func (n *lane) free(m *message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if m.freed {
		return
	}
	m.freed = true
	if len(n.waiting) == 0 {
		n.running--
		return
	}
	next := n.popLocked()
	n.startLocked(next)
}
