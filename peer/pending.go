package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// pending holds the calls that wait for an answer on a link, by their ids. The id of a call that was given up stays
// until its late answer or the link's end, so that the answer is known for what it is.
type pending struct {
	mu     sync.Mutex
	calls  map[uint64]*call // nil for a call that was given up
	given  []uint64         // ids given up, oldest first; at most maxGivenUp
	due    int64            // no deadline is earlier, as time since the peer's start; 0: there is none
	closed bool
}

const maxGivenUp = 1024

func (p *pending) init() { p.calls = map[uint64]*call{} }

// call is one request on its way to one peer.
type call struct {
	id       uint64
	method   string
	link     *link
	to       *api.Info
	number   atomic.Uint64 // one more than its number in the link's queue; 0: it is not there yet
	signed   bool
	notSent  bool       // nothing of it was written
	done     chan *call // gets the call, once, when it has its outcome; has room for it
	started  time.Time
	due      int64 // its deadline, as time since the peer's start; 0: somebody else looks after it
	dst      []byte
	result   []byte
	handler  time.Duration // how long the handler ran, as the peer says
	err      error         // *api.Error, or a reason of our own
	progress *progressQueue
	own      func(*call) // of the engine's own calls: runs on the reader instead of done; must not block
}

// add enters a call; false when the link has ended.
func (p *pending) add(c *call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.calls[c.id] = c
	if c.due != 0 && (p.due == 0 || c.due < p.due) {
		p.due = c.due
		c.link.p.clock.by(c.due)
	}
	c.link.in.nudge() // its answer must get through
	return true
}

// overdue takes out the calls whose deadline has passed, and returns when it has to be asked again; 0: not at all.
func (p *pending) overdue(now int64) (late []*call, due int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due == 0 || p.due > now {
		return nil, p.due
	}
	p.due = 0
	for id, c := range p.calls {
		if c == nil || c.due == 0 {
			continue
		}
		due := c.due
		if due <= now {
			if c.number.Load() > 0 {
				late = append(late, c)
				p.giveLocked(id)
				continue
			}
			due = now + 1 // it is being queued at this moment
		}
		if p.due == 0 || due < p.due {
			p.due = due
		}
	}
	return late, p.due
}

// give takes a call out whose answer nobody waits for any more. It reports whether the call was still waiting.
func (p *pending) give(c *call, reserve bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls[c.id] != c {
		return false
	}
	if !reserve {
		delete(p.calls, c.id)
		return true
	}
	p.giveLocked(c.id)
	return true
}

func (p *pending) giveLocked(id uint64) {
	p.calls[id] = nil
	if p.given = append(p.given, id); len(p.given) > maxGivenUp {
		delete(p.calls, p.given[0])
		p.given = append(p.given[:0], p.given[1:]...)
	}
}

// take takes out the call that an answer belongs to. late says that it was given up.
func (p *pending) take(id uint64, fits func(*call) bool) (c *call, late bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, known := p.calls[id]
	if c == nil {
		delete(p.calls, id)
		return nil, known
	}
	if !fits(c) {
		return nil, false
	}
	delete(p.calls, id)
	return c, false
}

// count returns how many calls wait, the engine's own not counted.
func (p *pending) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, c := range p.calls {
		if c != nil && c.own == nil {
			n++
		}
	}
	return n
}

