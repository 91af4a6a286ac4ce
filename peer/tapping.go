package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer/tap"
	"peermesh/security"
)

// Tap returns the ring of what this peer sends and receives, and makes it at the first call. Without a call, and while
// nobody watches the mesh, nothing is kept.
func (p *Peer) Tap() *tap.Ring {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tapUsers++ // for ever
	return p.tapLocked()
}

// tapLocked returns the ring, and makes it where there is none.
func (p *Peer) tapLocked() *tap.Ring {
	r := p.tap.Load()
	if r == nil {
		r = tap.NewRing()
		p.tap.Store(r)
	}
	return r
}

// useTap is Tap for a time; release ends it.
func (p *Peer) useTap() (ring *tap.Ring, release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tapUsers++
	return p.tapLocked(), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.tapUsers--; p.tapUsers == 0 {
			p.tap.Store(nil)
		}
	}
}

// about is what the tap shall know of a message beside its text.
type about struct {
	queued     int64  // when it was queued, where the tap is on
	group      uint64 // of a broadcast
	again      uint64 // of a request: the id of the one that it repeats
	start, end int64  // of an answer: when its handlers ran
	quiet      bool   // it is not shown at all: a tap's own messages, and those that hold secrets
}

// aboutNow is the about of a message that is queued now.
func (p *Peer) aboutNow() about {
	if p.tap.Load() == nil {
		return about{}
	}
	return about{queued: tap.Now()}
}

// aboutAt is the same where the time is known.
func (p *Peer) aboutAt(t time.Time) about {
	if p.tap.Load() == nil {
		return about{}
	}
	return about{queued: t.UnixNano()}
}

// tapWriting notes when the next write begins, for the messages in it. It is for who writes.
func (l *link) tapWriting() {
	if l.p.tap.Load() != nil {
		l.writeAt = tap.Now()
	}
}

// tapSent records a message that is about to be written. It is for who writes.
func (l *link) tapSent(it *item, text []byte) {
	seq := l.seqOut
	l.seqOut++
	if r := l.p.tap.Load(); r != nil && !it.about.quiet {
		at := max(l.writeAt, it.about.queued) // one that was queued meanwhile, or before the tap was there
		r.Add(tap.Event{Kind: tap.Sent, At: at, Queued: it.about.queued, Group: it.about.group, Again: it.about.again, Start: it.about.start, End: it.about.end,
			Other: l.info.Load(), Seq: seq}, text)
	}
}

// tapReceived records a message that was accepted. It runs on the reader; l.msg holds the message, unless it is a batch.
func (l *link) tapReceived(text []byte) {
	seq := l.seqIn
	l.seqIn++
	r := l.p.tap.Load()
	if r == nil {
		return
	}
	method := ""
	if !codec.IsBatch(text) && l.parseErr == nil {
		switch l.msg.Kind {
		case codec.Notification:
			if tap.Own(string(l.msg.Method)) {
				return
			}
		case codec.Response, codec.ErrorReply:
			if method = l.calls.methodOf(l.msg.ID); tap.Own(method) {
				return
			}
		}
	}
	r.Add(tap.Event{Kind: tap.Received, At: l.readAt.UnixNano(), Other: l.info.Load(), Seq: seq, Method: method}, text)
}

// tapFailed records that a call of ours ended without an answer.
func (p *Peer) tapFailed(c *call, err error) {
	if r := p.tap.Load(); r != nil && c.own == nil {
		reason := err.Error()
		if errors.Is(err, context.DeadlineExceeded) {
			reason = fmt.Sprintf("no answer in %s", time.Since(c.started).Round(time.Millisecond))
		}
		r.Add(tap.Event{Kind: tap.Failed, At: tap.Now(), Other: c.to, Method: c.method, ID: c.id, Reason: reason}, nil)
	}
}

// tapUnknown records a message whose method is not bound here, and what the API says of it.
func (p *Peer) tapUnknown(l *link, m *codec.Message) {
	r := p.tap.Load()
	if r == nil || m.Kind == codec.Notification && (p.cfg.HearAll || len(*p.bindings.Load()) == 0) { // hearing it is all that is wanted there
		return
	}
	reason := "nobody handles it here"
	if p.sends(m.Method) {
		reason = "wrong direction: this peer sends it, and does not handle it"
	}
	r.Add(tap.Event{Kind: tap.Unheard, At: tap.Now(), Other: l.info.Load(), Method: string(m.Method), Reason: reason}, nil)
}

// sends reports whether a method is one of a bound API that goes the other way.
func (p *Peer) sends(method []byte) bool {
	bound := *p.bindings.Load()
	i := bytes.LastIndexByte(method, '.')
	for _, name := range []string{string(method[:max(i, 0)]), ""} {
		if b := bound[name]; b != nil && b.outgoing[string(method)] {
			return true
		}
	}
	return false
}

// tapNotHandled records that a notification came in and was not handled, or failed while it was.
func (p *Peer) tapNotHandled(sender *api.Info, method string, err error) {
	r := p.tap.Load()
	if r == nil {
		return
	}
	e := tap.Event{Kind: tap.Unheard, At: tap.Now(), Other: sender, Method: method, Code: api.CodeApplication, Reason: err.Error()}
	var own *api.Error
	if errors.As(err, &own) {
		e.Code = own.Code
	}
	r.Add(e, nil)
}

func (p *Peer) tapDropped(l *link, m *message) {
	if r := p.tap.Load(); r != nil {
		r.Add(tap.Event{Kind: tap.Dropped, At: tap.Now(), Other: l.info.Load(), Method: m.name, Reason: "too many messages wait for their handlers"}, nil)
	}
}

// tapRefused records a refusal without the frame: what a stranger sends is not shown as if it had been said.
func (p *Peer) tapRefused(l *link, refusal *security.Refusal) {
	if r := p.tap.Load(); r != nil {
		r.Add(tap.Event{Kind: tap.Refused, At: tap.Now(), Other: l.info.Load(), Code: refusal.Code, Reason: string(refusal.Reason)}, nil)
	}
}

func (p *Peer) tapEvent(ev Event) {
	if r := p.tap.Load(); r != nil {
		r.Add(tap.Event{Kind: tap.Change, At: tap.Now(), Other: ev.Peer, What: string(ev.Kind), Reason: ev.Reason}, nil)
	}
}

// tapHandled records when the handlers of a notification ran.
func (p *Peer) tapHandled(m *message, start, end time.Time) {
	if r := p.tap.Load(); r != nil {
		r.Add(tap.Event{Kind: tap.Handled, At: end.UnixNano(), Start: start.UnixNano(), End: end.UnixNano(), Other: m.handling.sender, Method: m.name}, nil)
	}
}
