package peer

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// fanOut is a call to one or more peers: one id, one text, one place for the answers. It is used again and again: once
// its calls have their outcomes, or were given up, nobody else knows them.
type fanOut struct {
	p        *Peer
	ctx      context.Context
	id       uint64
	wire     string
	params   []byte
	done     chan *call // has room for all of them
	progress *progressQueue
	report   func(json.RawMessage)
	group    uint64 // what the requests have in common, for taps; 0: they are not to all
	plain    []byte // the text without meta, for peers that did not say hello; empty until it is needed
	rich     []byte // with meta
	started  time.Time
	deadline time.Time
	timer    *time.Timer // of the deadline, where the context has none
	timed    bool        // timer runs
	one      call        // of Request
	room     [1]*link    // likewise
}

// newFanOut makes ready for calls to n peers, which end with ctx, or after timeout where that has no deadline.
func (p *Peer) newFanOut(ctx context.Context, wire string, params []byte, timeout time.Duration, n int) *fanOut {
	f, ok := p.fanOuts.Get().(*fanOut)
	if !ok {
		f = &fanOut{done: make(chan *call, 1)}
	}
	f.p, f.ctx, f.id, f.wire, f.params, f.started = p, ctx, p.ids.Add(1), wire, params, time.Now()
	if cap(f.done) < n {
		f.done = make(chan *call, n)
	}
	if at, ok := ctx.Deadline(); ok {
		f.deadline = at
	} else {
		f.deadline, f.timed = f.started.Add(timeout), true
		if f.timer == nil {
			f.timer = time.NewTimer(timeout)
		} else {
			f.timer.Reset(timeout)
		}
	}
	if report, ok := ctx.Value(api.ProgressKey{}).(func(json.RawMessage)); ok {
		f.report = report
		f.progress = &progressQueue{wake: make(chan struct{}, 1)}
	}
	if h, ok := ctx.Value(api.MessageKey{}).(*handling); ok && h.link.p == p {
		h.lane.free(h) // a handler that waits frees its turn
	}
	return f
}

// free lets the fanOut go. Whatever of its calls is needed has been taken out of it.
func (f *fanOut) free() {
	if f.timed {
		f.timer.Stop()
	}
	done, timer, plain, rich := f.done, f.timer, f.plain, f.rich
	if cap(done) > 1 || len(done) > 0 || !worthKeeping(plain) || !worthKeeping(rich) {
		return // an answer may still come to where nobody waits, or it has grown too large
	}
	pool := &f.p.fanOuts
	*f = fanOut{done: done, timer: timer, plain: plain[:0], rich: rich[:0]}
	pool.Put(f)
}

// expired is the deadline's channel; nil where the context has one of its own.
func (f *fanOut) expired() <-chan time.Time {
	if !f.timed {
		return nil
	}
	return f.timer.C
}

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
		if len(f.plain) == 0 {
			f.plain = codec.AppendRequest(f.plain, f.id, f.wire, f.params, nil)
		}
		return f.plain
	}
	if len(f.rich) == 0 {
		meta := codec.Meta{Timeout: max(time.Millisecond, f.deadline.Sub(f.started))}
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
		f.rich = codec.AppendRequest(f.rich, f.id, f.wire, f.params, meta.Append(scratch[:0]))
	}
	return f.rich
}

// start sends the request to one peer as the call c. Whatever goes wrong is the call's outcome.
func (f *fanOut) start(c *call, l *link, dst []byte) {
	*c = call{id: f.id, method: f.wire, link: l, to: l.info.Load(), done: f.done, started: f.started, dst: dst, progress: f.progress}
	c.signed = l.signs()
	text := f.text(l)
	err := f.p.sendable(text)
	if err == nil && len(text) > l.limitOut() {
		err = api.ErrTooLarge
	}
	if err == nil && !l.calls.add(c) {
		err = api.ErrGone
	}
	if err == nil {
		c.number, err = l.pushNow(text, security.Outgoing{To: l.to()}, ordinary, f.about())
		if c.notSent = err != nil; c.notSent && !l.calls.give(c, false) {
			return // the link ended in between and has finished it
		}
		switch err {
		case api.ErrBusy:
			f.p.stats.full.Add(1)
		case errMoved:
			f.start(c, l.current(), dst)
			return
		}
	}
	if err != nil {
		c.notSent = true
		c.finish(nil, err)
	}
}

// about is what the tap shall know of a request.
func (f *fanOut) about() about {
	a := f.p.aboutAt(f.started)
	a.group = f.group
	if a.queued > 0 {
		a.again, _ = f.ctx.Value(retryKey{}).(uint64)
	}
	return a
}

// abandon gives up a call. It reports false when the answer was faster.
func (c *call) abandon(why error) bool {
	if c.notSent {
		return false
	}
	taken := c.link.out.take(c.number)
	if !c.link.calls.give(c, !taken) {
		return false
	}
	c.err, c.notSent = why, taken
	c.link.p.tapFailed(c, why)
	if taken {
		return true
	}
	cancel := append([]byte(`{"id":`), strconv.AppendUint(nil, c.id, 10)...)
	text := codec.AppendNotification(nil, methodCancel, append(cancel, '}'), nil)
	_ = c.link.push(text, security.Outgoing{To: c.link.to()}, urgent) // a link that has ended cancels by itself
	return true
}
