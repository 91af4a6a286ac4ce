package peer

import (
	"bytes"
	"errors"
	"sync"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// batchReply collects the answers to one batch. It is sent, as one array, when the last one is in; when there is none,
// nothing is.
type batchReply struct {
	link    *link
	verdict *security.Verdict

	mu      sync.Mutex
	waiting int // elements to come, and one for the reader
	answers [][]byte
}

// receiveBatch handles a batch: its elements, in their order, as if each had come alone.
func (l *link) receiveBatch(frame []byte, v *security.Verdict, secinfo []byte) error {
	elements, err := codec.SplitBatch(l.batchBuf[:0], frame)
	if err != nil {
		l.invalid(v, frame, err, nil)
		return nil
	}
	l.batchBuf = elements[:0]
	b := &batchReply{link: l, verdict: v, waiting: 1}
	defer b.arrived()
	for _, e := range elements {
		l.msg = codec.Message{}
		err := l.msg.Parse(e)
		if err == nil && (l.msg.Kind == codec.Request || l.msg.Kind == codec.Notification) && handshake(l.msg.Method) {
			err = &codec.InvalidError{ID: l.msg.ID, Reason: string(l.msg.Method) + " stands alone", Silent: l.msg.Kind == codec.Notification && string(l.msg.Method) != codec.MethodSecInfo}
		}
		var inv *codec.InvalidError
		if errors.Is(err, codec.ErrSyntax) {
			err = &codec.InvalidError{Reason: "the element is no message"} // the batch as a whole is JSON
		}
		if errors.As(err, &inv) && inv.ID != nil {
			inv.ID = bytes.Clone(inv.ID)
		}
		if err := l.receiveMessage(v, e, secinfo, err, b); err != nil {
			return err
		}
	}
	return nil
}

// handshake reports the methods that may not be part of a batch.
func handshake(method []byte) bool {
	switch string(method) {
	case codec.MethodSecInfo, methodHello, methodAuth:
		return true
	}
	return false
}

// expect announces an answer that will come later.
func (b *batchReply) expect() {
	b.mu.Lock()
	b.waiting++
	b.mu.Unlock()
}

// add takes an answer. One that was announced is followed by arrived, through answered.
func (b *batchReply) add(text []byte) {
	b.mu.Lock()
	b.answers = append(b.answers, text)
	b.mu.Unlock()
}

// arrived says that one of those that were waited for is done.
func (b *batchReply) arrived() {
	b.mu.Lock()
	b.waiting--
	last := b.waiting == 0 && len(b.answers) > 0
	b.mu.Unlock()
	if !last {
		return
	}
	b.shrink(b.link.limitOut())
	text := append([]byte{'['}, bytes.Join(b.answers, []byte{','})...)
	text = append(text, ']')
	_ = b.link.push(text, b.verdict.Reply(), answer)
}

// shrink turns results into errors, from the largest on, until the whole fits the receiver's limit.
func (b *batchReply) shrink(limit int) {
	size := len(b.answers) + 1
	for _, a := range b.answers {
		size += len(a)
	}
	for size > limit {
		largest := 0
		for i, a := range b.answers {
			if len(a) > len(b.answers[largest]) {
				largest = i
			}
		}
		var m codec.Message
		if m.Parse(b.answers[largest]) != nil || m.Kind != codec.Response {
			return
		}
		e := &api.Error{Code: api.CodeInternal, Message: "the results of the batch are too large to be sent"}
		text := codec.AppendError(nil, m.ID, e, nil)
		size += len(text) - len(b.answers[largest])
		b.answers[largest] = text
	}
}
