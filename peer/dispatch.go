package peer

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer/tap"
	"peermesh/security"
)

// The protocol's own methods.
const (
	methodHello    = "rpc.hello"
	methodAuth     = "rpc.auth"
	methodAPIs     = "rpc.apis"
	methodPing     = "rpc.ping"
	methodBye      = "rpc.bye"
	methodDiscover = "rpc.discover"
	methodPeers    = "rpc.peers"
	methodCancel   = "$/cancelRequest"
	methodProgress = "$/progress"
)

func reserved(method []byte) bool {
	return bytes.HasPrefix(method, []byte("rpc.")) || bytes.HasPrefix(method, []byte("$/"))
}

// notified handles a notification. An error ends the link. It runs on the reader.
func (l *link) notified(m *codec.Message, v *security.Verdict, frame, secinfo []byte) error {
	if reserved(m.Method) {
		return l.notifiedOwn(m, v, frame)
	}
	b, method := l.lookup(m.Method)
	if method == nil {
		l.p.stats.unhandled.Add(1)
		l.p.tapUnknown(l, m)
		return nil
	}
	if !l.allows(v) {
		l.count("forbidden")
		l.p.tapNotHandled(l.info.Load(), method.Wire, errForbidden)
		return nil
	}
	msg := l.newMessage(m, v, secinfo)
	msg.binding, msg.method, msg.name = b, method, method.Wire
	l.collect(msg)
	return nil
}

// collectMost is how many messages are handed over to their lanes at once.
const collectMost = 16

// collect has a message handed over to its lane, together with those that come behind it at the same moment.
func (l *link) collect(msg *message) {
	if l.collected = append(l.collected, msg); len(l.collected) == collectMost {
		l.handOver()
	}
}

// handOver gives the messages to their lanes that have been collected. It is called before the reader waits, and before
// it turns to anything else.
func (l *link) handOver() {
	if len(l.collected) == 0 {
		return
	}
	n := l.in.admitAll(l.collected)
	for i := 0; i < n; {
		lane, from := l.collected[i].handling.lane, i
		for i++; i < n && l.collected[i].handling.lane == lane; i++ {
		}
		lane.add(l.collected[from:i]...)
	}
	for _, msg := range l.collected[n:] {
		l.enqueue(msg)
	}
	clear(l.collected)
	l.collected = l.collected[:0]
}

// requested handles a request: it is answered exactly once, whatever happens.
func (l *link) requested(m *codec.Message, v *security.Verdict, frame, secinfo []byte, batch *batchReply) error {
	if l.saidBye.Load() || l.closing.Load() || l.p.closing.Load() {
		l.replyError(v, m.ID, errGoingAway, batch)
		return nil
	}
	if reserved(m.Method) {
		return l.requestedOwn(m, v, frame, secinfo, batch)
	}
	b, method := l.lookup(m.Method)
	if method == nil {
		// A stranger is not told which methods exist: unknown and forbidden look alike to a guest.
		l.p.tapUnknown(l, m)
		l.replyError(v, m.ID, errNotFound, batch)
		return nil
	}
	if !l.allows(v) {
		l.count("forbidden")
		e := errForbidden
		if isGuest(v.Principal) {
			e = errNotFound
		}
		l.replyError(v, m.ID, e, batch)
		return nil
	}
	msg := l.newMessage(m, v, secinfo)
	msg.binding, msg.method, msg.name, msg.batch = b, method, method.Wire, batch
	if batch != nil {
		l.handOver()
		l.enqueue(msg)
		return nil
	}
	l.collect(msg)
	return nil
}

func isGuest(p security.Principal) bool {
	return p == security.Principal{} || p.Role == security.RoleGuest || p.Invite
}

