package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// handling is a message's turn in its lane, and the context that its handlers get. Each message has its own. They may
// keep it, or what is derived from it, for as long as they like: the message is gone then, and the context has ended.
type handling struct {
	link    *link
	sender  *api.Info
	lane    *lane
	freed   atomic.Bool // the turn was given up, or is over
	ended   atomic.Bool // err is set
	expires time.Time   // the caller's deadline by our clock; zero: none

	mu    sync.Mutex
	m     *message // nil once the handlers are done
	err   error
	done  chan struct{}
	timer *time.Timer
	after map[*afterFunc]struct{}
}

type afterFunc struct{ f func() }

// handlingsAtOnce is how many are made at once: they fill 2 KiB. Who keeps one keeps them all.
const handlingsAtOnce = 18

// newHandling returns an empty one. It is for the reader.
func (l *link) newHandling() *handling {
	if len(l.handlings) == 0 {
		l.handlings = make([]handling, handlingsAtOnce)
	}
	h := &l.handlings[0]
	l.handlings = l.handlings[1:]
	return h
}

// endTurn ends the turn in the lane. It reports false where it has ended before: a handler that waits gives it up, and
// may leave somebody behind who makes calls in its name when it is over. Who hears true has to see to the next message.
func (h *handling) endTurn() bool { return h.freed.CompareAndSwap(false, true) }

// over takes the message away and ends the context.
func (h *handling) over() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.m = nil
	if h.timer != nil {
		h.timer.Stop()
	}
	h.endLocked(context.Canceled)
}

// Deadline implements context.Context: the caller's deadline.
func (h *handling) Deadline() (time.Time, bool) { return h.expires, !h.expires.IsZero() }

// Done implements context.Context. The channel and the timer are made when somebody asks.
func (h *handling) Done() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done == nil {
		h.done = make(chan struct{})
		if h.err != nil {
			close(h.done)
		}
		h.startTimerLocked()
	}
	return h.done
}

func (h *handling) startTimerLocked() {
	if h.timer == nil && h.err == nil && !h.expires.IsZero() {
		h.timer = time.AfterFunc(time.Until(h.expires), func() { h.cancel(context.DeadlineExceeded) })
	}
}

// Err implements context.Context.
func (h *handling) Err() error {
	if h.expires.IsZero() {
		return h.errAt(time.Time{})
	}
	return h.errAt(time.Now())
}

// errAt is Err at a moment that is known.
func (h *handling) errAt(now time.Time) error {
	late := !h.expires.IsZero() && !now.Before(h.expires)
	if !late && !h.ended.Load() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if late {
		h.endLocked(context.DeadlineExceeded)
	}
	return h.err
}

// Value implements context.Context: it knows api.MessageKey.
func (h *handling) Value(key any) any {
	if _, ok := key.(api.MessageKey); ok {
		return h
	}
	return nil
}

// AfterFunc is what package context asks for, so that derived contexts cost no goroutine.
func (h *handling) AfterFunc(f func()) (stop func() bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		go f()
		return func() bool { return false }
	}
	h.startTimerLocked()
	a := &afterFunc{f}
	if h.after == nil {
		h.after = map[*afterFunc]struct{}{}
	}
	h.after[a] = struct{}{}
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		_, waiting := h.after[a]
		delete(h.after, a)
		return waiting
	}
}

// cancel ends the context.
func (h *handling) cancel(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endLocked(err)
}

func (h *handling) endLocked(err error) {
	if h.err != nil {
		return
	}
	h.err = err
	h.ended.Store(true)
	if h.done != nil {
		close(h.done)
	}
	for a := range h.after {
		go a.f()
	}
	h.after = nil
}

// Sender implements api.Message.
func (h *handling) Sender() *api.Info { return h.sender }

// SecInfo implements api.Message.
func (h *handling) SecInfo() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil || h.m.secinfo == nil {
		return nil
	}
	var info security.SecInfo
	if info.Parse(h.m.secinfo) != nil {
		return nil
	}
	fields := make(map[string]string, info.Len())
	for name, value := range info.All() {
		fields[string(name)] = string(value)
	}
	return fields
}

// CallID implements api.Message.
func (h *handling) CallID() json.RawMessage {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil {
		return nil
	}
	return bytes.Clone(h.m.id)
}

// Trace implements api.Message.
func (h *handling) Trace() (parent, state string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil {
		return "", ""
	}
	return string(h.m.parent), string(h.m.state)
}

// Progress implements api.Message.
func (h *handling) Progress(v json.RawMessage) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil || h.m.progress == nil {
		return nil
	}
	params := append([]byte(`{"token":`), h.m.progress...)
	params = append(append(params, `,"value":`...), v...)
	text := codec.AppendNotification(nil, methodProgress, append(params, '}'), nil)
	_, _, err := h.link.out.push(text, h.m.verdict.Reply(), nil, along, h.link.p.aboutNow())
	return err
}

var (
	_ context.Context = (*handling)(nil)
	_ api.Message     = (*handling)(nil)
)
