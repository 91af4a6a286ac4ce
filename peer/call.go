package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// methodOf returns the definition and the wire name of a method.
func methodOf(b api.Binding, method string) (*api.Method, string) {
	if b == nil {
		return nil, method
	}
	if m := b.Method(method); m != nil {
		return m, m.Wire
	}
	return nil, method
}

// Notify implements api.Mesh. The message is encoded and hashed once, whatever the number of receivers.
func (p *Peer) Notify(ctx context.Context, b api.Binding, method string, to api.Receivers, params []byte) (api.Report, error) {
	m, wire := methodOf(b, method)
	if err := p.ready(ctx); err != nil {
		return api.Report{}, fmt.Errorf("send %s: %w", wire, err)
	}
	r := p.resolve(to, b, method, m, false)
	buf := resultBytes.Get().(*[]byte)
	defer putBytes(buf)
	*buf = codec.AppendNotification((*buf)[:0], wire, params, nil)
	text := *buf
	if err := p.sendable(text); err != nil {
		return api.Report{}, fmt.Errorf("send %s: %w", wire, err)
	}
	report := api.Report{To: make([]*api.Info, 0, len(r.links)), Refused: r.refused}
	var sum *security.Digest
	if len(r.links) > 1 && p.hmac != nil {
		d := security.Sum(text)
		sum = &d
	}
	for _, l := range r.links {
		info := l.info.Load()
		dropped, err := l.send(text, sum, m)
		if dropped {
			l.dropped.Add(1)
			p.stats.dropped.Add(1)
		}
		if err != nil {
			report.Refused = append(report.Refused, api.Refusal{Peer: info.Name, Err: err})
			continue
		}
		report.To = append(report.To, info)
	}
	report.Queued = len(report.To)
	p.tapNotified(report.To, to, text)
	if to.IsTo() && len(report.Refused) > 0 {
		return report, fmt.Errorf("send %s: %w", wire, report.Refused[0].Err)
	}
	return report, nil
}

// send queues a notification on the link, or on the one that has taken its place.
func (l *link) send(text []byte, sum *security.Digest, m *api.Method) (dropped bool, err error) {
	for {
		if l.maxOut > 0 && len(text) > l.maxOut {
			return false, api.ErrTooLarge
		}
		_, dropped, err = l.out.push(text, security.Outgoing{To: l.to(), Sum: sum}, m, ordinary)
		if err == api.ErrBusy {
			l.p.stats.full.Add(1)
		}
		if err != errMoved {
			return dropped, err
		}
		l = l.current()
	}
}

// sendable reports why a message would not be taken by its receiver.
func (p *Peer) sendable(text []byte) error {
	switch {
	case len(text) > p.cfg.Limits.MaxFrame:
		return api.ErrTooLarge
	case tooDeep(text):
		return api.Errorf(api.CodeInvalidParams, "params are nested more than %d deep", codec.MaxDepth-1)
	}
	return nil
}

// ready reports why nothing can be sent.
func (p *Peer) ready(ctx context.Context) error {
	if !p.joined.Load() || p.closing.Load() {
		return api.ErrClosed
	}
	return ctx.Err()
}

// Request implements api.Mesh.
func (p *Peer) Request(ctx context.Context, b api.Binding, method string, to api.Receivers, params, dst []byte) ([]byte, error) {
	m, wire := methodOf(b, method)
	links, err := p.callees(ctx, b, method, m, to)
	if err == nil && len(links) > 1 {
		err = api.ErrManyReceivers
	}
	if err != nil {
		return dst, callError(nil, wire, api.ErrNotSent, err)
	}
	done := make(chan *call, 1)
	f := p.newFanOut(ctx, wire, params, done)
	c := f.start(links[0], dst)
	defer f.free()
	for {
		select {
		case <-done:
			f.deliver()
			if err := c.outcome(); err != nil {
				if again := p.retry(ctx, b, method, m, c, err); again != nil {
					return again(params, dst)
				}
				return dst, err
			}
			return c.result, nil
		case <-f.wake():
			f.deliver()
		case <-ctx.Done():
			if c.abandon(ctx) {
				return dst, c.outcome()
			}
			// The answer is just coming in.
			<-done
			f.deliver()
			return c.result, c.outcome()
		}
	}
}

// retry returns how to send an idempotent call once more, on a new link to the same peer, or nil.
func (p *Peer) retry(ctx context.Context, b api.Binding, method string, m *api.Method, c *call, err error) func(params, dst []byte) ([]byte, error) {
	if m == nil || !m.Idempotent || c.to.ID == "" || !errors.Is(err, api.ErrGone) || isRetry(ctx) {
		return nil
	}
	return func(params, dst []byte) ([]byte, error) {
		ctx := context.WithValue(ctx, retryKey{}, true)
		if p.Wait(ctx, b, api.To(c.to.ID)) != nil {
			return dst, err
		}
		return p.Request(ctx, b, method, api.To(c.to.ID), params, dst)
	}
}

type retryKey struct{}

func isRetry(ctx context.Context) bool { return ctx.Value(retryKey{}) != nil }

// callees resolves the receivers of a call.
func (p *Peer) callees(ctx context.Context, b api.Binding, method string, m *api.Method, to api.Receivers) ([]*link, error) {
	if err := p.ready(ctx); err != nil {
		return nil, err
	}
	r := p.resolve(to, b, method, m, true)
	if len(r.refused) > 0 {
		return nil, r.refused[0].Err
	}
	if len(r.links) == 0 {
		return nil, api.ErrNoReceiver
	}
	return r.links, nil
}

