package peer

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"peermesh/api"
	"peermesh/security"
)

// membership is how far a link has come towards being a member's one link. It is guarded by Peer.mu.
//
// A link is acquainted once its first acceptable message is there, proven once its other end has answered something
// fresh, and joined once it is also known what it binds. Two links of one peer are settled by adopt.
type membership struct {
	hello    *helloParams // nil: it did not introduce itself
	proven   bool
	provenAt time.Time
	apis     bool // rpc.apis was there
	joined   bool
	draining time.Time // since when another link has taken its place
	pinged   int64     // when the last ping for silence went out, since the start
	leaving  bool      // it said bye
	rival    *link     // the older link of the same peer that is being asked whether it lives

	stopTap    context.CancelFunc // of the tap that its other end has here
	renewing   bool               // a link that renews it is being made
	renewAfter time.Time          // not before
	renewed    bool               // another link has taken its place, and it carries but the answers that were still to come
}

// change runs f with the membership locked and wakes whoever waits for a change.
func (p *Peer) change(f func()) {
	p.mu.Lock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	p.clock.nudge()
}

// acquainted notes who speaks on a link. It runs on the link's reader.
func (p *Peer) acquainted(l *link, v *security.Verdict) {
	info := *l.info.Load()
	info.Role = string(v.Principal.Role)
	if info.Role == "" {
		info.Role = api.RoleGuest
	}
	info.Principal, info.Verified = v.Principal.String(), v.Verified
	switch {
	case v.Verified:
		info.Name, info.Protection = v.User, "hmac"
	case v.User != "":
		info.Name = v.Label()
	}
	l.fresh = true
	p.change(func() {
		if l.m.hello != nil && !v.Verified {
			info.Name = l.m.hello.Name
		}
		if l.m.joined && v.Verified { // it has begun to sign: as whom it signs it has yet to prove
			p.partLocked(l)
			l.m.proven = false
		}
		l.info.Store(&info)
	})
}

// rekeyed notes that the other end signs with another key now.
func (p *Peer) rekeyed(l *link, v *security.Verdict) {
	p.change(func() {
		info := *l.info.Load()
		info.Principal, info.Role = v.Principal.String(), string(v.Principal.Role)
		l.info.Store(&info)
	})
}

// prove starts what shows that the other end is there now and no recording: it answers a ping that is signed anew. A
// dialled link has answered our hello; a guest has nothing to prove.
func (p *Peer) prove(l *link) {
	if l.conn.Once || l.dialled {
		return
	}
	if !l.info.Load().Verified {
		p.proven(l)
		return
	}
	l.ping(func(err error) {
		var remote *api.Error
		if err == nil || errors.As(err, &remote) {
			p.proven(l) // any signed answer will do
		}
	})
}

func (p *Peer) proven(l *link) {
	p.change(func() {
		if !l.m.proven {
			l.m.proven, l.m.provenAt = true, time.Now()
			if l.m.hello != nil {
				p.announceAPIs(l)
			}
		}
		p.tryJoinLocked(l)
	})
}

// mayIntroduce reports whether the other end of a link may still say who it is.
func (p *Peer) mayIntroduce(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return l.m.hello == nil && !l.conn.Once
}

// introduced notes what the other end said of itself.
func (p *Peer) introduced(l *link, h *helloParams) {
	p.change(func() {
		l.m.hello = h
		l.meta.Store(true)
		info := *l.info.Load()
		info.ID, info.Boot, info.Version = h.ID, h.Boot, h.Version
		if !info.Verified {
			// Without a key there is nobody but this machine's users; with one, a guest's name is a mere claim.
			if info.Name = h.Name; p.cfg.Keys.Len() > 0 {
				info.Name = "~" + h.Name
			}
		}
		l.info.Store(&info)
		if l.m.proven {
			p.announceAPIs(l)
		}
		p.tryJoinLocked(l)
	})
}

// gotAPIs notes what the other end binds.
func (p *Peer) gotAPIs(l *link, apis map[string]api.APIInfo, version, tap string) {
	p.compare(l, apis)
	p.change(func() {
		info := *l.info.Load()
		same := maps.EqualFunc(info.APIs, apis, func(a, b api.APIInfo) bool { return a == b })
		info.APIs = apis
		if version != "" {
			info.Version = version
		}
		info.Tap = tap
		l.info.Store(&info)
		l.m.apis = true
		if l.m.joined {
			if !same {
				p.emit(Event{Kind: Updated, Peer: p.show(l)})
			}
			return
		}
		p.tryJoinLocked(l)
	})
}

// tryJoinLocked makes a link a member's link once everything is known of it.
func (p *Peer) tryJoinLocked(l *link) {
	if l.m.joined || !l.m.proven || l.m.leaving || !l.alive() || l.conn.Once {
		return
	}
	if h := l.m.hello; h != nil {
		if !l.m.apis && time.Since(l.m.provenAt) < apisGrace {
			return // the clock comes back to it
		}
		p.adoptLocked(l, h)
		return
	}
	p.joinLocked(l)
}

// apisGrace is how long we wait for rpc.apis of a peer that said hello.
const apisGrace = time.Second

