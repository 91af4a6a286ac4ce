package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

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
	s := sendings.Get().(*sending)
	defer s.free()
	r := p.resolve(to, b, method, m, false, s.links)
	s.links = r.links
	s.text = codec.AppendNotification(s.text, wire, params, nil)
	text := s.text
	if err := p.sendable(text); err != nil {
		return api.Report{}, fmt.Errorf("send %s: %w", wire, err)
	}
	report := api.Report{To: make([]*api.Info, 0, len(r.links)), Refused: r.refused}
	about := p.aboutNow()
	if about.queued > 0 && !to.IsTo() && !to.IsAny() {
		about.group = p.groups.Add(1)
	}
	var sum *security.Digest
	if len(r.links) > 1 && slices.ContainsFunc(r.links, (*link).signsReadable) {
		d := security.Sum(text)
		sum = &d
	}
	for _, l := range r.links {
		info := l.info.Load()
		dropped, err := l.send(text, sum, m, about)
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
	if to.IsTo() && len(report.Refused) > 0 {
		return report, fmt.Errorf("send %s: %w", wire, report.Refused[0].Err)
	}
	return report, nil
}

// sending is what is needed while a notification is put into the queues of its receivers.
type sending struct {
	text  []byte
	links []*link
}

var sendings = sync.Pool{New: func() any { return &sending{text: make([]byte, 0, 512), links: make([]*link, 0, 16)} }}

func (s *sending) free() {
	if !worthKeeping(s.text) {
		return
	}
	clear(s.links)
	s.text, s.links = s.text[:0], s.links[:0]
	sendings.Put(s)
}

// send queues a notification on the link, or on the one that has taken its place.
func (l *link) send(text []byte, sum *security.Digest, m *api.Method, a about) (dropped bool, err error) {
	for {
		if len(text) > l.limitOut() {
			return false, api.ErrTooLarge
		}
		_, dropped, err = l.out.push(text, security.Outgoing{To: l.to(), Sum: sum}, m, ordinary, a)
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
	f := p.newFanOut(ctx, wire, params, m.Deadline(), 1)
	defer f.free()
	links, err := p.callees(ctx, b, method, m, to, f.room[:0])
	if err == nil && len(links) > 1 {
		err = api.ErrManyReceivers
	}
	if err != nil {
		return dst, callError(nil, wire, api.ErrNotSent, err)
	}
	c := &f.one
	f.start(c, links[0], dst)
	_, gone := f.next()
	switch {
	case gone == nil:
	case c.abandon(gone):
		return dst, c.outcome()
	default: // the answer is just coming in
		<-f.done
		f.deliver()
	}
	if err = c.outcome(); err == nil {
		return c.result, nil
	}
	if gone == nil && p.mayRetry(ctx, m, c, err) {
		return p.retry(f, b, method, params, dst, err)
	}
	return dst, err
}

// mayRetry reports whether a call may be sent once more: it is idempotent, and its link broke.
func (p *Peer) mayRetry(ctx context.Context, m *api.Method, c *call, err error) bool {
	return m != nil && m.Idempotent && c.to.ID != "" && errors.Is(err, api.ErrGone) && ctx.Value(retryKey{}) == nil
}

// retry sends a call once more, on a new link to the same peer.
func (p *Peer) retry(f *fanOut, b api.Binding, method string, params, dst []byte, err error) ([]byte, error) {
	ctx, cancel := context.WithDeadline(context.WithValue(f.ctx, retryKey{}, f.id), f.deadline)
	defer cancel()
	to := api.To(f.one.to.ID)
	if p.Wait(ctx, b, to) != nil {
		return dst, err
	}
	return p.Request(ctx, b, method, to, params, dst)
}

// retryKey is the context key of the id of the call that is sent once more.
type retryKey struct{}

// callees resolves the receivers of a call into room.
func (p *Peer) callees(ctx context.Context, b api.Binding, method string, m *api.Method, to api.Receivers, room []*link) ([]*link, error) {
	if err := p.ready(ctx); err != nil {
		return nil, err
	}
	r := p.resolve(to, b, method, m, true, room)
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
	links, err := p.callees(ctx, b, method, m, to, nil)
	if err != nil {
		return callError(nil, wire, api.ErrNotSent, err)
	}
	f := p.newFanOut(ctx, wire, params, m.Deadline(), len(links))
	defer f.free()
	if p.tap.Load() != nil && !to.IsTo() {
		f.group = p.groups.Add(1)
	}
	waiting := map[*call]bool{}
	calls := make([]call, len(links))
	for i, l := range links {
		f.start(&calls[i], l, nil)
		waiting[&calls[i]] = true
	}
	give := func(err error) {
		for c := range waiting {
			c.abandon(err)
		}
	}
	var gone error
	for len(waiting) > 0 && gone == nil {
		var c *call
		if c, gone = f.next(); gone != nil {
			break
		}
		delete(waiting, c)
		if !yield(c) {
			give(context.Canceled)
			return nil
		}
	}
	for c := range waiting {
		if !c.abandon(gone) {
			continue // its answer is in done
		}
		delete(waiting, c)
		if !yield(c) {
			give(gone)
			return nil
		}
	}
	for range waiting {
		if !yield(<-f.done) {
			return nil
		}
	}
	return nil
}
