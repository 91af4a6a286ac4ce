package security

import "slices"

// Initiator is the dialling end of one handshake, protocol section 4: Hello, Answer, Auth, in this order. It is for one
// goroutine, and for one link.
//
// Auth returns the session, but nothing may be sent in it before the answer to rpc.auth was opened: that answer alone
// proves that the responder has accepted.
type Initiator struct {
	handshake
	use     Protection
	proven  Remote
	refusal *Refusal // why Answer did not accept the responder
}

// NewInitiator chooses the key. It returns ErrNoKey when there is none, and an error for a configuration that lacks
// something.
func NewInitiator(cfg HandshakeConfig) (*Initiator, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	i := &Initiator{handshake: handshake{cfg: cfg, stage: fresh}}
	if cfg.Invite != nil {
		i.entry, i.invite = &Entry{Key: cfg.Invite}, true
		return i, nil
	}
	g, now := cfg.ring(), cfg.Now()
	if i.entry = g.pairwise(cfg.Identity.name, cfg.To, now); i.entry == nil {
		i.entry = g.sending(cfg.Identity.name, now)
	}
	if i.entry == nil {
		return nil, ErrNoKey
	}
	return i, nil
}

// Hello appends the params of rpc.hello, which carry the first Noise message.
func (i *Initiator) Hello(dst []byte) ([]byte, error) {
	if i.stage != fresh {
		return nil, ErrOutOfOrder
	}
	i.stage = unmade
	key := i.entry.Key
	state, err := i.start(key.kid, key.psk.view(), true)
	if err != nil {
		return nil, err
	}
	m, _, _, err := state.WriteMessage(nil, nil)
	if err != nil {
		return nil, err
	}
	i.noise, i.stage = state, greeted
	dst = append(dst, `{"v":"`+version1+`","kid":"`...)
	dst = append(dst, key.kid...)
	dst = append(dst, `","noise":"`+noiseName+`","m":"`...)
	dst = appendMessage(dst, m)
	return append(dst, `"}`...), nil
}

// Answer reads the result of rpc.hello and returns who answered. Result is only read.
//
// A *Refusal with api.CodeUnauthenticated says that nobody proved anything: close. One with api.CodeRefused says that
// the Remote is proven and we do not accept it: it is ourselves (ReasonSelf), the key may not speak for its name
// (ReasonUser), it takes no form of frames that we may use (ReasonProtection), or its payload is out of form
// (ReasonMalformed, and most of the Remote is empty). Then, and when the caller itself does not accept the Remote, Auth
// with that reason tells it. Neither is answered otherwise.
func (i *Initiator) Answer(result []byte) (Remote, error) {
	if i.stage != greeted {
		return Remote{}, ErrOutOfOrder
	}
	i.stage = unmade
	m, ok := messageIn(result)
	if !ok {
		return Remote{}, silently(failed(ReasonMalformed))
	}
	payload, _, _, err := i.noise.ReadMessage(nil, m)
	if err != nil {
		return Remote{}, silently(failed(ReasonHandshake))
	}
	i.stage = answered
	var g greeting
	if !g.parse(payload) {
		r := i.remote(&greeting{})
		return r, i.refuse(ReasonMalformed, &r)
	}
	g.Renews = "" // the initiator's alone
	r := i.remote(&g)
	why := i.objection(&r)
	if i.use, ok = i.choose(g.Accept); !ok && why == "" {
		why = ReasonProtection
	}
	r.Use = i.use
	i.proven = r
	if why != "" {
		return r, i.refuse(why, &r)
	}
	return r, nil
}

// choose returns the form of the session: the weaker one only where it is configured and offered.
func (i *Initiator) choose(accept []string) (Protection, bool) {
	if i.cfg.Protection == Signed && !i.invite && slices.Contains(accept, Signed.String()) {
		return Signed, true
	}
	return Sealed, slices.Contains(accept, Sealed.String())
}

func (i *Initiator) refuse(why Reason, r *Remote) *Refusal {
	i.refusal = silently(objects(why, r))
	return i.refusal
}

// Auth appends the params of rpc.auth, which carry the third Noise message, and returns the session.
//
// With a refuse, such as string(ReasonProtection), it tells the responder under the handshake's protection why it is not
// accepted, and the session is nil. What is beyond 128 characters of refuse, or not printable ASCII, does not get there.
// Without a refuse, where Answer returned a *Refusal, Auth returns that; it may then be called again with one.
func (i *Initiator) Auth(dst []byte, refuse string) (params []byte, s *Session, err error) {
	switch {
	case i.stage != answered:
		return nil, nil, ErrOutOfOrder
	case refuse == "" && i.refusal != nil:
		return nil, nil, i.refusal
	}
	i.stage = unmade
	g := i.greeting()
	g.Use, g.Renews, g.Refuse = i.use.String(), i.cfg.Renews, plain(refuse)
	m, mine, theirs, err := i.noise.WriteMessage(nil, g.append(nil))
	if err != nil {
		return nil, nil, err
	}
	i.stage = finished
	if refuse == "" {
		s = newSession(i.noise, i.proven, mine, theirs, i.cfg.Now())
	}
	dst = append(dst, `{"m":"`...)
	dst = appendMessage(dst, m)
	return append(dst, `"}`...), s, nil
}

// silently makes a refusal one that nothing on the link answers: a dialler closes, or calls Auth.
func silently(r *Refusal) *Refusal {
	r.Answer = AnswerNone
	return r
}
