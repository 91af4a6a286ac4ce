package mdns

import "sync/atomic"

// stats count what happens. They take the place of a log: on a busy network each of these happens all the time.
type stats struct {
	packets, foreign, own, bad, crosstalk, offlink, dropped atomic.Uint64
	queries, suppressed, incomplete                         atomic.Uint64
	records, proof, malformed, unreachable, stale, evicted  atomic.Uint64
	asked, announced, answered, goodbyes, unicast, limited  atomic.Uint64
	sendErrors, readErrors                                  atomic.Uint64
}

func (s *stats) counters() map[string]uint64 {
	return map[string]uint64{
		// Heard.
		"packets":   s.packets.Load(),   // all
		"foreign":   s.foreign.Load(),   // about other services
		"own":       s.own.Load(),       // our own announcements, which the network loops back
		"bad":       s.bad.Load(),       // not DNS
		"crosstalk": s.crosstalk.Load(), // arrived by another interface than their socket's
		"offlink":   s.offlink.Load(),   // sent to us alone by somebody from outside
		"dropped":   s.dropped.Load(),   // came faster than they were read

		// Of these, queries for us.
		"queries":    s.queries.Load(),
		"suppressed": s.suppressed.Load(), // the asker knew us already

		// Of these, announcements of peers.
		"records":     s.records.Load(),     // all
		"proof":       s.proof.Load(),       // refused: no proof, a wrong one, or one of another mesh
		"malformed":   s.malformed.Load(),   // refused: not what a peer announces
		"unreachable": s.unreachable.Load(), // refused: no address that can be dialled from here
		"stale":       s.stale.Load(),       // refused: of an earlier run of the peer
		"incomplete":  s.incomplete.Load(),  // a name without its records
		"evicted":     s.evicted.Load(),     // forgotten to make room for others

		// Said.
		"asked":       s.asked.Load(),     // queries
		"announced":   s.announced.Load(), // announcements
		"answered":    s.answered.Load(),  // answers to all
		"unicast":     s.unicast.Load(),   // questions answered to the asker alone
		"limited":     s.limited.Load(),   // questions not answered, because there were too many
		"goodbyes":    s.goodbyes.Load(),
		"send_errors": s.sendErrors.Load(),
		"read_errors": s.readErrors.Load(),
	}
}
