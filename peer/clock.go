package peer

import (
	"math"
	"sync/atomic"
	"time"

	"peermesh/api"
	"peermesh/peer/transport"
)

// Times of the life of a link.
const (
	newFor      = 5 * time.Second  // to the first acceptable message
	payloadFor  = 5 * time.Second  // from a secinfo to its payload
	pingAfter   = 5 * time.Second  // of silence of a peer that said hello
	suspectFor  = 10 * time.Second // of silence
	goneAfter   = 15 * time.Second // of silence
	drainFor    = 2 * time.Second  // for the answers in flight of a link that was replaced
	longestWait = 10 * time.Minute // also how often sessions are asked whether they are due for renewal
)

// clock is the one goroutine that looks after the time limits of all links and calls: it sleeps until the next one is
// due.
type clock struct {
	wake chan struct{}
	next atomic.Int64 // when it wakes up by itself, since the peer's start
}

// by has the clock look at what is due at this time.
func (c *clock) by(at int64) {
	if at < c.next.Load() {
		c.nudge()
	}
}

func (c *clock) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (p *Peer) keepTime() {
	defer p.wg.Done()
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-timer.C:
		case <-p.clock.wake:
		}
		p.clock.next.Store(math.MaxInt64) // whoever comes from now on nudges
		wait := p.tick()
		p.clock.next.Store(p.sinceStart() + int64(wait))
		timer.Reset(wait)
	}
}

// tick does what is due and returns when to come back.
func (p *Peer) tick() time.Duration {
	now := p.sinceStart()
	next := longestWait
	// due reports whether d after the moment at (since the start) has come, and else comes back then.
	due := func(at int64, d time.Duration) bool {
		left := time.Duration(at) + d - time.Duration(now)
		if left > 0 {
			next = min(next, left)
		}
		return left <= 0
	}
	var ends []func()
	end := func(l *link, reason string) { ends = append(ends, func() { l.end(reason, nil) }) }
	var pings []*link
	var late []*call
	p.mu.Lock()
	for l := range p.links {
		last := l.lastIn.Load()
		overdue, at := l.calls.overdue(now)
		late = append(late, overdue...)
		if at != 0 {
			due(at, 0)
		}
		if at := l.awaiting.Load(); at != 0 && due(at, payloadFor) {
			end(l, reasonRefused)
		}
		if s := l.session; s != nil && s.Spent(time.Now()) {
			end(l, reasonSpent)
			continue
		}
		switch {
		case l.m.renewed:
			due(now, lookForIdle)
			if l.idleAfterRenewal() {
				ends = append(ends, l.finish)
			}
		case !l.m.draining.IsZero():
			if due(int64(l.m.draining.Sub(p.start)), drainFor) {
				end(l, reasonDuplicate)
			}
		case l.conn.Once:
		case !l.known.Load():
			if due(int64(l.started.Sub(p.start)), newFor) {
				end(l, reasonRefused)
			}
		case l.m.hello == nil:
			// It lives until its connection closes.
		case due(last, goneAfter):
			end(l, reasonSilent)
		default:
			if !l.m.joined && l.m.proven && !l.m.apis && due(int64(l.m.provenAt.Sub(p.start)), apisGrace) {
				p.tryJoinLocked(l)
			}
			p.watchLocked(l, last, due, &pings)
			if l.dialled && l.m.joined && l.session != nil && l.session.Due(time.Now()) {
				p.renewLocked(l)
			}
		}
	}
	p.mu.Unlock()
	for _, f := range ends {
		f()
	}
	for _, l := range pings {
		l.ping(nil)
	}
	for _, c := range late {
		c.expire()
	}
	return max(next, time.Millisecond)
}

// watchLocked looks after the signs of life of a peer that said hello.
func (p *Peer) watchLocked(l *link, last int64, due func(int64, time.Duration) bool, pings *[]*link) {
	silent := due(last, suspectFor)
	if silent != l.suspect.Load() {
		l.suspect.Store(silent)
		info := *l.info.Load()
		info.State = api.Linked
		kind := Back
		if silent {
			info.State, kind = api.Suspect, Suspect
		}
		l.info.Store(&info)
		if l.m.joined {
			p.emit(Event{Kind: kind, Peer: p.show(l)})
		}
	}
	due(last, goneAfter)
	if due(last, pingAfter) && due(l.m.pinged, pingAfter) {
		l.m.pinged = p.sinceStart()
		*pings = append(*pings, l)
		due(l.m.pinged, pingAfter)
	}
}

// after runs f later, unless the peer closes first.
func (p *Peer) after(d time.Duration, f func()) {
	p.wg.Go(func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			f()
		case <-p.ctx.Done():
		}
	})
}

// sinceStart is the time on the peer's monotonic clock.
func (p *Peer) sinceStart() int64 { return int64(time.Since(p.start)) }

// mayAnswer bounds the refusals that an unknown sender can cause: 5 a second for each address.
func (p *Peer) mayAnswer(c *transport.Conn) bool {
	return p.answers.allow(c.Remote(), time.Now())
}
