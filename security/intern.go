package security

import "sync"

// maxInterned bounds an interner: about 0.5 MiB.
const maxInterned = 4096

// interner turns names that come again and again into strings without allocating each time. Only names that a
// signature vouches for are given to it; when it is full, further names are allocated afresh.
type interner struct {
	mu    sync.RWMutex
	names map[string]string
}

func (n *interner) intern(b []byte) string {
	n.mu.RLock()
	s, ok := n.names[string(b)]
	n.mu.RUnlock()
	if ok {
		return s
	}
	s = string(b)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names == nil {
		n.names = make(map[string]string)
	}
	if len(n.names) < maxInterned {
		n.names[s] = s
	}
	return s
}
