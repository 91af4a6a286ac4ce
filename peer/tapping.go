package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer/tap"
	"peermesh/security"
)

// Tap returns the ring of what this peer sends and receives, and makes it, with the default bounds, at the first
// call. Without a call nothing is kept.
func (p *Peer) Tap() *tap.Ring {
	if r := p.tap.Load(); r != nil {
		return r
	}
	p.tap.CompareAndSwap(nil, tap.NewRing(0, 0))
	return p.tap.Load()
}

// sentEvent is what all messages of our own have in common.
func (p *Peer) sentEvent(l *link, text []byte) tap.Event {
	e := tap.Event{Time: time.Now(), Kind: tap.Sent, From: p.self.Load().Name, Frame: bytes.Clone(text), Alg: "none", OK: true}
	if l != nil {
		e.Via, e.To = l.conn.Via, []string{l.info.Load().Name}
		if e.Alg, e.Sealed = algOf(l.info.Load(), l.signs()); e.Alg != "none" {
			e.User = e.From
		}
	}
	return e
}

// algOf names what protects the messages of a link, and whether they are unreadable on the way.
func algOf(info *api.Info, signed bool) (alg string, sealed bool) {
	switch info.Protection {
	case security.Sealed.String():
		return "S-HS256", true
	case security.Signed.String():
		return "S-HS256", false
	}
	if signed {
		return "HS256", false
	}
	return "none", false
}

func (p *Peer) tapSent(l *link, text []byte) {
	if r := p.tap.Load(); r != nil {
		r.Add(p.sentEvent(l, text))
	}
}

// tapNotified records a notification once, with all its receivers.
func (p *Peer) tapNotified(to []*api.Info, receivers api.Receivers, text []byte) {
	r := p.tap.Load()
	if r == nil {
		return
	}
	e := p.sentEvent(nil, text)
	_, named := receivers.Named()
	e.ToAll = !named && !receivers.IsAny()
	for _, i := range to {
		e.To = append(e.To, i.Name)
		e.Via = i.Via
		if alg, sealed := algOf(i, i.Verified); alg != "none" {
			e.Alg, e.Sealed, e.User = alg, sealed, e.From
		}
	}
	r.Add(e)
}

func (p *Peer) tapAnswered(m *message, text []byte, took time.Duration) {
	if r := p.tap.Load(); r != nil && m.name != security.MethodEnroll { // that answer is the mesh's key
		e := p.sentEvent(m.link, text)
		e.To, e.Method, e.Handler = []string{m.sender.Name}, m.name, took
		r.Add(e)
	}
}

func (p *Peer) receivedEvent(l *link, v *security.Verdict, frame []byte) tap.Event {
	e := tap.Event{Time: time.Now(), Kind: tap.Received, From: l.info.Load().Name, To: []string{p.self.Load().Name},
		Frame: bytes.Clone(frame), Via: l.conn.Via, Alg: "none", OK: true}
	if v != nil && v.Verified {
		e.Alg, e.Sealed = algOf(l.info.Load(), true)
		e.User, e.From = v.User, v.User
	}
	return e
}

func (p *Peer) tapReceived(l *link, v *security.Verdict, frame []byte) {
	if r := p.tap.Load(); r != nil {
		r.Add(p.receivedEvent(l, v, frame))
	}
}

func (p *Peer) tapReply(l *link, v *security.Verdict, c *call, frame []byte) {
	if r := p.tap.Load(); r != nil && !ownMethod(c.method) {
		e := p.receivedEvent(l, v, frame)
		e.Kind, e.Method, e.RTT = tap.Reply, c.method, time.Since(c.started)
		r.Add(e)
	}
}

// tapFailed records that a call of ours ended without an answer.
func (p *Peer) tapFailed(c *call, err error) {
	if r := p.tap.Load(); r != nil && !ownMethod(c.method) {
		e := p.sentEvent(c.link, nil)
		e.Kind, e.Method, e.ID, e.RTT = tap.Failed, c.method, c.id, time.Since(c.started)
		e.Reason = err.Error()
		if errors.Is(err, context.DeadlineExceeded) {
			e.Reason = fmt.Sprintf("no answer in %s", e.RTT.Round(time.Millisecond))
		}
		r.Add(e)
	}
}

// ownMethod reports the protocol's own calls, which would only hide the others.
func ownMethod(name string) bool {
	return name == methodHello || name == methodPing
}

func (p *Peer) tapUnhandled(l *link, v *security.Verdict, m *codec.Message, frame []byte) {
	if p.cfg.HearAll {
		p.tapReceived(l, v, frame) // hearing it is all that is wanted
		return
	}
	if r := p.tap.Load(); r != nil {
		r.Add(tap.Event{Time: time.Now(), Kind: tap.Unheard, From: l.info.Load().Name, To: []string{p.self.Load().Name},
			Method: string(m.Method), Reason: "nobody handles " + string(m.Method), OK: true})
	}
}

func (p *Peer) tapDropped(l *link, m *message) {
	if r := p.tap.Load(); r != nil {
		r.Add(tap.Event{Time: time.Now(), Kind: tap.Dropped, From: m.sender.Name, To: []string{p.self.Load().Name},
			Method: m.name, Reason: "too many messages wait for their handlers"})
	}
}

// tapRefused records a refusal without the frame: what a stranger sends is not shown as if it had been said.
func (p *Peer) tapRefused(l *link, refusal *security.Refusal) {
	if r := p.tap.Load(); r != nil {
		r.Add(tap.Event{Time: time.Now(), Kind: tap.Refused, From: l.info.Load().Name, To: []string{p.self.Load().Name},
			Via: l.conn.Via, User: refusal.User, Code: refusal.Code, Reason: string(refusal.Reason)})
	}
}

func (p *Peer) tapEvent(ev Event) {
	r := p.tap.Load()
	if r == nil {
		return
	}
	e := tap.Event{Time: time.Now(), Kind: tap.Change, From: ev.Peer.Name, To: []string{p.self.Load().Name}, OK: ev.Kind != Refused,
		Change: string(ev.Kind), Reason: ev.Reason, Address: ev.Peer.Address, Via: ev.Peer.Via, Alg: "none"}
	if ev.Peer.Verified {
		e.Alg, e.Sealed = algOf(ev.Peer, true)
		e.User = ev.Peer.Name
	}
	for name, a := range ev.Peer.APIs {
		e.APIs = append(e.APIs, fmt.Sprintf("%s %s", name, a.Version))
	}
	slices.Sort(e.APIs)
	r.Add(e)
}
