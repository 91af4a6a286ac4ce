package security

import (
	"errors"

	"github.com/go-json-experiment/json"

	"peermesh/api"
)

// Responder is the accepting end of one handshake, protocol section 4: Hello, then Auth. It is for one goroutine, and
// for one link.
type Responder struct {
	handshake
	err error // what is wrong with the configuration
}

// NewResponder returns a responder. What is wrong with the configuration, Hello says.
func NewResponder(cfg HandshakeConfig) *Responder {
	r := new(Responder)
	if r.err = cfg.check(); r.err == nil && cfg.Seen == nil {
		r.err = errors.New("security: HandshakeConfig.Seen is nil")
	}
	r.cfg, r.stage = cfg, fresh
	return r
}

// Hello reads the params of rpc.hello and appends the result, which carries the second Noise message. Params are only
// read. Every error but those of the configuration and of the order is a *Refusal; the link closes after each, and it
// says whether that is answered.
func (r *Responder) Hello(dst, params []byte) (result []byte, err error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.stage != fresh {
		return nil, ErrOutOfOrder
	}
	r.stage = unmade
	if len(params) > maxHandshake {
		return nil, failed(ReasonMalformed)
	}
	var p struct { // of any type, because only version 1 says what they are
		V     any `json:"v"`
		Noise any `json:"noise"`
		Kid   any `json:"kid"`
		M     any `json:"m"`
	}
	if json.Unmarshal(params, &p) != nil {
		return nil, failed(ReasonMalformed)
	}
	if p.V != version1 || p.Noise != noiseName {
		// "hello with unknown v or noise: -32042, data {"v":["1"]}, unsigned, closes"
		return nil, &Refusal{Code: api.CodeRefused, Reason: ReasonVersion, Answer: AnswerUnsigned, Close: true}
	}
	kid, _ := p.Kid.(string)
	text, _ := p.M.(string)
	m, ok := readMessage(text)
	if !ok || len(m) != firstMessage {
		return nil, failed(ReasonMalformed)
	}
	if err := r.receive(kid, m); err != nil {
		return nil, err
	}
	// "The first 16 bytes of each accepted first Noise message are remembered and a repeat is refused before any DH":
	// what was read so far took none.
	if !r.cfg.Seen.add(hello(m[:16])) {
		return nil, failed(ReasonReplay)
	}
	g := r.greeting()
	g.Accept = []string{Sealed.String()}
	if r.least() == Signed {
		g.Accept = []string{Signed.String(), Sealed.String()}
	}
	if m, _, _, err = r.noise.WriteMessage(nil, g.append(nil)); err != nil {
		return nil, failed(ReasonHandshake) // the public key in message 1 is none
	}
	r.stage = greeted
	dst = append(dst, `{"m":"`...)
	dst = appendMessage(dst, m)
	return append(dst, `"}`...), nil
}

// receive reads message 1 under the keys of this id: several only when ids collide, and never none, so that an unknown
// kid takes as long as a known one.
func (r *Responder) receive(kid string, m []byte) error {
	now := r.cfg.Now()
	why := ReasonHandshake
	try := func(e *Entry, psk []byte) bool {
		state, err := r.start(kid, psk, false)
		if err != nil {
			return false
		}
		if _, _, _, err = state.ReadMessage(nil, m); err != nil {
			return false
		}
		r.entry, r.noise = e, state
		return true
	}
	tried := false
	for _, e := range r.cfg.ring().byKid[kid] {
		if e.Valid(now) {
			tried = true
			if try(e, e.Key.psk.view()) {
				return nil
			}
		}
	}
	if r.cfg.Invites != nil {
		if k := r.cfg.Invites(kid); k != nil {
			tried = true
			if try(&Entry{Key: k}, k.psk.view()) {
				r.invite = true
				return nil
			}
		}
	}
	if !tried {
		why = ReasonKey
		try(nil, randomKey())
	}
	return failed(why)
}

// least is the weakest form that this responder takes: an invite's session is always sealed.
func (r *Responder) least() Protection {
	if r.invite {
		return Sealed
	}
	return r.cfg.Protection
}

// Auth reads the params of rpc.auth and returns the session and who is proven to be at the other end. Params are only
// read.
//
// Errors are ErrOutOfOrder or a *Refusal; after each the link closes. A refusal with api.CodeRefused says that the
// Remote is proven, and we do not accept it: it is ourselves (ReasonSelf), the key may not speak for its name
// (ReasonUser), or it chose a weaker form than we take (ReasonProtection). Then the session is returned as well, to seal
// the answer with, at seq 0, and for nothing else; a caller that does not accept the Remote for reasons of its own
// answers in the same way. A refusal with ReasonDeclined says that the initiator does not accept us, Remote.Refuses why:
// there is no session, and nothing is answered. After any other refusal there is neither session nor Remote.
func (r *Responder) Auth(params []byte) (*Session, Remote, error) {
	if r.stage != greeted {
		return nil, Remote{}, ErrOutOfOrder
	}
	r.stage = unmade
	m, ok := messageIn(params)
	if !ok {
		return nil, Remote{}, failed(ReasonMalformed)
	}
	payload, theirs, mine, err := r.noise.ReadMessage(nil, m)
	if err != nil {
		return nil, Remote{}, failed(ReasonHandshake)
	}
	var g greeting
	if !g.parse(payload) {
		return nil, Remote{}, failed(ReasonMalformed)
	}
	remote := r.remote(&g)
	if g.Refuse != "" {
		remote.Refuses = g.Refuse
		return nil, remote, &Refusal{Reason: ReasonDeclined, Close: true, Kid: remote.Kid, User: remote.User}
	}
	if remote.Use, err = ParseProtection(g.Use); err != nil {
		return nil, Remote{}, failed(ReasonMalformed)
	}
	r.stage = finished
	s := newSession(r.noise, remote, mine, theirs, r.cfg.Now())
	why := r.objection(&remote)
	if why == "" && remote.Use > r.least() {
		why = ReasonProtection
	}
	if why != "" {
		return s, remote, objects(why, &remote)
	}
	return s, remote, nil
}