// RequestEach implements api.Mesh. All requests carry one id.
func (p *Peer) RequestEach(ctx context.Context, b api.Binding, method string, to api.Receivers, params []byte, yield func(*api.Info, []byte, error) bool) error {
	return p.requestEach(ctx, b, method, to, params, func(c *call) bool { return yield(c.to, c.result, c.outcome()) })
}

func (p *Peer) requestEach(ctx context.Context, b api.Binding, method string, to api.Receivers, params []byte, yield func(*call) bool) error {
	m, wire := methodOf(b, method)
	links, err := p.callees(ctx, b, method, m, to)
	if err != nil {
		return callError(nil, wire, api.ErrNotSent, err)
	}
	done := make(chan *call, len(links))
	f := p.newFanOut(ctx, wire, params, done)
	defer f.free()
	waiting := map[*call]bool{}
	for _, l := range links {
		waiting[f.start(l, nil)] = true
	}
	give := func() {
		for c := range waiting {
			c.abandon(ctx)
		}
	}
	for len(waiting) > 0 {
		select {
		case c := <-done:
			f.deliver()
			delete(waiting, c)
			if !yield(c) {
				give()
				return nil
			}
		case <-f.wake():
			f.deliver()
		case <-ctx.Done():
			for c := range waiting {
				if !c.abandon(ctx) {
					continue // its answer is in done
				}
				delete(waiting, c)
				if !yield(c) {
					give()
					return nil
				}
			}
			for len(waiting) > 0 {
				c := <-done
				delete(waiting, c)
				if !yield(c) {
					return nil
				}
			}
		}
	}
	return nil
}

// fanOut is a call to one or more peers: one id, one text, one place for the answers.
type fanOut struct {
	p        *Peer
	ctx      context.Context
	id       uint64
	wire     string
	params   []byte
	done     chan *call
	progress *progressQueue
	report   func(json.RawMessage)
	buf      *[]byte
	plain    []byte // without meta, for peers that did not say hello
	rich     []byte // with meta
	started  time.Time
}

func (p *Peer) newFanOut(ctx context.Context, wire string, params []byte, done chan *call) *fanOut {
	f := &fanOut{p: p, ctx: ctx, id: p.ids.Add(1), wire: wire, params: params, done: done, started: time.Now(),
		buf: resultBytes.Get().(*[]byte)}
	if report, ok := ctx.Value(api.ProgressKey{}).(func(json.RawMessage)); ok {
		f.report = report
		f.progress = &progressQueue{wake: make(chan struct{}, 1)}
	}
	if m, ok := ctx.Value(api.MessageKey{}).(*message); ok && m.link.p == p && m.lane != nil {
		m.lane.free(m) // a handler that waits frees its turn
	}
	return f
}

func (f *fanOut) free() { putBytes(f.buf) }

func (f *fanOut) wake() <-chan struct{} {
	if f.progress == nil {
		return nil
	}
	return f.progress.wake
}

func (f *fanOut) deliver() {
	if f.progress != nil {
		f.progress.deliver(f.report)
	}
}

// text returns the request as one peer gets it.
func (f *fanOut) text(l *link) []byte {
	if !l.speaksMeta() {
		if f.plain == nil {
			f.plain = codec.AppendRequest(nil, f.id, f.wire, f.params, nil)
		}
		return f.plain
	}
	if f.rich == nil {
		var meta codec.Meta
		if deadline, ok := f.ctx.Deadline(); ok {
			meta.Timeout = max(time.Millisecond, time.Until(deadline))
		}
		if f.progress != nil {
			meta.Progress = strconv.AppendUint(nil, f.id, 10)
		}
		if parent, state := api.Trace(f.ctx); parent != "" {
			meta.TraceParent = []byte(parent)
			if state != "" {
				meta.TraceState = []byte(state)
			}
		}
		var scratch [128]byte
		*f.buf = codec.AppendRequest((*f.buf)[:0], f.id, f.wire, f.params, meta.Append(scratch[:0]))
		f.rich = *f.buf
	}
	return f.rich
}

// start sends the request to one peer. Whatever goes wrong is the call's outcome.
func (f *fanOut) start(l *link, dst []byte) *call {
	c := &call{id: f.id, method: f.wire, link: l, to: l.info.Load(), done: f.done, started: f.started, dst: dst, progress: f.progress}
	c.signed = l.signs()
	text := f.text(l)
	err := f.p.sendable(text)
	if err == nil && l.maxOut > 0 && len(text) > l.maxOut {
		err = api.ErrTooLarge
	}
	if err == nil && !l.calls.add(c) {
		err = api.ErrGone
	}
	if err == nil {
		c.number, _, err = l.out.push(text, security.Outgoing{To: l.to()}, nil, ordinary)
		if c.notSent = err != nil; c.notSent && !l.calls.give(c, false) {
			return c // the link ended in between and has finished it
		}
		if err == api.ErrBusy {
			f.p.stats.full.Add(1)
		}
		if err == errMoved {
			return f.start(l.current(), dst)
		}
		f.p.tapSent(l, text)
	}
	if err != nil {
		c.notSent = true
		c.finish(nil, err)
	}
	return c
}

// abandon gives up a call because its context ended. It reports false when the answer was faster.
func (c *call) abandon(ctx context.Context) bool {
	if c.notSent {
		return false
	}
	taken := c.link.out.take(c.number)
	if !c.link.calls.give(c, !taken) {
		return false
	}
	c.err, c.notSent = ctx.Err(), taken
	c.link.p.tapFailed(c, c.err)
	if taken {
		return true
	}
	cancel := append([]byte(`{"id":`), strconv.AppendUint(nil, c.id, 10)...)
	text := codec.AppendNotification(nil, methodCancel, append(cancel, '}'), nil)
	if c.link.push(text, security.Outgoing{To: c.link.to()}, urgent) == nil {
		c.link.p.tapSent(c.link, text)
	}
	return true
}
