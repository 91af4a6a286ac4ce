package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/discovery"
	"peermesh/peer/transport"
	"peermesh/security"
)

// target is somebody to be linked with: a peer that discovery found, or a listed address. While it is not linked and
// still found, one goroutine dials it.
type target struct {
	p   *Peer
	key string

	// Guarded by Peer.mu.
	rec     discovery.Record
	id      string // of the peer; for an address, once it is known
	dialing bool
	self    bool // it turned out to be us
	settled bool // linked, or the first try failed: Join need not wait for it
	gone    bool
	refused *Event // what was told last of why it does not let us in; nil once it is linked
	tries   int
	healthy time.Time // since when it has been linked
	kick    chan struct{}
}

const (
	dialFor    = 5 * time.Second
	nextDial   = 250 * time.Millisecond // until the next address is tried beside one that does not answer
	maxBackoff = 30 * time.Second
	healthyFor = 60 * time.Second
)

func keyOf(r discovery.Record) string {
	if r.ID != "" {
		return r.ID
	}
	return "address " + strings.Join(r.Addrs, " ")
}

// follow turns what discovery finds into targets, until the peer closes.
func (p *Peer) follow() {
	defer p.wg.Done()
	for {
		ev, err := p.found.Next(p.ctx)
		if err != nil {
			return
		}
		p.change(func() { p.discoveredLocked(ev) })
	}
}

func (p *Peer) discoveredLocked(ev discovery.Event) {
	key := keyOf(ev.Record)
	t := p.targets[key]
	if ev.Kind == discovery.Left {
		if t != nil {
			t.gone = true
			delete(p.targets, key)
			t.hurry()
		}
		return
	}
	if t == nil {
		if len(p.targets) >= p.cfg.Limits.Peers {
			p.stats.tooMany.Add(1)
			return
		}
		t = &target{p: p, key: key, id: ev.Record.ID, kick: make(chan struct{}, 1)}
		p.targets[key] = t
	}
	t.rec = ev.Record
	t.hurry()
	p.dialLocked(t)
}

func (t *target) hurry() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// dialLocked starts dialling a target that is not linked.
func (p *Peer) dialLocked(t *target) {
	if t.dialing || t.gone || t.self || p.closing.Load() || !p.joined.Load() {
		return
	}
	if t.linkedLocked() {
		t.settled = true
		return
	}
	t.dialing = true
	p.wg.Go(t.dial)
}

func (t *target) linkedLocked() bool {
	l := t.p.byID[t.id]
	return t.id != "" && l != nil && l.alive()
}

// redialLocked lets the target of a link that ended be dialled again.
func (p *Peer) redialLocked(l *link, reason string, err error) {
	if t := l.target; t != nil && !l.m.proven && reason != reasonDuplicate {
		t.failedLocked(l, reason, err)
	}
	for _, t := range p.targets {
		if t == l.target || t.id != "" && l.m.hello != nil && t.id == l.m.hello.ID {
			if !t.healthy.IsZero() && time.Since(t.healthy) > healthyFor {
				t.tries = 0
			}
			t.healthy = time.Time{}
			p.dialLocked(t)
		}
	}
}

// failedLocked tells, once, that a target did not let us in.
func (t *target) failedLocked(l *link, reason string, err error) {
	t.settled = true
	why := reason
	var remote *api.Error
	var refused *refusedError
	var refusal *security.Refusal
	switch {
	case l.refusal.Load() != nil:
		why = refusalText(l.refusal.Load())
	case errors.As(err, &remote):
		why = refusalText(remote)
	case errors.As(err, &refused) && refused.ours:
		why = "refused: " + refused.reason
	case errors.As(err, &refused):
		why = "refused: refuses us: " + refused.reason
	case errors.As(err, &refusal) && refusal.Reason == security.ReasonProtection:
		why = "refused: it wants less protection than this peer"
	case errors.As(err, &refusal):
		why = "refused: it does not prove to hold the mesh's key"
	case reason != reasonRefused:
		return // it broke; that is the network's affair
	}
	if t.refused != nil && t.refused.Reason == why {
		return
	}
	t.refused = &Event{Kind: Refused, Peer: stranger(t, l), Reason: why, Err: err}
	t.p.emit(*t.refused)
}

// stranger is what is known of a peer that was never linked.
func stranger(t *target, l *link) *api.Info {
	info := *l.info.Load()
	if t.rec.Name != "" {
		info.Name, info.ID = t.rec.Name, t.rec.ID
	}
	info.State = api.Left
	return &info
}

// refusalText says what a refusal most likely means, for a person.
func refusalText(e *api.Error) string {
	switch e.Code {
	case api.CodeUnauthenticated:
		return "refused: another key"
	case api.CodeStale:
		return "refused: its clock and ours differ by more than a minute"
	case api.CodeSessionRequired:
		return "refused: it takes sessions only"
	case api.CodeRefused:
		var d struct {
			Reason string `json:"reason"`
		}
		if json.Unmarshal(e.Data, &d) == nil && d.Reason != "" {
			return "refused: " + clip(d.Reason)
		}
	}
	return "refused: " + clip(e.Message)
}

