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
	due      int64    // the deadline, since the peer's start, where the context has none; else 0
	one      call     // of Request
	room     [1]*link // likewise
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
		f.deadline = f.started.Add(timeout)
		f.due = int64(f.deadline.Sub(p.start))
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
	done, plain, rich := f.done, f.plain, f.rich
	if cap(done) > 1 || len(done) > 0 || !worthKeeping(plain) || !worthKeeping(rich) {
		return // an answer may still come to where nobody waits, or it has grown too large
	}
	pool := &f.p.fanOuts
	*f = fanOut{done: done, plain: plain[:0], rich: rich[:0]}
	pool.Put(f)
}

// next waits for a call that has its outcome, and delivers progress meanwhile. The error is the context's; the deadline
// of a call whose context has none is the clock's affair.
func (f *fanOut) next() (*call, error) {
	ended := f.ctx.Done()
	if ended == nil && f.progress == nil {
		return <-f.done, nil
	}
	for {
		select {
		case c := <-f.done:
			f.deliver()
			return c, nil
		case <-f.wake():
			f.deliver()
		case <-ended:
			return nil, f.ctx.Err()
		}
	}
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
	*c = call{id: f.id, method: f.wire, link: l, to: l.info.Load(), done: f.done, started: f.started, due: f.due, dst: dst, progress: f.progress}
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
		var number uint64
		if number, err = l.pushNow(f.started, text, security.Outgoing{To: l.to()}, ordinary, f.about()); err == nil {
			c.number.Store(number + 1) // the clock may end it from now on
			return
		}
		if !l.calls.give(c, false) {
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
	c.notSent = true
	c.finish(nil, err)
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
	if c.number.Load() == 0 { // it could not be sent
		return false
	}
	taken := c.takeBack()
	if !c.link.calls.give(c, !taken) {
		return false
	}
	c.givenUp(why, taken)
	return true
}

// takeBack takes the request back. It reports whether that was in time: whether nothing of it was written.
func (c *call) takeBack() bool {
	number := c.number.Load()
	return number == 0 || c.link.out.take(number-1)
}

// expire ends a call that was taken out because its deadline has passed.
func (c *call) expire() {
	c.givenUp(context.DeadlineExceeded, c.takeBack())
	c.done <- c
}

// givenUp says why there will be no answer, and tells the other end, unless it has never heard of the request.
func (c *call) givenUp(why error, taken bool) {
	c.err, c.notSent = why, taken
	c.link.p.tapFailed(c, why)
	if taken {
		return
	}
	cancel := append([]byte(`{"id":`), strconv.AppendUint(nil, c.id, 10)...)
	text := codec.AppendNotification(nil, methodCancel, append(cancel, '}'), nil)
	_ = c.link.push(text, security.Outgoing{To: c.link.to()}, urgent) // a link that has ended cancels by itself
}
