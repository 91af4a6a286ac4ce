package peer

import (
	"context"
	"errors"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer/transport"
	"peermesh/security"
)

// A session ends after a day or 2^32 messages. Before that the end which dialled makes another one on a new link, and
// both move over: each says bye on the old link as its last request or notification there, and takes nothing from the
// new link before that bye has come. So nothing is lost, and nothing overtakes.
const (
	byeRenewed  = "renewed"
	renewAgain  = time.Minute     // after a renewal that failed
	renewedFor  = 5 * time.Second // from the new link to the bye on the old one
	lookForIdle = time.Second     // how often it is looked whether the old link is still waited for
)

// errMoved is returned by a queue whose link has been succeeded by another.
var errMoved = errors.New("peer: the link was renewed")

// current is the link that has taken the place of l, or l.
func (l *link) current() *link {
	for n := l.next.Load(); n != nil; n = l.next.Load() {
		l = n
	}
	return l
}

// renewLocked starts the renewal of a link that we dialled, unless one is under way.
func (p *Peer) renewLocked(l *link) {
	if l.m.renewing || l.next.Load() != nil || time.Now().Before(l.m.renewAfter) || p.closing.Load() {
		return
	}
	l.m.renewing = true
	p.wg.Go(func() {
		if err := p.renew(l); err != nil {
			p.log.Warn("a session could not be renewed", "peer", l.info.Load().Name, "error", err)
			p.change(func() { l.m.renewing, l.m.renewAfter = false, time.Now().Add(renewAgain) })
		}
	})
}

func (p *Peer) renew(l *link) error {
	ctx, cancel := context.WithTimeout(p.ctx, dialFor)
	defer cancel()
	conn, err := transport.Dial(ctx, p.cfg.Network, l.addr)
	if err != nil {
		return err
	}
	n := p.newLink(conn, nil, l.target)
	n.addr, n.renews = l.addr, l
	cfg := p.handshake(n)
	cfg.Renews = l.session.ID()
	if err := n.shakeHands(ctx, cfg, l.session.Remote().ID); err != nil {
		return errors.Join(err, conn.Close())
	}
	if !p.begin(n) {
		return errors.Join(api.ErrClosed, conn.Close())
	}
	return nil
}

// renewedLocked returns the link that a new one renews, or nil.
func (p *Peer) renewedLocked(l *link) *link {
	old := l.renews
	if !l.dialled {
		sid := l.session.Remote().Renews
		if sid == "" {
			return nil
		}
		for o := range p.links {
			if o != l && o.session != nil && !o.dialled && o.session.ID() == sid && o.session.Remote().ID == l.session.Remote().ID {
				old = o
			}
		}
	}
	if old == nil || !old.alive() || !old.m.joined {
		return nil
	}
	return old
}

// succeedLocked moves everything over from a link to the one that renews it.
func (p *Peer) succeedLocked(old, l *link) {
	info := *l.info.Load()
	was := old.info.Load()
	info.APIs, info.Version, info.State = was.APIs, was.Version, was.State
	l.info.Store(&info)
	l.rtt.Store(old.rtt.Load())
	l.refused.Add(old.refused.Load())
	l.dropped.Add(old.dropped.Load())
	l.after = old
	l.in.follow(&old.in)
	l.m.apis, l.m.joined, old.m.joined = true, true, false
	old.m.renewed = true
	p.byID[info.ID] = l
	p.announceAPIs(l)
	old.next.Store(l)
	p.publishLocked()
	old.out.finish(codec.AppendNotification(nil, methodBye, []byte(`{"reason":"`+byeRenewed+`"}`), nil), security.Outgoing{To: old.to()})
}

// wasRenewed takes the other end's bye on a link that it has moved over from.
func (l *link) wasRenewed() {
	l.byeOnce.Do(func() { close(l.byeIn) })
	l.p.clock.nudge()
	l.p.after(renewedFor, func() {
		if l.next.Load() == nil {
			l.end(reasonLost, errors.New("peer: the link that was to renew this one has not come"))
		}
	})
}

// awaitTurn holds the reader of a renewing link until all that was sent on the old one before is taken in.
func (l *link) awaitTurn() {
	old := l.after
	if old == nil {
		return
	}
	l.after = nil
	timer := time.NewTimer(renewedFor)
	defer timer.Stop()
	select {
	case <-old.byeIn:
	case <-old.ended:
	case <-l.ended:
	case <-timer.C:
		old.end(reasonSilent, errors.New("peer: no bye on the link that was renewed"))
	}
}

// idleAfterRenewal reports whether nothing is waited for on a link that was renewed.
func (l *link) idleAfterRenewal() bool {
	select {
	case <-l.byeIn:
	default:
		return false
	}
	if l.calls.count() > 0 {
		return false
	}
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	return l.in.idleLocked()
}