// dial tries to link the target until it is linked or gone.
func (t *target) dial() {
	p := t.p
	for first := true; ; first = false {
		p.mu.Lock()
		done := t.gone || t.self || t.linkedLocked() || p.closing.Load()
		if done {
			t.dialing = false
			t.settled = true
		}
		rec, tries := t.rec, t.tries
		t.tries++
		select { // what has come before this try does not hurry the next one
		case <-t.kick:
		default:
		}
		p.mu.Unlock()
		if done {
			p.change(func() {})
			return
		}
		wait := time.Duration(0)
		if !first || tries > 0 {
			wait = rand.N(min(maxBackoff, 100*time.Millisecond<<min(tries, 10)) + 1)
		}
		// "The smaller peer id dials at once, the larger waits 300–1,000 ms and dials only if still unlinked."
		if first && rec.ID != "" && rec.ID < p.self.Load().ID && p.announced.Load() {
			wait = max(wait, 300*time.Millisecond+rand.N(700*time.Millisecond))
		}
		if !t.pause(wait, !first) {
			continue
		}
		if err := p.dials.Wait(p.ctx); err != nil {
			continue
		}
		if c, addr := t.connect(rec); c != nil {
			if l := t.link(c, addr); l != nil && t.resting(l) {
				return
			}
		}
		p.change(func() { t.settled = true })
	}
}

// resting ends the dialling for as long as the link stands. It reports false when the link has ended meanwhile.
func (t *target) resting(l *link) (stands bool) {
	t.p.change(func() {
		_, stands = t.p.links[l]
		t.dialing = !stands
		if stands {
			t.healthy, t.refused = time.Now(), nil
			t.settled = t.settled || l.m.joined
		}
	})
	return stands
}

// pause waits, at most until something new is known of the target. It reports false when the loop must look again.
func (t *target) pause(d time.Duration, kickable bool) bool {
	if d <= 0 {
		return true
	}
	var kick chan struct{}
	if kickable {
		kick = t.kick
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		t.p.mu.Lock()
		changed, linked := t.p.changed, t.linkedLocked() || t.gone
		t.p.mu.Unlock()
		if linked {
			return false
		}
		select {
		case <-timer.C:
			return true
		case <-kick:
			return true
		case <-changed:
		case <-t.p.ctx.Done():
			return false
		}
	}
}

// link makes a link of a connection: by the handshake of a session where the mesh has a key, else by plain hello. It
// returns nil where the other end and we do not come to terms.
func (t *target) link(c *transport.Conn, addr transport.Address) *link {
	p := t.p
	if !p.sessions() || addr.Protect != "" {
		sec := p.provider(true, c.CB)
		if addr.Protect == transport.ProtectNone {
			sec = security.Null{}
		}
		l := p.adoptWith(c, sec, t)
		if l == nil {
			_ = c.Close()
		} else if t.introduce(l) {
			return l
		}
		return nil
	}
	l := p.newLink(c, nil, t)
	l.addr = addr
	expect := ""
	if t.key == t.rec.ID {
		expect = t.rec.ID
	}
	started := time.Now()
	err := l.shakeHands(p.ctx, p.handshake(l), expect)
	if err == nil {
		l.rtt.Store(int64(time.Since(started)) / 2) // two round trips
		p.mu.Lock()
		t.id = l.session.Remote().ID
		p.mu.Unlock()
		if p.begin(l) {
			return l
		}
		err = api.ErrClosed
	}
	_ = c.Close()
	p.log.Debug("handshake", "address", c.Remote(), "error", err)
	var refusal *security.Refusal
	p.change(func() {
		if errors.As(err, &refusal) && refusal.Reason == security.ReasonSelf {
			t.self = true
			return
		}
		t.failedLocked(l, reasonLost, err)
	})
	return nil
}

// dialled is a connection and the address that led to it.
type dialled struct {
	*transport.Conn
	addr transport.Address
}

// connect dials the addresses, each a little after the one before, and returns the first connection; nil when none
// answers.
func (t *target) connect(rec discovery.Record) (*transport.Conn, transport.Address) {
	addrs := rec.Addrs
	p := t.p
	ctx, cancel := context.WithTimeout(p.ctx, dialFor)
	defer cancel()
	results := make(chan dialled, len(addrs))
	var wg sync.WaitGroup
	failed := make(chan struct{}, len(addrs))
	for i, expr := range addrs {
		a, err := transport.ParseAddress(expr)
		if err != nil {
			continue
		}
		if rec.TLS && a.Scheme == "tcp" {
			a.Scheme = "tcps"
		}
		wg.Go(func() {
			for range i { // an address that failed lets the next one go at once
				select {
				case <-time.After(nextDial):
				case <-failed:
				case <-ctx.Done():
					return
				}
			}
			c, err := transport.Dial(ctx, p.cfg.Network, a)
			if err != nil {
				p.log.Debug("dial", "address", expr, "error", err)
				failed <- struct{}{}
				return
			}
			results <- dialled{c, a}
		})
	}
	go func() { // owned by the loop below, which drains results until it is closed
		wg.Wait()
		close(results)
	}()
	var first dialled
	for d := range results {
		if first.Conn != nil {
			_ = d.Close()
			continue
		}
		cancel()
		first = d
	}
	return first.Conn, first.addr
}

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
	p.mu.Unlock()
	l.rtt.Store(int64(time.Since(c.started)))
	p.introduced(l, &h)
	p.proven(l)
	return nil
}

// turnedAway takes an unsigned error of whoever we dialled as the end of the attempt. It proves nothing, but there is
// no weaker way that we would try instead.
func (l *link) turnedAway(e *api.Error) error {
	l.refusal.Store(e)
	return &closeError{reason: reasonRefused, err: e}
}
