package mdns

import (
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
)

type linkKey struct {
	index  int
	family family
}

// link is one interface in one family: a socket that has joined the group, and one that asks for answers to us alone.
// Such answers come at once, while those to all are rate limited; and they come when an old process on this machine
// holds port 5353 and swallows what is sent to that port of ours.
type link struct {
	iface  iface
	family family
	group  socket
	asker  socket // may be nil
	stop   chan struct{}
	broken atomic.Bool // reading fails for good

	// The rest belongs to the runner's goroutine.
	sendErr      error // of the last packet
	announceLeft int
	announceAt   time.Time
	failures     int // announcements in a row that could not be sent
	full, enum   answer
}

// answer is when to answer a question to all.
type answer struct {
	last    time.Time  // it was said
	at      time.Time  // it is to be said; zero: not
	to      netip.Addr // who asked
	several bool       // others did, too
}

// answerGap is the least time between two equal answers: RFC 6762, section 6, "MUST NOT multicast a record on a given
// interface until at least one second has elapsed since the last time that record was multicast".
const answerGap = time.Second

// defendGap is the same when somebody disputes what we announced: the RFC allows 250 ms "to defend unique records".
const defendGap = 250 * time.Millisecond

// schedule notes that somebody wants an answer.
func (a *answer) schedule(now time.Time, to netip.Addr, truncated bool) {
	// Others answer the same question: RFC 6762, section 6, has everybody wait 20 to 120 ms, or 400 to 500 ms if more
	// known answers are to come.
	wait := 20*time.Millisecond + rand.N(100*time.Millisecond)
	if truncated {
		wait = 400*time.Millisecond + rand.N(100*time.Millisecond)
	}
	at := later(now.Add(wait), a.last.Add(answerGap))
	if a.at.IsZero() {
		a.at, a.to, a.several = at, to, false
		return
	}
	a.several = a.several || a.to != to
	if at.Before(a.at) {
		a.at = at
	}
}

// said notes that the answer was given.
func (a *answer) said(now time.Time) { *a = answer{last: now} }

func (a *answer) due(now time.Time) bool { return !a.at.IsZero() && !now.Before(a.at) }

func (r *runner) open(i iface, f family) (*link, error) {
	s, err := r.net.listen(i, f)
	if err != nil {
		return nil, err
	}
	l := &link{iface: i, family: f, group: s, stop: make(chan struct{})}
	r.readers.Go(func() { r.read(l, l.group) })
	if l.asker, err = r.net.dial(i, f); err != nil {
		l.asker = nil // discovery is slower without it, no more
	} else {
		r.readers.Go(func() { r.read(l, l.asker) })
	}
	return l, nil
}

func (l *link) close() {
	close(l.stop)
	l.group.close()
	if l.asker != nil {
		l.asker.close()
	}
}

// announceSoon starts the announcements anew: RFC 6762, 8.3, "at least two unsolicited responses, one second apart".
func (l *link) announceSoon(now time.Time, gap time.Duration) {
	l.announceLeft = 2
	l.announceAt = later(now, l.full.last.Add(gap))
}

func (l *link) next() time.Time {
	return sooner(l.announceAt, sooner(l.full.at, l.enum.at))
}

// read reads packets until the link is closed.
func (r *runner) read(l *link, s socket) {
	failures := 0
	for {
		p, err := s.read()
		select {
		case <-l.stop:
			return
		default:
		}
		if err != nil {
			r.stats.readErrors.Add(1)
			if failures++; failures >= 10 {
				l.broken.Store(true) // the next look at the interfaces opens a new one
				return
			}
			select {
			case <-l.stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		failures = 0
		r.stats.packets.Add(1)
		// RFC 6762, section 11: what was sent to the group is from the link; the rest has to prove it by its address.
		if p.group {
			if p.ifindex != 0 && p.ifindex != l.iface.index {
				r.stats.crosstalk.Add(1)
				continue
			}
		} else if !l.iface.onLink(p.from.Addr()) {
			r.stats.offlink.Add(1)
			continue
		}
		m, err := parse(p.data, r.names, r.zone.records.Load())
		switch {
		case err != nil:
			r.stats.bad.Add(1)
			continue
		case m.empty():
			r.stats.foreign.Add(1)
			continue
		}
		select {
		case r.in <- heard{l, p.from, p.group, m}:
		default:
			r.stats.dropped.Add(1)
		}
	}
}
