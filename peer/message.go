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
	spare    *message  // the next one, while it is one of spareMessages

	buf      []byte // everything below refers to it
	id       []byte
	params   []byte
	secinfo  []byte
	progress []byte
	parent   []byte
	state    []byte
}

// spareMessages are messages to be used again, in a chain. A reader takes what the goroutines of lanes have done with;
// from one to the other they go several at a time.
type spareMessages struct {
	first *message
	added int
}

// chains holds the first messages of chains.
var chains sync.Pool

// chainLength is how many messages are added to a chain before it is given away.
const chainLength = 16

// take returns a message with an empty buffer.
func (s *spareMessages) take() *message {
	if s.first == nil {
		if s.first, _ = chains.Get().(*message); s.first == nil {
			return &message{buf: make([]byte, 0, 1024)}
		}
	}
	m := s.first
	s.first, m.spare = m.spare, nil
	return m
}

func (s *spareMessages) add(m *message) {
	m.spare = s.first
	s.first = m
	if s.added++; s.added >= chainLength {
		s.give()
	}
}

// give gives all away.
func (s *spareMessages) give() {
	if s.first != nil {
		chains.Put(s.first)
		*s = spareMessages{}
	}
}

// newMessage copies what the handlers will need out of the reader's buffer.
func (l *link) newMessage(m *codec.Message, v *security.Verdict, secinfo []byte) *message {
	msg := l.spare.take()
	msg.link, msg.verdict, msg.request = l, v, m.Kind == codec.Request
	msg.handling = l.newHandling()
	msg.handling.m, msg.handling.link, msg.handling.sender = msg, l, l.senderOf(v)
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
func (m *message) retire(spare *spareMessages) {
	m.handling.over()
	buf := m.buf
	*m = message{}
	if worthKeeping(buf) {
		m.buf = buf[:0]
		spare.add(m)
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
