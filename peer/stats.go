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
	NewLinks   uint64            // connections closed because their address had too many unproven ones
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
	dropped, unhandled, failed, panics, late, strays, tooMany atomic.Uint64

	mu      sync.Mutex
	refused map[string]uint64
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
	links := len(p.links)
	p.mu.Unlock()
	p.stats.mu.Lock()
	refused := maps.Clone(p.stats.refused)
	p.stats.mu.Unlock()
	s := Stats{Links: links, NewLinks: p.slots.Refused(), Refused: refused, Dropped: p.stats.dropped.Load(),
		Unhandled: p.stats.unhandled.Load(), Failed: p.stats.failed.Load(), Panics: p.stats.panics.Load(),
		LateReply: p.stats.late.Load(), StrayReply: p.stats.strays.Load(), Ignored: p.stats.tooMany.Load()}
	if p.found != nil {
		s.Discovery = p.found.Status()
	}
	return s
}
