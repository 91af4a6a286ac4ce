package peer

import (
	"context"
	"sync"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// message is one request or notification on its way to its handlers. It is used again when they are done, and the bytes
// that it refers to are its own; what handlers may keep is its handling.
type message struct {
	handling *handling
	link     *link
	verdict  *security.Verdict // shared by the messages of one sender
	binding  *bound
	method   *api.Method
	handle   func(ctx context.Context, m *message, dst []byte) ([]byte, error) // of the protocol's own methods; else nil
	name     string                                                            // on the wire
	reqID    uint64                                                            // the id where it is such a number
	numeric  bool
	request  bool
	batch    *batchReply
	started  time.Time // when its handlers began

	buf      []byte // everything below refers to it
	id       []byte
	params   []byte
	secinfo  []byte
	progress []byte
	parent   []byte
	state    []byte
}

var messages = sync.Pool{New: func() any { return &message{buf: make([]byte, 0, 1024)} }}

// newMessage copies what the handlers will need out of the reader's buffer.
func (l *link) newMessage(m *codec.Message, v *security.Verdict, secinfo []byte) *message {
	msg := messages.Get().(*message)
	if l.held == nil || *l.held != *v {
		held := *v
		l.held = &held
	}
	msg.link, msg.verdict, msg.request = l, l.held, m.Kind == codec.Request
	msg.handling = &handling{m: msg, link: l, sender: l.senderOf(v)}
	buf := msg.buf
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
			msg.handling.expires = l.readAt.Add(meta.Timeout)
		}
	}
	msg.buf = buf
	return msg
}

func (m *message) size() int { return cap(m.buf) }

// retire ends the message, when the handlers are done and the answer is written down.
func (m *message) retire() {
	m.handling.over()
	buf := m.buf
	*m = message{}
	if worthKeeping(buf) {
		m.buf = buf[:0]
		messages.Put(m)
	}
}

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
