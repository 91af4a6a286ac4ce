package page

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"peermesh/peer"
	"peermesh/peer/tap"
)

const (
	lookEvery = time.Second     // how often the mesh is looked at, and the rates are told
	askFor    = 3 * time.Second // how long a question to the peer may take
)

// status is what pages are told once a second.
type status struct {
	mu   sync.Mutex
	n    uint64 // grows with each change
	text []byte
	wake chan struct{}
}

func newStatus() *status {
	return &status{text: []byte(`{"link":"linking"}`), n: 1, wake: make(chan struct{})}
}

func (s *status) set(v *statusText) {
	text, err := json.Marshal(v)
	if err != nil {
		return // plain values marshal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n, s.text = s.n+1, text
	close(s.wake)
	s.wake = make(chan struct{})
}

// get returns the text when it is another one than n.
func (s *status) get(n uint64) (text []byte, now uint64, wake <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n != s.n {
		text = s.text
	}
	return text, s.n, s.wake
}

// statusText is the status as JSON.
type statusText struct {
	Link    string            `json:"link"` // linked or ended
	Error   string            `json:"error,omitempty"`
	Version string            `json:"version,omitempty"`
	Timeout int64             `json:"timeout_ms"`
	Mesh    *peer.MeshStatus  `json:"mesh,omitempty"`
	Refused map[string]uint64 `json:"refused,omitempty"`
	Docs    uint64            `json:"docs"` // version of the documents
	Doctor  bool              `json:"doctor"`
	Kept    keptText          `json:"kept"`
	Rates   *ratesText        `json:"rates"`
}

// keptText says what the collector keeps, and what did not come to it.
type keptText struct {
	Records    int    `json:"records"`
	Bytes      int    `json:"bytes"`
	MaxRecords int    `json:"max_records"`
	MaxBytes   int    `json:"max_bytes"`
	Lost       uint64 `json:"lost"`
}

// follow watches the mesh until ctx ends, through one connection after the other.
func (s *Site) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.followOne(ctx)
		if ctx.Err() != nil {
			return
		}
		text := s.look(nil, nil)
		text.Link, text.Error = "ended", "the peer has ended"
		if err != nil {
			text.Error = err.Error()
		}
		s.status.set(text)
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
}

// followOne watches through one connection until it ends.
func (s *Site) followOne(ctx context.Context) error {
	m, err := s.cfg.Open(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer func() { _ = m.Close() }() // it may have ended by itself
	if err := m.Watch(ctx, s.take); err != nil {
		return err
	}
	latest := make(chan *peer.MeshStatus, 1)
	wg.Go(func() { // documents may take long to come
		for {
			select {
			case mesh := <-latest:
				s.docs.update(ctx, m, mesh)
			case <-ctx.Done():
				return
			}
		}
	})
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		ask, done := context.WithTimeout(ctx, askFor)
		mesh, err := m.Peers(ask)
		var stats *peer.Stats
		if err == nil {
			stats, err = m.Stats(ask)
		}
		done()
		if err == nil {
			select {
			case latest <- mesh:
			default: // it is asking for documents; the next look will do
			}
			s.status.set(s.look(mesh, stats))
		}
		select {
		case <-tick.C:
		case <-m.Done():
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// take is handed each record.
func (s *Site) take(r *tap.Record) {
	c := *r
	s.kept.add(&c)
	s.rates.add(&c, time.Now())
}

// look makes the status.
func (s *Site) look(mesh *peer.MeshStatus, stats *peer.Stats) *statusText {
	records, bytes, lost := s.kept.held()
	text := &statusText{Link: "linked", Version: s.cfg.Version, Timeout: s.cfg.Timeout.Milliseconds(), Mesh: mesh, Docs: s.docs.version(), Doctor: s.cfg.Doctor != nil,
		Kept: keptText{records, bytes, maxRecords, maxBytes, lost}, Rates: s.rates.snapshot(time.Now())}
	if stats != nil {
		text.Refused = stats.Refused
	}
	return text
}