// enqueue gives a message to its lane, or answers that there is no room.
func (l *link) enqueue(msg *message) {
	e := l.in.admit(msg)
	if e == errBusy && !msg.request && l.in.pause(msg) {
		e = nil
	}
	if e != nil {
		if msg.request {
			if e == errBusy {
				l.count("busy")
			}
			l.replyError(msg.verdict, bytes.Clone(msg.id), e, msg.batch)
		} else {
			l.dropped.Add(1)
			l.p.stats.dropped.Add(1)
			l.p.tapDropped(l, msg)
		}
		msg.retire(&l.spare)
		return
	}
	if msg.batch != nil && msg.request {
		msg.batch.expect()
	}
	msg.handling.lane.add(msg)
}

func (p *Peer) concurrentLane(m *api.Method) *lane {
	if n, ok := p.lanes.Load(m); ok {
		return n.(*lane)
	}
	n, _ := p.lanes.LoadOrStore(m, &lane{limit: m.Concurrent, run: p.handle, wg: &p.wg})
	return n.(*lane)
}

// found is what a method was found to be.
type found struct {
	bindings *map[string]*bound // where it was looked up
	name     []byte
	binding  *bound
	method   *api.Method

	// Who was allowed to send it, by which policy.
	sender *security.Verdict
	policy *security.Policy
}

// lookup finds the bound API that handles a method. Often it is the one that the link has asked for before.
func (l *link) lookup(method []byte) (*bound, *api.Method) {
	bindings := l.p.bindings.Load()
	if f := &l.found; f.bindings != bindings || !bytes.Equal(f.name, method) {
		b, m := l.p.lookup(method)
		if m == nil {
			return nil, nil
		}
		*f = found{bindings: bindings, name: append(f.name[:0], method...), binding: b, method: m}
	}
	return l.found.binding, l.found.method
}

// allows reports whether a sender may send what was looked up last. Neither a verdict nor a policy changes: often it is
// known.
func (l *link) allows(v *security.Verdict) bool {
	f, policy := &l.found, l.p.policy()
	if f.sender == v && f.policy == policy {
		return true
	}
	if !policy.Allows(v.Principal, f.method.Wire, security.Role(f.method.MinRole)).Allowed {
		return false
	}
	f.sender, f.policy = v, policy
	return true
}

// lookup finds the bound API that handles a method.
func (p *Peer) lookup(method []byte) (*bound, *api.Method) {
	bound := *p.bindings.Load()
	if i := bytes.LastIndexByte(method, '.'); i > 0 {
		if b := bound[string(method[:i])]; b != nil {
			if m := b.incoming[string(method[i+1:])]; m != nil {
				return b, m
			}
		}
	}
	if b := bound[""]; b != nil {
		if m := b.incoming[string(method)]; m != nil {
			return b, m
		}
	}
	return nil, nil
}

// handle runs a message's handlers and answers it. It runs on a goroutine of the message's lane.
func (p *Peer) handle(m *message, s *scratch) {
	l, h := m.link, m.handling
	size := m.size()
	timed := m.request || !h.expires.IsZero() || p.tap.Load() != nil // nobody wants to know it otherwise
	var started, ended time.Time
	if timed {
		started = time.Now()
	}
	m.started = started
	var result []byte
	err := h.errAt(started) // cancelled or late before its turn came
	if err == nil {
		if m.handle != nil {
			result, err = m.handle(h, m, s.result)
		} else {
			name := m.method.Name
			result, err = m.binding.Dispatch(h, name, m.params, s.result)
		}
	}
	if timed {
		ended = time.Now()
	}
	err = p.judge(m, err, ended)
	if m.request {
		l.in.release(m, size)
		p.answer(m, s, result, err, ended.Sub(started))
	} else if timed {
		p.tapHandled(m, started, ended)
	}
	s.done.add(&l.in, m, size)
	m.retire(&s.spare)
	if result != nil {
		s.result = emptied(result)
	}
}

// judge logs and counts what a handler returned, and makes of it what the caller gets.
func (p *Peer) judge(m *message, err error, now time.Time) error {
	cancelled := m.handling.errAt(now)
	if err == nil && (!m.request || cancelled == nil) {
		return nil
	}
	return p.judgeError(m, err, cancelled)
}

