package peertest

import (
	"context"
	"sync"
	"testing"

	"peermesh/peer"
	"peermesh/peer/tap"
)

// Recorder keeps the records of what a peer sends and receives, from the moment it was made.
type Recorder struct {
	t       testing.TB
	mu      sync.Mutex
	records []tap.Record
	changed chan struct{}
}

// Record attaches a Recorder to a peer, until the peer closes.
func Record(t testing.TB, p *peer.Peer) *Recorder {
	r := &Recorder{t: t, changed: make(chan struct{})}
	ring := p.Tap()
	from := ring.Next()
	pairing := tap.NewPairing(p.Self().Name)
	go func() { // ends when the peer closes its ring
		for e, missed := range ring.Follow(context.Background(), from) {
			recs := pairing.Records(e, missed)
			r.mu.Lock()
			r.records = append(r.records, recs...)
			close(r.changed)
			r.changed = make(chan struct{})
			r.mu.Unlock()
		}
	}()
	return r
}

// Records returns what was recorded so far.
func (r *Recorder) Records() []tap.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]tap.Record(nil), r.records...)
}

// Wait waits for a record that f holds for, among those that are there and those to come, and returns it. The test
// fails when none comes.
func (r *Recorder) Wait(f func(*tap.Record) bool) tap.Record {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := 0; ; {
		r.mu.Lock()
		for ; i < len(r.records); i++ {
			if f(&r.records[i]) {
				rec := r.records[i]
				r.mu.Unlock()
				return rec
			}
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			r.t.Fatalf("peertest: the record did not come; there are %d others", i)
		}
	}
}
