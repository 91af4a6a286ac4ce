package peer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// The requests of the session handshake, protocol section 4.
const (
	helloID = `"h1"`
	authID  = `"h2"`
)

// handshakeFor is how long a handshake may take in all.
const handshakeFor = 5 * time.Second

// sessions reports whether links are made by the session handshake: wherever there is a key.
func (p *Peer) sessions() bool { return p.hmac != nil && p.cfg.Provider == nil }

// handshake is what both ends of a handshake start with.
func (p *Peer) handshake(l *link) security.HandshakeConfig {
	return security.HandshakeConfig{Identity: p.id, Mesh: p.cfg.Mesh, Keys: p.cfg.Keys,
		Invites: func(kid string) *security.Key { return p.invites.Key(kid, time.Now()) },
		CB:      l.conn.CB, Boot: p.self.Load().Boot, Max: p.cfg.Limits.MaxFrame, Protection: p.cfg.Protection,
		Transient: p.cfg.Throwaway, Seen: p.seen, Now: time.Now}
}

// refusedError is a refusal that the other end told us, or that we told it, once both had proven who they are.
type refusedError struct {
	reason string
	ours   bool // it was we who refused
}

func (e *refusedError) Error() string {
	if e.ours {
		return "peer: refused: " + e.reason
	}
	return "peer: the other end refuses us: " + e.reason
}

// shakeHands makes a session of a connection that we have dialled: nothing else was sent on it. It runs before the
// link's goroutines start. expect is the id of whom we mean to reach, "" where it is not known. Errors are *api.Error
// for what the other end answered, *security.Refusal, *refusedError, and those of the connection.
func (l *link) shakeHands(ctx context.Context, cfg security.HandshakeConfig, expect string) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeFor)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.conn.Close() })
	err := l.initiate(cfg, expect)
	if !stop() && ctx.Err() != nil {
		return fmt.Errorf("peer: handshake: %w", context.Cause(ctx))
	}
	return err
}

func (l *link) initiate(cfg security.HandshakeConfig, expect string) error {
	in, err := security.NewInitiator(cfg)
	if err != nil {
		return err
	}
	params, err := in.Hello(nil)
	if err != nil {
		return err
	}
	framing := *l.framing.Load()
	if _, err := l.conn.Write(framing.Append(nil, handshakeRequest(helloID, methodHello, params))); err != nil {
		return err
	}
	frame, err := l.handshakeFrame()
	if err != nil {
		return err
	}
	result, err := answerTo(&l.msg, frame, helloID)
	if err != nil {
		return err
	}
	remote, err := in.Answer(result)
	if err == nil {
		l.p.shook.Store(l.p.sinceStart())
	}
	if err == nil && expect != "" && remote.ID != expect {
		err = &refusedError{reason: "another peer answers at that address", ours: true}
	}
	if err == nil {
		err = l.p.admissible(remote)
	}
	var refuse string
	if err != nil {
		if refuse = reasonToTell(err); refuse == "" {
			return err
		}
	}
	if l.renews == nil && cfg.Invite == nil && refuse == "" && !l.target.commit(remote.ID, remote.Boot) {
		return errUnneeded
	}
	params, session, authErr := in.Auth(nil, refuse)
	if authErr != nil {
		return errors.Join(err, authErr)
	}
	if _, werr := l.conn.Write(framing.Append(nil, handshakeRequest(authID, methodAuth, params))); werr != nil || err != nil {
		return errors.Join(err, werr)
	}
	if _, err := l.protectedAnswer(session, authID); err != nil {
		return err
	}
	if err := l.p.admit(remote); err != nil {
		return err // it was pinned or revoked in between
	}
	l.secure(session)
	l.seqIn = 1 // the answer to rpc.auth
	return nil
}

// reasonToTell says to whom we refuse why, "" where it has proven nothing that would entitle it to an answer.
func reasonToTell(err error) string {
	var refused *refusedError
	if errors.As(err, &refused) {
		return refused.reason
	}
	var r *security.Refusal
	if !errors.As(err, &r) || r.Code != api.CodeRefused {
		return ""
	}
	switch r.Reason {
	case security.ReasonProtection:
		return "it wants less protection than this peer"
	case security.ReasonSelf:
		return "it has this peer's own key"
	case security.ReasonUser:
		return "its key is not for that name"
	}
	return string(r.Reason)
}

func handshakeRequest(id, method string, params []byte) []byte {
	text := append([]byte(`{"jsonrpc":"2.0","id":`), id...)
	text = append(append(append(text, `,"method":"`...), method...), `","params":`...)
	return append(append(text, params...), '}')
}

// handshakeFrame reads the next frame that is not empty.
func (l *link) handshakeFrame() ([]byte, error) {
	for {
		frame, err := l.reader.Next()
		if err != nil || len(frame) > 0 {
			return frame, err
		}
	}
}

// protectedAnswer reads the answer to a request in a session whose link has not started.
func (l *link) protectedAnswer(s *security.Session, id string) ([]byte, error) {
	frame, err := l.handshakeFrame()
	if err != nil {
		return nil, err
	}
	secinfo, is, err := codec.ParseSecInfo(frame)
	if err != nil {
		return nil, err
	}
	if !is { // an error of somebody who has not accepted our proof
		if _, err = answerTo(&l.msg, frame, id); err == nil {
			err = errors.New("peer: handshake: the answer is not protected")
		}
		return nil, err
	}
	l.secHeld = append(l.secHeld[:0], secinfo...) // it is a range of the reader's buffer
	l.reader.SetLimit(sessionFrame(s, l.p.cfg.Limits.MaxFrame))
	if frame, err = l.handshakeFrame(); err != nil {
		return nil, err
	}
	_, payload, err := s.Open(l.secHeld, frame, nil)
	if err != nil {
		return nil, err
	}
	return answerTo(&l.msg, payload, id)
}

