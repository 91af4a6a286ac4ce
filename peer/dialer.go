package peer

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"peermesh/api"
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
	drop    context.CancelFunc // ends the try to link it that is under way; nil when it must not be ended
}

const (
	dialFor    = 5 * time.Second
	nextDial   = 250 * time.Millisecond // until the next address is tried beside one that does not answer
	maxBackoff = 30 * time.Second
	healthyFor = 60 * time.Second
	cedeFor    = 10 * time.Second // how long the end with the larger id leaves the dialling to the other one at most
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

// spareLocked reports whether a link of the peer stands, or has just been made and is about to join: then there is no
// use in another one.
func (p *Peer) spareLocked(id string) bool {
	if id == "" {
		return false
	}
	if l := p.byID[id]; l != nil && l.alive() {
		return true
	}
	l := p.arrived[id]
	return l != nil && l.comingLocked()
}

// comingLocked reports whether a link with a session counts, or will in a moment.
func (l *link) comingLocked() bool {
	return l.alive() && l.m.proven && l.m.draining.IsZero() && !l.m.leaving && !l.m.renewed
}

// dropLocked ends the dialling of a peer that is linked by another connection now.
func (p *Peer) dropLocked(id string) {
	if t := p.targets[id]; t != nil && t.drop != nil {
		t.drop()
		t.drop = nil
	}
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
			if !t.cede(max(wait, 300*time.Millisecond+rand.N(700*time.Millisecond))) {
				continue
			}
		} else if !t.pause(wait, !first) {
			continue
		}
		l := t.try(rec)
		if l != nil && t.resting(l) {
			return
		}
		p.change(func() {
			if l == nil && p.spareLocked(t.id) {
				t.tries-- // it was not in vain; that link is waited for
				return
			}
			t.settled = true
		})
	}
}

// try dials the target once. It returns nil when that led to no link, or when there was no need for one any more.
func (t *target) try(rec discovery.Record) *link {
	p := t.p
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	p.mu.Lock()
	spare := p.spareLocked(t.id)
	t.drop = cancel
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		t.drop = nil
		if p.committed[t.id] == t {
			delete(p.committed, t.id)
		}
		p.mu.Unlock()
	}()
	if spare || p.dials.Wait(ctx) != nil {
		return nil
	}
	turn, err := p.turns.take(ctx)
	if err != nil {
		return nil
	}
	defer turn.leave()
	c, addr := t.connect(ctx, rec)
	turn.connected()
	if c == nil {
		return nil
	}
	if ctx.Err() != nil {
		_ = c.Close()
		return nil
	}
	started := time.Now()
	defer func() { turn.shook(time.Since(started)) }()
	return t.link(ctx, c, addr)
}

// commit is called when the other end of a handshake has said who it is, and before we do. It reports whether the
// handshake is still wanted, and then it is not ended from elsewhere any more: the other end may count on the link from
// what comes next. So of several addresses that lead to one peer, one is gone on with.
func (t *target) commit(id, boot string) bool {
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	t.id = id
	if l := p.arrived[id]; l != nil && l.comingLocked() && l.m.hello.Boot == boot {
		return false
	}
	if p.committed[id] != nil {
		return false
	}
	p.committed[id], t.drop = t, nil
	return true
}

// cede leaves the dialling to the other end for d. The time runs from the last step that a handshake took here, with
// whomever: where a whole mesh is joined at one moment, or the machine is busy, what the other end does may take longer.
// It reports false when the loop must look again.
func (t *target) cede(d time.Duration) bool {
	p := t.p
	begun := time.Duration(p.sinceStart())
	for left := d; left > 0; {
		if !t.pause(left, false) {
			return false
		}
		last := max(time.Duration(p.shook.Load()), begun)
		left = min(last+d, begun+max(cedeFor, d)) - time.Duration(p.sinceStart())
	}
	return true
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

// pause waits, at most until something new is known of the target, but for a link that has been made and is about to
// join. It reports false when the loop must look again.
func (t *target) pause(d time.Duration, kickable bool) bool {
	due := d <= 0
	var kick chan struct{}
	if kickable {
		kick = t.kick
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		t.p.mu.Lock()
		changed, linked, spare := t.p.changed, t.linkedLocked() || t.gone, t.p.spareLocked(t.id)
		t.p.mu.Unlock()
		if linked {
			return false
		}
		if due && !spare {
			return true
		}
		select {
		case <-timer.C:
			due = true
		case <-kick:
			due = true
		case <-changed:
		case <-t.p.ctx.Done():
			return false
		}
	}
}

// link makes a link of a connection: by the handshake of a session where the mesh has a key, else by plain hello. It
// returns nil where the other end and we do not come to terms, and where ctx ends the handshake.
func (t *target) link(ctx context.Context, c *transport.Conn, addr transport.Address) *link {
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
	err := l.shakeHands(ctx, p.handshake(l), expect)
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
		if !errors.Is(err, errUnneeded) && !p.spareLocked(t.id) {
			t.failedLocked(l, reasonLost, err)
		}
	})
	return nil
}

// errUnneeded ends a handshake with a peer that is linked by another connection.
var errUnneeded = errors.New("peer: it is linked by another connection")

// dialled is a connection and the address that led to it.
type dialled struct {
	*transport.Conn
	addr transport.Address
}

// connect dials the addresses, each a little after the one before, and returns the first connection; nil when none
// answers.
func (t *target) connect(ctx context.Context, rec discovery.Record) (*transport.Conn, transport.Address) {
	addrs := rec.Addrs
	p := t.p
	ctx, cancel := context.WithTimeout(ctx, dialFor)
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
