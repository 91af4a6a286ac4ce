package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// message is one request or notification on its way to its handlers, and the context that they get. One is made for
// each message; the bytes that it refers to are its own, from a pool, and are given back when the handlers are done,
// while the context may live on.
type message struct {
	link    *link
	sender  *api.Info
	verdict security.Verdict
	binding *bound
	method  *api.Method
	handle  func(ctx context.Context, m *message, dst []byte) ([]byte, error) // of the protocol's own methods; else nil
	name    string                                                            // on the wire
	reqID   uint64                                                            // the id where it is such a number
	numeric bool
	request bool
	batch   *batchReply
	lane    *lane
	arrived time.Time
	started time.Time // when its handlers began
	expires time.Time // the caller's deadline by our clock; zero: none

	mu       sync.Mutex
	buf      *[]byte // everything below refers to it
	id       []byte
	params   []byte
	secinfo  []byte
	progress []byte
	parent   []byte
	state    []byte
	freed    bool // the turn in the lane was given up

	done    chan struct{}
	err     error
	timer   *time.Timer
	after   map[*afterFunc]struct{}
	retired bool // the handlers are done; the bytes are gone
}

type afterFunc struct{ f func() }

// newMessage copies what the handlers will need out of the reader's buffer.
func (l *link) newMessage(m *codec.Message, v *security.Verdict, secinfo []byte) *message {
	msg := &message{link: l, sender: l.senderOf(v), verdict: *v, request: m.Kind == codec.Request, arrived: l.readAt}
	msg.buf = messageBytes.Get().(*[]byte)
	buf := (*msg.buf)[:0]
	if need := len(m.ID) + len(m.Params) + len(secinfo) + len(m.Meta); cap(buf) < need {
		buf = make([]byte, 0, need)
	}
	keep := func(raw []byte) []byte {
		if raw == nil {
			return nil
		}
		start := len(buf)
		buf = append(buf, raw...)
		return buf[start:len(buf):len(buf)]
	}
	msg.id, msg.params, msg.secinfo = keep(m.ID), keep(m.Params), keep(secinfo)
	if m.Meta != nil {
		meta := codec.ParseMeta(keep(m.Meta))
		msg.progress, msg.parent, msg.state = meta.Progress, meta.TraceParent, meta.TraceState
		if meta.Timeout > 0 {
			msg.expires = msg.arrived.Add(meta.Timeout)
		}
	}
	*msg.buf = buf
	return msg
}

func (m *message) size() int { return cap(*m.buf) }

// retire takes the bytes away, when the handlers are done and the answer is written down.
func (m *message) retire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retired = true
	m.id, m.params, m.secinfo, m.progress, m.parent, m.state = nil, nil, nil, nil, nil, nil
	putBytes(&messageBytes, m.buf)
	m.buf = nil
	if m.timer != nil {
		m.timer.Stop()
	}
	m.endLocked(context.Canceled)
}

// Deadline implements context.Context: the caller's deadline.
func (m *message) Deadline() (time.Time, bool) { return m.expires, !m.expires.IsZero() }

// Done implements context.Context. The channel and the timer are made when somebody asks.
func (m *message) Done() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done == nil {
		m.done = make(chan struct{})
		if m.err != nil {
			close(m.done)
		}
		m.startTimerLocked()
	}
	return m.done
}

func (m *message) startTimerLocked() {
	if m.timer == nil && m.err == nil && !m.expires.IsZero() {
		m.timer = time.AfterFunc(time.Until(m.expires), func() { m.cancel(context.DeadlineExceeded) })
	}
}

// Err implements context.Context.
func (m *message) Err() error {
	if m.expires.IsZero() {
		return m.errAt(time.Time{})
	}
	return m.errAt(time.Now())
}

// errAt is Err at a moment that is known.
func (m *message) errAt(now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil && !m.expires.IsZero() && !now.Before(m.expires) {
		m.endLocked(context.DeadlineExceeded)
	}
	return m.err
}

// Value implements context.Context: it knows api.MessageKey.
func (m *message) Value(key any) any {
	if _, ok := key.(api.MessageKey); ok {
		return m
	}
	return nil
}

// AfterFunc is what package context asks for, so that derived contexts cost no goroutine.
func (m *message) AfterFunc(f func()) (stop func() bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		go f()
		return func() bool { return false }
	}
	m.startTimerLocked()
	a := &afterFunc{f}
	if m.after == nil {
		m.after = map[*afterFunc]struct{}{}
	}
	m.after[a] = struct{}{}
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		_, waiting := m.after[a]
		delete(m.after, a)
		return waiting
	}
}

// cancel ends the context.
func (m *message) cancel(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endLocked(err)
}

func (m *message) endLocked(err error) {
	if m.err != nil {
		return
	}
	m.err = err
	if m.done != nil {
		close(m.done)
	}
	for a := range m.after {
		go a.f()
	}
	m.after = nil
}

// Sender implements api.Message.
func (m *message) Sender() *api.Info { return m.sender }

// SecInfo implements api.Message.
func (m *message) SecInfo() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.secinfo == nil {
		return nil
	}
	var info security.SecInfo
	if info.Parse(m.secinfo) != nil {
		return nil
	}
	fields := make(map[string]string, info.Len())
	for name, value := range info.All() {
		fields[string(name)] = string(value)
	}
	return fields
}

// CallID implements api.Message.
func (m *message) CallID() json.RawMessage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.id)
}

// Trace implements api.Message.
func (m *message) Trace() (parent, state string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.parent), string(m.state)
}

// Progress implements api.Message.
func (m *message) Progress(v json.RawMessage) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.progress == nil || m.retired {
		return nil
	}
	params := append([]byte(`{"token":`), m.progress...)
	params = append(append(params, `,"value":`...), v...)
	text := codec.AppendNotification(nil, methodProgress, append(params, '}'), nil)
	_, _, err := m.link.out.push(text, m.verdict.Reply(), nil, along, m.link.p.aboutNow())
	return err
}

var (
	_ context.Context = (*message)(nil)
	_ api.Message     = (*message)(nil)
)

// senderOf returns who sent a message: whom the link leads to, unless the message is signed by somebody else's name.
func (l *link) senderOf(v *security.Verdict) *api.Info {
	info := l.info.Load()
	if !v.Verified || v.User == info.Name {
		return info
	}
	other := *info
	other.ID, other.Boot, other.APIs = "", "", nil
	other.Name, other.Principal, other.Role, other.Verified = v.User, v.Principal.String(), string(v.Principal.Role), true
	return &other
}