// answerTo returns the result of the response to a request, or the error that it is.
func answerTo(m *codec.Message, frame []byte, id string) ([]byte, error) {
	if err := m.Parse(frame); err != nil {
		return nil, fmt.Errorf("peer: handshake: %w", err)
	}
	switch {
	case m.Kind == codec.ErrorReply && (string(m.ID) == id || string(m.ID) == "null"):
		return nil, codec.DecodeError(m.Error)
	case m.Kind == codec.Response && string(m.ID) == id:
		return m.Result, nil
	}
	return nil, errors.New("peer: handshake: another message was in between")
}

// sessionFrame is the greatest frame of a session whose JSON texts have up to limit bytes.
func sessionFrame(s *security.Session, limit int) int {
	if s.Protection() == security.Sealed {
		return base64.RawURLEncoding.EncodedLen(limit + 16)
	}
	return limit
}

// isHandshake reports a request of the session handshake: rpc.auth, or an rpc.hello that has m. It parses the frame.
func (l *link) isHandshake(frame []byte) bool {
	if codec.IsBatch(frame) {
		return false
	}
	l.parse(frame)
	if l.parseErr != nil || l.msg.Kind != codec.Request {
		return false
	}
	switch string(l.msg.Method) {
	case methodAuth:
		return true
	case methodHello:
		var h helloParams
		return json.Unmarshal(l.msg.Params, &h) == nil && (h.M != nil || h.Noise != "")
	}
	return false
}

// respond is the other end of shakeHands. It takes the requests of whoever dialled us, on the link's reader; l.msg
// holds the frame.
func (l *link) respond() error {
	id := bytes.Clone(l.msg.ID)
	method, params := string(l.msg.Method), l.msg.Params
	l.parsed = false
	switch {
	case !l.p.sessions(), l.conn.Once, l.dialled, l.known.Load(), (method == methodHello) != (l.shake == nil):
		l.count("hello")
		return l.handshakeFailed(id, &security.Refusal{Code: api.CodeUnauthenticated, Reason: "hello",
			Answer: security.AnswerUnsigned, Close: true, Failure: true})
	case method == methodHello:
		if !l.p.hellos.allow(l.conn.Remote(), time.Now()) {
			l.count("hellos")
			return &closeError{reason: reasonRefused, err: errors.New("peer: too many hellos from one address")}
		}
		l.shake = security.NewResponder(l.p.handshake(l))
		result, err := l.shake.Hello(nil, params)
		if err != nil {
			return l.handshakeFailed(id, err)
		}
		l.p.shook.Store(l.p.sinceStart())
		_ = l.push(codec.AppendResult(nil, id, result, nil), security.Outgoing{}, bare) // a link that has ended needs none
		return nil
	}
	session, remote, err := l.shake.Auth(params)
	if session == nil {
		if remote.Refuses != "" {
			l.p.refusedBy(l, remote)
			return &closeError{reason: reasonRefused, err: &refusedError{reason: clip(remote.Refuses)}}
		}
		return l.handshakeFailed(id, err)
	}
	if err == nil && !remote.Invite {
		err = l.p.admit(remote)
	}
	l.shake = nil
	l.p.change(func() { l.secure(session) }) // under the lock, for the clock looks at it too
	if err != nil {
		reason := reasonToTell(err)
		l.count("refused")
		l.p.emitRefused(l, remote, reason, err)
		e := (&api.Error{Code: api.CodeRefused, Message: "refused"}).WithData(map[string]string{"reason": reason})
		_ = l.push(codec.AppendError(nil, id, e, nil), security.Outgoing{}, urgent)
		return &closeError{reason: reasonRefused, err: err, flush: true}
	}
	_, _, _ = l.out.push(codec.AppendResult(nil, id, []byte("{}"), nil), security.Outgoing{}, nil, urgent, about{quiet: true}) // a link that has ended needs none
	l.p.established(l)
	return nil
}

// handshakeFailed answers a handshake that did not come to pass, as the table of protocol section 3.1 says, and ends
// the link.
func (l *link) handshakeFailed(id []byte, err error) error {
	var r *security.Refusal
	if !errors.As(err, &r) {
		return &closeError{reason: reasonRefused, err: err}
	}
	l.count(string(r.Reason))
	l.p.tapRefused(l, r)
	if e := r.APIError(); e != nil && r.Answer != security.AnswerNone && l.p.mayAnswer(l.conn) {
		_ = l.push(codec.AppendError(nil, id, e, nil), security.Outgoing{}, bare)
	}
	return &closeError{reason: reasonRefused, err: err, flush: true}
}

// secure makes a session the security of the link. Nothing else is being sent on it then.
func (l *link) secure(s *security.Session) {
	remote := s.Remote()
	l.session, l.sec, l.kid = s, s, remote.Kid
	l.known.Store(true)
	l.maxOut = remote.Max
	l.reader.SetLimit(sessionFrame(s, l.p.cfg.Limits.MaxFrame))
	_ = l.reserve(0) // giving back never fails
	who := l.p.principalOf(remote)
	s.SetPrincipal(who, remote.User)
	info := *l.info.Load()
	info.ID, info.Name, info.Boot = remote.ID, remote.User, remote.Boot
	info.Principal, info.Role, info.Verified, info.Protection = who.String(), string(who.Role), true, s.Protection().String()
	info.Session = s.ID()
	l.info.Store(&info)
	l.m.hello = &helloParams{V: "1", ID: remote.ID, Name: remote.User, Boot: remote.Boot}
	l.meta.Store(true)
	l.lastIn.Store(l.p.sinceStart())
}
