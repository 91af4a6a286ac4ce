package mdns

import (
	"net/netip"
	"time"

	"peermesh/discovery"
)

// hear deals with a message that is about our service.
func (r *runner) hear(now time.Time, h heard) {
	if r.links[linkKey{h.link.iface.index, h.link.family}] != h.link {
		return // the link was closed since
	}
	if h.query {
		r.hearQuery(now, h)
		return
	}
	for _, s := range h.services {
		r.hearService(now, h, s)
	}
}

// hearQuery decides whether to answer to all. The hashicorp server has read the question, too, and answers the asker
// alone; that is not enough, for on a host with several processes on port 5353 only one of them gets such an answer,
// and it would never spare others their questions.
func (r *runner) hearQuery(now time.Time, h heard) {
	if r.records == nil || !h.group {
		return
	}
	if h.asks != 0 {
		r.stats.queries.Add(1)
	}
	if h.from.Port() != mdnsPort {
		return // RFC 6762, 6.7: a resolver of the old kind, which wants its answer alone
	}
	knowsUs := false
	for _, k := range h.known {
		knowsUs = knowsUs || k.instance == r.records.instance && k.ttl >= recordTTL/2
	}
	l := h.link
	switch {
	case knowsUs && h.asks&^asksService == 0:
		r.stats.suppressed.Add(1)
		// The rest of a question that came in several packets.
		if h.asks == 0 && l.full.to == h.from.Addr() && !l.full.several {
			l.full.at = time.Time{}
		}
		return
	case h.unicast && now.Sub(l.full.last) < recordTTL*time.Second/4:
		return // RFC 6762, 5.4: all have heard it not long ago
	}
	if h.asks&^asksEnum != 0 {
		l.full.schedule(now, h.from.Addr(), h.truncated)
	}
	if h.asks&asksEnum != 0 {
		l.enum.schedule(now, h.from.Addr(), h.truncated)
	}
}

// hearService deals with what a packet says about one instance.
func (r *runner) hearService(now time.Time, h heard, s *service) {
	if s.gone && r.records != nil && s.instance == r.records.instance {
		// Somebody took leave in our name: an earlier run of ours, or a joker. Others believe it in a second, so we
		// contradict before that.
		h.link.announceSoon(now, defendGap)
		return
	}
	if s.gone {
		boot := ""
		if s.hasTXT {
			if a, _ := s.decode(); discovery.ValidBoot(a.boot) {
				boot = a.boot
			}
		}
		r.cache.goodbye(now, s.instance, boot)
		return
	}
	if !s.complete() {
		r.hearName(h, s)
		return
	}
	a, err := s.decode()
	switch {
	case err != nil:
		r.stats.malformed.Add(1)
		return
	case a.id == r.feed.Self().ID:
		r.stats.own.Add(1)
		return
	}
	r.stats.records.Add(1)
	if !discovery.VerifyProof(r.cfg.Keys.Load(), a.proof, a.claim) {
		r.stats.proof.Add(1)
		return
	}
	sameHost := r.sameHost(h.from.Addr())
	if len(a.dialable([]string{h.link.iface.name}, sameHost)) == 0 {
		r.stats.unreachable.Add(1)
		return
	}
	old, known := r.cache.peers[a.id]
	// An earlier run of the peer than the one we know: a late packet, or a recording that somebody plays. A clock that
	// was set back looks the same, and is forgiven when the record expires. Without keys this is not done, as whoever
	// invents a boot in the far future would lock the real peer out.
	if known && old.trusted && a.boot < old.boot {
		r.stats.stale.Add(1)
		return
	}
	rec, evicted, ok := r.cache.put(now, a, h.link.iface.index, h.link.iface.name, sameHost, len(r.cfg.Keys.Load()) > 0)
	if evicted != nil || !ok {
		r.stats.evicted.Add(1)
	}
	if evicted != nil {
		r.feed.Report(discovery.Event{Kind: discovery.Left, Record: evicted.record(), Reason: discovery.Evicted})
	}
	if ok {
		kind := discovery.Joined
		if known {
			kind = discovery.Updated
		}
		r.feed.Report(discovery.Event{Kind: kind, Record: rec})
	}
}

// hearName deals with an instance that was named without its records, which is how repeaters between networks and some
// responders do it: it is asked for them.
func (r *runner) hearName(h heard, s *service) {
	if r.records != nil && s.instance == r.records.instance || r.cache.knows(s.instance) {
		return
	}
	r.stats.incomplete.Add(1)
	if !r.follow.Allow() {
		return
	}
	if b, err := packInstanceQuery(r.names, s.instance); err == nil && r.send(h.link, b) {
		r.stats.asked.Add(1)
	}
}

// sameHost reports whether a packet came from this machine. On a machine that has loopback alone there is no address
// to send from, and packets come from the unspecified one.
func (r *runner) sameHost(from netip.Addr) bool {
	from = from.WithZone("")
	_, own := r.hosts[from]
	return own || from.IsLoopback() || from.IsUnspecified()
}
