package peer

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// receive takes one frame that is not empty. An error ends the link. It runs on the reader.
func (l *link) receive(frame []byte) error {
	if l.session == nil || l.secinfo == nil || codec.StartsSecInfo(frame) { // else the session is about to check it
		params, is, err := codec.ParseSecInfo(frame)
		if err != nil {
			l.count("secinfo")
			return &closeError{reason: reasonRefused, err: err}
		}
		if is {
			return l.receiveSecInfo(params)
		}
	}
	signed := l.secinfo != nil
	if l.session == nil && !signed && l.isHandshake(frame) {
		return l.respond()
	}
	if l.shake != nil { // "nothing interleaved"
		l.count("hello")
		return &closeError{reason: reasonRefused, err: errInterleaved}
	}
	found, payload, err := l.sec.Open(l.secinfo, frame, l.kind)
	if l.p.keyless {
		found.Principal.Role = security.RoleMember // everybody on this machine is
	}
	secinfo := l.secinfo
	if signed {
		l.forgetSecInfo()
	}
	if err != nil {
		return l.refuse(err, frame)
	}
	if l.session != nil {
		l.heard()
	}
	verdict := l.hold(&found)
	if !l.parsed {
		l.parse(payload)
	}
	l.parsed = false
	l.tapReceived(payload)
	if verdict.Verified || l.parseErr == nil || codec.IsBatch(payload) && codec.Valid(payload) {
		l.acquaint(verdict)
	}
	if codec.IsBatch(payload) {
		err = l.receiveBatch(payload, verdict, secinfo)
	} else {
		err = l.receiveMessage(verdict, payload, secinfo, l.parseErr, nil)
	}
	if l.fresh {
		l.fresh = false
		l.noteClock(secinfo)
		l.p.prove(l)
	}
	return err
}

// hold returns a verdict that does not change, the one before where it is the same.
func (l *link) hold(v *security.Verdict) *security.Verdict {
	if l.held == nil || *l.held != *v {
		held := *v
		l.held = &held
	}
	return l.held
}

var errInterleaved = errors.New("peer: another message within a handshake")

var errOrphan = errors.New("peer: two rpc.secinfo frames in a row")

func (l *link) receiveSecInfo(params []byte) error {
	if l.secinfo != nil {
		l.count("secinfo")
		return &closeError{reason: reasonRefused, err: errOrphan}
	}
	l.secHeld = append(l.secHeld[:0], params...) // they are a range of the reader's buffer
	l.secinfo = l.secHeld
	l.awaiting.Store(int64(l.readAt.Sub(l.p.start)) + 1)
	if !l.known.Load() && l.p.knowsKey(l.secinfo) {
		l.reader.SetLimit(l.p.cfg.Limits.MaxFrame)
	}
	return nil
}

// parse reads the payload into l.msg.
func (l *link) parse(payload []byte) {
	l.parsed = true
	l.parseErr = l.msg.Parse(payload)
}

// kindOf tells the security provider what a payload is. It is called once the signature was verified.
func (l *link) kindOf(payload []byte) security.Kind {
	l.parse(payload)
	if codec.IsBatch(payload) {
		return batchKind(payload)
	}
	if l.parseErr != nil {
		var inv *codec.InvalidError
		if errors.As(l.parseErr, &inv) && inv.Silent {
			return security.Notification
		}
		return security.Broken
	}
	switch l.msg.Kind {
	case codec.Notification:
		return security.Notification
	case codec.Request:
		if string(l.msg.Method) == methodHello {
			return security.Hello
		}
		return security.Request
	}
	return security.Response
}

func batchKind(payload []byte) security.Kind {
	elements, err := codec.SplitBatch(nil, payload)
	if err != nil {
		return security.Broken
	}
	requests, responses := 0, 0
	for _, e := range elements {
		var m codec.Message
		switch err := m.Parse(e); {
		case err != nil || m.Kind == codec.Request:
			requests++
		case m.Kind == codec.Response || m.Kind == codec.ErrorReply:
			responses++
		}
	}
	switch {
	case requests > 0 && responses > 0:
		return security.Mixed
	case requests > 0:
		return security.Request
	case responses > 0:
		return security.Response
	}
	return security.Notification
}

// acquaint notes who speaks. The first acceptable message ends the time of suspicion.
func (l *link) acquaint(v *security.Verdict) {
	info := l.info.Load()
	if v == l.spoke && info == l.spokeTo && l.known.Load() {
		return // as often
	}
	defer func() { l.spoke, l.spokeTo, l.kid = v, info, v.Principal.Kid }()
	if !l.known.Load() {
		l.known.Store(true)
		l.reader.SetLimit(l.p.cfg.Limits.MaxFrame)
		_ = l.reserve(0) // giving back never fails
		l.conn.Admitted()
		l.p.acquainted(l, v)
		return
	}
	switch {
	case v.Verified && !info.Verified, v.User != "" && info.Name == info.Address:
		l.p.acquainted(l, v) // it began to sign, or to say its name
	case v.Verified && v.User == info.Name && v.Principal.Kid != l.kid:
		l.p.rekeyed(l, v)
	}
}