// adoptLocked settles which of a peer's links counts. The rule must come out the same at both ends.
func (p *Peer) adoptLocked(l *link, h *helloParams) {
	old := p.byID[h.ID]
	switch {
	case old == nil || old == l || !old.alive():
		p.joinLocked(l)
	case l.proof() < old.proof(), l.proof() == signedProof && old.proof() == signedProof && l.m.hello.Name != old.m.hello.Name:
		// A claim replaces nothing, nor does one member another.
		p.endLater(l, reasonRefused)
	case l.proof() > old.proof():
		// And whatever was claimed gives way to who has proven something.
		p.replaceLocked(old, l)
		p.endLater(old, reasonRefused)
	case h.Boot > old.m.hello.Boot:
		p.replaceLocked(old, l)
		p.endLater(old, reasonRestarted)
	case h.Boot < old.m.hello.Boot:
		p.endLater(l, reasonDuplicate)
		old.ping(nil)
	case l.dialled != old.dialled:
		// Both dialled at once: "the link dialled by the smaller id wins".
		self := p.self.Load().ID
		winner, loser := old, l
		if l.dialled == (self < h.ID) {
			winner, loser = l, old
		}
		if winner == l {
			p.replaceLocked(old, l)
		}
		loser.m.draining = time.Now()
	default:
		// A redial over a link that may be dead at the other end only.
		l.m.rival = old
		old.ping(func(err error) {
			if err == nil {
				p.endLater(l, reasonDuplicate)
			}
		})
		p.after(time.Second, func() {
			p.change(func() {
				if l.alive() && old.alive() && l.m.rival == old {
					p.replaceLocked(old, l)
					p.endLater(old, reasonSilent)
				}
			})
		})
	}
}

// How well a peer has proven that it is who it says.
const (
	noProof      = iota
	signedProof  // it holds a key of the mesh
	sessionProof // it holds the key that its id is made of
)

func (l *link) proof() int {
	switch {
	case l.session != nil:
		return sessionProof
	case l.info.Load().Verified:
		return signedProof
	}
	return noProof
}

// replaceLocked puts l into the place of old without the peer leaving in between.
func (p *Peer) replaceLocked(old, l *link) {
	restarted := l.m.hello.Boot != old.m.hello.Boot
	old.m.joined = false
	old.m.draining = time.Now()
	if restarted {
		p.emit(Event{Kind: Left, Peer: p.show(old), Reason: reasonRestarted})
	}
	l.m.joined, l.m.rival = true, nil
	p.byID[l.m.hello.ID] = l
	p.publishLocked()
	kind := Updated
	if restarted {
		kind = Joined
	}
	p.emit(Event{Kind: kind, Peer: p.show(l)})
}

func (p *Peer) joinLocked(l *link) {
	l.m.joined = true
	if h := l.m.hello; h != nil {
		p.byID[h.ID] = l
		p.dropLocked(h.ID)
		p.found.Keep(h.ID, true)
	}
	p.publishLocked()
	p.emit(Event{Kind: Joined, Peer: p.show(l)})
}

// partLocked takes a link out of the members.
func (p *Peer) partLocked(l *link) {
	l.m.joined = false
	if h := l.m.hello; h != nil && p.byID[h.ID] == l {
		delete(p.byID, h.ID)
		p.found.Keep(h.ID, false)
	}
	p.publishLocked()
}

// publishLocked makes the list that senders read without a lock.
func (p *Peer) publishLocked() {
	list := make([]*link, 0, len(p.links))
	for l := range p.links {
		if l.m.joined {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b *link) int {
		x, y := a.info.Load(), b.info.Load()
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID), cmp.Compare(x.Address, y.Address))
	})
	p.members.Store(&list)
	if len(list) > testedPeers && !p.warned {
		p.warned = true
		p.log.Warn("the mesh has grown beyond what is tested", "peers", len(list), "tested", testedPeers)
	}
}

// testedPeers is up to how many peers a mesh is tested.
const testedPeers = 64

// leaving notes that the other end said bye: nothing more is sent to it.
func (p *Peer) leaving(l *link) {
	p.change(func() {
		l.m.leaving = true
		if l.m.joined {
			info := p.show(l)
			p.partLocked(l)
			p.emit(Event{Kind: Left, Peer: info, Reason: reasonBye})
		}
	})
}

// endLater ends a link from a place that holds a lock.
func (p *Peer) endLater(l *link, reason string) { p.wg.Go(func() { l.end(reason, nil) }) }

// departed takes a link that has ended out of everything.
func (p *Peer) departed(l *link, reason string, err error) {
	p.change(func() {
		delete(p.links, l)
		if h := l.m.hello; h != nil && p.arrived[h.ID] == l {
			delete(p.arrived, h.ID)
		}
		l.untapLocked()
		waited := p.rivalsLocked(l)
		switch {
		case l.m.joined && len(waited) > 0:
			p.replaceLocked(l, waited[0])
		case l.m.joined:
			info := p.show(l)
			p.partLocked(l)
			p.emit(Event{Kind: Left, Peer: info, Reason: reason, Err: err})
		}
		for _, o := range waited {
			p.tryJoinLocked(o)
		}
		p.redialLocked(l, reason, err)
	})
	p.log.Debug("a link ended", "peer", l.info.Load().Name, "address", l.conn.Remote(), "reason", reason, "error", err)
}

// rivalsLocked lets go of the links that waited to take the place of one which has ended.
func (p *Peer) rivalsLocked(l *link) (waited []*link) {
	for o := range p.links {
		if o.m.rival == l {
			if o.m.rival = nil; o.alive() && !o.m.leaving {
				waited = append(waited, o)
			}
		}
	}
	return waited
}

// show returns the link's Info with what changes all the time filled in.
func (p *Peer) show(l *link) *api.Info {
	info := *l.info.Load()
	info.RTT, info.Clock = time.Duration(l.rtt.Load()), time.Duration(l.skew.Load())
	info.Seen = p.start.Add(time.Duration(l.lastIn.Load()))
	info.Refused, info.Dropped = l.refused.Load(), l.dropped.Load()
	if !l.alive() {
		info.State = api.Left
	}
	return &info
}
