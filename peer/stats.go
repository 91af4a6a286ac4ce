package peer

import (
	"maps"
	"sync"
	"sync/atomic"

	"peermesh/discovery"
)

// Stats is what a peer has counted since its start.
type Stats struct {
	Links      int               // now, members or not
	Sessions   int               // of them, with a session
	NewLinks   uint64            // connections closed because their address had too many unproven ones
	Unverified int64             // bytes held now of messages whose sender has proven nothing yet
	Nonces     int               // single signed messages that are remembered now, so that none is taken twice
	Ended      map[string]uint64 // links that have ended, by reason
	Full       uint64            // messages that were refused to their senders here because a link's queue was full
	Refused    map[string]uint64 // messages refused, by reason
	Dropped    uint64            // messages lost: in queues of links that ended, for newer ones, for want of room
	Unhandled  uint64            // notifications that no bound API knows
	Failed     uint64            // handlers that returned an error
	Panics     uint64            // handlers that panicked
	LateReply  uint64            // answers to calls that were given up
	StrayReply uint64            // answers to no call: forged, or sent twice
	Ignored    uint64            // peers not dialled because there are too many
	Discovery  discovery.Status  `json:"-"` // of this process alone
}

type stats struct {
	dropped, unhandled, failed, panics, late, strays, tooMany, full atomic.Uint64

	mu      sync.Mutex
	refused map[string]uint64
	ended   map[string]uint64
}

// end counts links by why they ended: a fixed set of words too.
func (s *stats) end(reason string) {
	s.mu.Lock()
	if s.ended == nil {
		s.ended = map[string]uint64{}
	}
	s.ended[reason]++
	s.mu.Unlock()
}

// refuse counts by reasons, which are a fixed set of words.
func (s *stats) refuse(reason string) {
	s.mu.Lock()
	if s.refused == nil {
		s.refused = map[string]uint64{}
	}
	s.refused[reason]++
	s.mu.Unlock()
}

// Stats returns what was counted.
func (p *Peer) Stats() Stats {
	p.mu.Lock()
	links, sessions := len(p.links), 0
	for l := range p.links {
		if l.info.Load().Session != "" {
			sessions++
		}
	}
	p.mu.Unlock()
	p.stats.mu.Lock()
	refused, ended := maps.Clone(p.stats.refused), maps.Clone(p.stats.ended)
	p.stats.mu.Unlock()
	s := Stats{Links: links, Sessions: sessions, Unverified: p.unverified.Load(), Ended: ended, Full: p.stats.full.Load(), NewLinks: p.slots.Refused(), Refused: refused, Dropped: p.stats.dropped.Load(),
		Unhandled: p.stats.unhandled.Load(), Failed: p.stats.failed.Load(), Panics: p.stats.panics.Load(),
		LateReply: p.stats.late.Load(), StrayReply: p.stats.strays.Load(), Ignored: p.stats.tooMany.Load()}
	if p.hmac != nil {
		s.Nonces = p.hmac.Nonces()
	}
	if p.found != nil {
		s.Discovery = p.found.Status()
	}
	return s
}
