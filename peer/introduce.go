package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// introduce says hello and waits for the answer. It reports whether the link stands.
func (t *target) introduce(l *link) bool {
	p := t.p
	done := make(chan error, 1)
	c := &call{id: p.ids.Add(1), method: methodHello, link: l, to: l.info.Load(), signed: l.signs(), started: time.Now()}
	c.own = func(c *call) { done <- t.answered(l, c) }
	if !l.calls.add(c) {
		return false
	}
	text := codec.AppendRequest(nil, c.id, methodHello, p.helloParams(), nil)
	if err := l.push(text, security.Outgoing{To: "*"}, urgent); err != nil {
		return false
	}
	timer := time.NewTimer(newFor)
	defer timer.Stop()
	var err error
	select {
	case err = <-done:
	case <-timer.C:
		err = errNoHello
	case <-p.ctx.Done():
		err = p.ctx.Err()
	}
	if err != nil {
		p.log.Debug("hello", "address", l.conn.Remote(), "error", err)
		reason := reasonRefused
		if errors.Is(err, errSelf) {
			reason = reasonSelf
			p.change(func() { t.self = true })
		} else if errors.Is(err, api.ErrGone) {
			reason = reasonLost
		} else if errors.Is(err, errUnneeded) {
			reason = reasonDuplicate
		}
		l.end(reason, err)
		return false
	}
	return true
}

var (
	errNoHello = errors.New("peer: no answer to hello in 5 s")
	errSelf    = errors.New("peer: it is ourselves")
)

// answered takes the answer to our hello. It runs on the link's reader.
func (t *target) answered(l *link, c *call) error {
	p := t.p
	var remote *api.Error
	if errors.As(c.err, &remote) && remote.Code == api.CodeMethodNotFound {
		p.proven(l) // no peer of our kind, but one that answers: a bare JSON-RPC server
		return nil
	}
	if c.err != nil {
		return c.err
	}
	var h helloParams
	if err := json.Unmarshal(c.result, &h); err != nil {
		return fmt.Errorf("peer: the answer to hello: %w", err)
	}
	if err := h.check(); err != nil {
		return fmt.Errorf("peer: the answer to hello: %w", err)
	}
	info := l.info.Load()
	switch {
	case h.ID == p.self.Load().ID:
		return errSelf
	case !p.mayClaim(h.ID, h.Name): // "a peer id once met in a session is never spoken to in a weaker mode"
		return &refusedError{reason: "that id or name belongs to a peer with a session", ours: true}
	case info.Verified && h.Name != info.Name:
		return errors.New("peer: the answer to hello bears another name than its signature")
	case t.rec.ID != "" && t.rec.ID != h.ID && t.key == t.rec.ID:
		return &api.Error{Code: api.CodeRefused, Message: "another peer answers at that address"}
	}
	p.mu.Lock()
	t.id = h.ID
	spare := p.dialledLocked(l, &h)
	l.m.hello = &h
	p.mu.Unlock()
	if spare {
		return errUnneeded
	}
	l.rtt.Store(int64(time.Since(c.started)))
	p.introduced(l, &h)
	p.proven(l)
	return nil
}

// dialledLocked reports whether there is another link with the peer that answered on l, by another of its addresses. The
// other end takes the later one for a redial, and asks the earlier one whether it lives: so who has dialled both decides.
func (p *Peer) dialledLocked(l *link, h *helloParams) bool {
	for o := range p.links {
		if o != l && o.dialled && o.alive() && o.m.hello != nil && o.m.hello.ID == h.ID && o.m.hello.Boot == h.Boot && o.proof() >= l.proof() {
			return true
		}
	}
	return false
}

// turnedAway takes an unsigned error of whoever we dialled as the end of the attempt. It proves nothing, but there is
// no weaker way that we would try instead.
func (l *link) turnedAway(e *api.Error) error {
	l.refusal.Store(e)
	return &closeError{reason: reasonRefused, err: e}
}