// methodOf returns what a call in flight asked for, "" where there is none of this id.
func (p *pending) methodOf(rawID []byte) string {
	id, ok := plainNumber(rawID)
	if !ok {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.calls[id]; c != nil {
		return c.method
	}
	return ""
}

// fail ends all calls with an error; none is taken afterwards.
func (p *pending) fail(err error) {
	p.mu.Lock()
	p.closed = true
	calls := p.calls
	p.calls = map[uint64]*call{}
	p.mu.Unlock()
	for _, c := range calls {
		if c != nil {
			c.link.p.tapFailed(c, err)
			c.finish(nil, err)
		}
	}
}

func (c *call) finish(result []byte, err error) {
	if result != nil {
		c.result = append(c.dst, result...)
	}
	c.err = err
	if c.own != nil {
		c.own(c)
		return
	}
	c.done <- c
}

// outcome makes the caller's error of what ended the call.
func (c *call) outcome() error {
	if c.err == nil {
		return nil
	}
	return c.failure()
}

func (c *call) failure() error {
	var remote *api.Error
	switch {
	case !errors.As(c.err, &remote):
	case remote.Code == api.CodeDeadline: // the deadline was ours; the peer has only noticed first
		return callError(c.to, c.method, api.ErrOutcomeUnknown, fmt.Errorf("%w: %w", context.DeadlineExceeded, remote))
	default:
		return remote
	}
	how := api.ErrOutcomeUnknown
	if c.notSent || errors.Is(c.err, api.ErrGone) && c.takeBack() {
		how = api.ErrNotSent
	}
	return callError(c.to, c.method, how, c.err)
}

func callError(to *api.Info, method string, how, why error) *api.CallError {
	e := &api.CallError{Method: method, Err: fmt.Errorf("%w: %w", how, why)}
	if to != nil {
		e.Peer = to.Name
	}
	return e
}

// complete hands an answer to the call that waits for it: link, id and principal must match. It runs on the reader.
func (l *link) complete(m *codec.Message, v *security.Verdict, frame []byte) {
	id, ok := plainNumber(m.ID)
	if !ok {
		l.stray(m, frame)
		return
	}
	c, late := l.calls.take(id, func(c *call) bool {
		return (v.Verified || !c.signed) && c.from(v)
	})
	if c == nil {
		if late {
			l.p.stats.late.Add(1)
		} else {
			l.stray(m, frame)
		}
		return
	}
	if m.Meta != nil {
		c.handler = codec.ParseMeta(m.Meta).Handler
	}
	if m.Kind == codec.Response {
		c.finish(m.Result, nil)
		return
	}
	c.finish(nil, codec.DecodeError(m.Error))
}

// from reports whether an answer is of whom the call was sent to. A group key proves the name's holder to be a member
// and no more, and is changed while calls are in flight: there the name counts.
func (c *call) from(v *security.Verdict) bool {
	if !c.to.Verified || c.link.session != nil { // in a session nobody else can speak
		return true
	}
	now := v.Principal.String()
	return c.to.Name == v.User && (c.to.Principal == now || isGroup(c.to.Principal) && isGroup(now))
}

func isGroup(principal string) bool { return strings.HasPrefix(principal, "key:") }

// stray counts an answer to no question of ours. It is not answered, whatever it is.
func (l *link) stray(m *codec.Message, frame []byte) {
	l.p.stats.strays.Add(1)
	if m.Kind == codec.ErrorReply {
		e := codec.DecodeError(m.Error)
		l.p.protocolError(l, fmt.Errorf("peer: an error that belongs to no call: %w", e), frame)
		return
	}
	l.p.protocolError(l, errors.New("peer: an answer to no call"), frame)
}

// progressQueue carries progress from the reader to the goroutine that waits for the call.
type progressQueue struct {
	mu     sync.Mutex
	values []json.RawMessage
	wake   chan struct{}
}

const maxProgress = 256 // values that wait; the oldest gives way

func (q *progressQueue) push(v []byte) {
	q.mu.Lock()
	if len(q.values) >= maxProgress {
		q.values = q.values[1:]
	}
	q.values = append(q.values, bytes.Clone(v))
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *progressQueue) deliver(f func(json.RawMessage)) {
	q.mu.Lock()
	values := q.values
	q.values = nil
	q.mu.Unlock()
	for _, v := range values {
		f(v)
	}
}

// progressed hands a $/progress notification to its call. Tokens are our request ids.
func (l *link) progressed(params []byte) {
	var p struct {
		Token json.RawMessage `json:"token"`
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal(params, &p) != nil || p.Value == nil {
		return
	}
	id, ok := plainNumber(p.Token)
	if !ok {
		return
	}
	var wanted *progressQueue
	l.calls.mu.Lock()
	if c := l.calls.calls[id]; c != nil {
		wanted = c.progress
	}
	l.calls.mu.Unlock()
	if wanted != nil {
		wanted.push(p.Value)
	}
}