func (p *Peer) judgeError(m *message, err, cancelled error) error {
	var panicked *api.PanicError
	if errors.As(err, &panicked) {
		p.stats.panics.Add(1)
		p.log.Error("a handler panicked", "method", m.name, "from", m.handling.sender.Name, "panic", panicked.Value, "stack", string(panicked.Stack))
	}
	if cancelled != nil && m.request {
		if errors.Is(cancelled, context.DeadlineExceeded) {
			return errDeadline
		}
		return errCancelled
	}
	if err == nil {
		return nil
	}
	var notes *api.NotificationError
	if errors.As(err, &notes) {
		p.tapNotHandled(m.handling.sender, m.name, err)
		p.stats.failed.Add(uint64(len(notes.Errs)))
		p.log.Warn("a handler of a notification failed", "method", m.name, "from", m.handling.sender.Name, "error", err)
		return nil // all handlers ran; whoever asks gets null
	}
	var own *api.Error
	switch {
	case panicked != nil:
		return errInternal
	case errors.As(err, &own):
		if !m.request {
			p.stats.failed.Add(1)
			p.tapNotHandled(m.handling.sender, m.name, err)
			p.log.Warn("a notification was not handled", "method", m.name, "from", m.handling.sender.Name, "error", err)
		}
		return own
	}
	p.stats.failed.Add(1)
	p.log.Debug("a handler failed", "method", m.name, "from", m.handling.sender.Name, "error", err)
	if isGuest(m.verdict.Principal) {
		return errGuestFailed
	}
	return &api.Error{Code: api.CodeApplication, Message: strings.ToValidUTF8(err.Error(), "�")}
}

// answer queues the response to a request.
func (p *Peer) answer(m *message, s *scratch, result []byte, err error, took time.Duration) {
	l := m.link
	var meta []byte
	var room [48]byte
	if l.speaksMeta() {
		meta = codec.Meta{Handler: max(took, time.Microsecond)}.Append(room[:0])
	}
	text := s.answer
	own := ownError(err)
	if own != nil {
		text = codec.AppendError(text, m.id, own, meta)
	} else {
		text = codec.AppendResult(text, m.id, result, meta)
	}
	if own == nil && tooDeep(text) {
		e := &api.Error{Code: api.CodeInternal, Message: "the result is nested too deep to be sent"}
		text, own = codec.AppendError(text[:0], m.id, e, meta), e
	}
	if limit := l.limitOut(); len(text) > limit && own == nil {
		e := &api.Error{Code: api.CodeInternal, Message: "the result is too large to be sent"}
		text = codec.AppendError(text[:0], m.id, e.WithData(map[string]int{"limit": limit, "size": len(text)}), meta)
	}
	s.answer = emptied(text) // what is in it is still there
	if m.batch != nil {
		m.batch.add(bytes.Clone(text))
		m.batch.arrived()
		return
	}
	ended := m.started.Add(took)
	a := p.aboutAt(ended)
	if a.queued > 0 {
		a.start, a.end, a.quiet = m.started.UnixNano(), ended.UnixNano(), m.name == security.MethodEnroll || tap.Own(m.name) // the mesh's key; the tap itself
	}
	_, _ = l.pushNow(ended, text, m.verdict.Reply(), answer, a) // a link that has ended needs none
}

// ownError returns the error object that a handler's outcome is answered with, nil for a result.
func ownError(err error) *api.Error {
	if err == nil {
		return nil
	}
	var own *api.Error
	errors.As(err, &own)
	return own
}

// tooDeep reports a message of ours that no receiver would take. Only one with many brackets needs a look.
func tooDeep(text []byte) bool {
	return bytes.Count(text, []byte{'{'})+bytes.Count(text, []byte{'['}) > codec.MaxDepth && !codec.Valid(text)
}
