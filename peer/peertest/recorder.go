package peertest

import (
	"context"
	"sync"
	"testing"
	"time"

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

// Record attaches a Recorder to a peer, until the peer closes. It shows what this peer alone sees.
func Record(t testing.TB, p *peer.Peer) *Recorder {
	r := &Recorder{t: t, changed: make(chan struct{})}
	follower := p.Tap().Follow(false)
	self := p.Self().Name
	merger := tap.NewMerger(func(rec *tap.Record) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.records = append(r.records, *rec)
		close(r.changed)
		r.changed = make(chan struct{})
	})
	merger.Hold = 0
	merger.Watch(self, time.Now())
	go func() { // ends when the peer closes its ring
		defer follower.Close()
		for follower.Wait(context.Background()) {
			events, texts, missed := follower.Read(nil, nil, tap.Events)
			merger.Dropped(self, missed, time.Now())
			for i := range events {
				for _, s := range tap.Sightings(&events[i], texts[i], tap.Full) {
					merger.Add(self, &s, time.Now())
				}
			}
			merger.Tick(time.Now())
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