// refuse answers a frame that the security provider did not accept, as the table of protocol section 3.1 says.
func (l *link) refuse(err error, frame []byte) error {
	defer func() { l.parsed = false }()
	var r *security.Refusal
	if !errors.As(err, &r) {
		l.count("provider")
		return &closeError{reason: reasonRefused, err: err}
	}
	if l.dialled && !l.known.Load() {
		if !l.parsed {
			l.parse(frame)
		}
		if l.parseErr == nil && l.msg.Kind == codec.ErrorReply {
			return l.turnedAway(codec.DecodeError(l.msg.Error))
		}
	}
	l.count(string(r.Reason))
	l.p.tapRefused(l, r)
	if l.dialled && !l.known.Load() && r.Reason == security.ReasonUser {
		return &closeError{reason: reasonRefused, err: &refusedError{reason: "its name belongs to a peer with a session", ours: true}}
	}
	if r.Close {
		return &closeError{reason: reasonRefused, err: err}
	}
	if !l.parsed && r.Answer != security.AnswerNull {
		l.parse(frame)
	}
	if id, ok := l.answerID(frame, r); ok {
		text := codec.AppendError(nil, id, r.APIError(), nil)
		if r.Answer == security.AnswerSigned {
			_ = l.push(text, r.Reply(), answer) // a link that has ended needs none
		} else if r.Answer != security.AnswerNull || l.p.mayAnswer(l.conn) {
			_ = l.push(text, security.Outgoing{}, bare) // likewise
		}
	}
	if r.Failure {
		return l.failure(err)
	}
	return nil
}

// answerID returns the id that a refusal is answered with, and whether it is answered at all: notifications and
// responses never are.
func (l *link) answerID(frame []byte, r *security.Refusal) ([]byte, bool) {
	switch {
	case r.Answer == security.AnswerNone:
		return nil, false
	case r.Answer == security.AnswerNull:
		return nil, true
	case codec.IsBatch(frame):
		return nil, true
	}
	if l.parseErr != nil {
		var inv *codec.InvalidError
		if errors.As(l.parseErr, &inv) {
			return inv.ID, !inv.Silent
		}
		return nil, true
	}
	if l.msg.Kind != codec.Request {
		return nil, false
	}
	return bytes.Clone(l.msg.ID), true
}

const maxFailures = 3

// failure counts a message without a valid signature; the third ends the link.
func (l *link) failure(err error) error {
	if l.failures++; l.failures >= maxFailures {
		return &closeError{reason: reasonRefused, err: err, flush: true}
	}
	return nil
}

// receiveMessage handles one message, alone or an element of a batch.
func (l *link) receiveMessage(v *security.Verdict, frame, secinfo []byte, parseErr error, b *batchReply) error {
	m := &l.msg
	if parseErr != nil || m.Method == nil || reserved(m.Method) {
		l.handOver()
	}
	if parseErr != nil {
		l.invalid(v, frame, parseErr, b)
		return nil
	}
	switch m.Kind {
	case codec.Response, codec.ErrorReply:
		l.complete(m, v, frame)
		return nil
	case codec.Notification:
		return l.notified(m, v, frame, secinfo)
	}
	return l.requested(m, v, frame, secinfo, b)
}

// invalid answers what is no message.
func (l *link) invalid(v *security.Verdict, frame []byte, err error, b *batchReply) {
	var inv *codec.InvalidError
	if !errors.As(err, &inv) {
		l.count("syntax")
		l.p.protocolError(l, err, frame)
		l.reply(v, nil, codec.AppendError(nil, nil, errParse, nil), b)
		return
	}
	l.count("invalid")
	l.p.protocolError(l, err, frame)
	if !inv.Silent {
		l.reply(v, inv.ID, codec.AppendError(nil, inv.ID, inv.RPC(), nil), b)
	}
}

// reply queues the answer to a message, or puts it into the batch's.
func (l *link) reply(v *security.Verdict, id, text []byte, b *batchReply) {
	if b != nil {
		b.add(text)
		return
	}
	_ = l.push(text, v.Reply(), answer)
}

func (l *link) replyError(v *security.Verdict, id []byte, e *api.Error, b *batchReply) {
	l.reply(v, id, codec.AppendError(nil, id, e, nil), b)
}

// noteClock compares the sender's clock with ours. It is for people: what may be late is decided by the provider.
func (l *link) noteClock(secinfo []byte) {
	var info security.SecInfo
	if secinfo == nil || info.Parse(secinfo) != nil {
		return
	}
	if ms, err := strconv.ParseInt(string(info.Get("ts")), 10, 64); err == nil {
		l.skew.Store(int64(time.Until(time.UnixMilli(ms))))
	}
}
