package security

import (
	"fmt"
	"sync/atomic"
)

// Accept is the least that a listener takes, protocol section 5.
type Accept uint8

const (
	AcceptSession Accept = iota // sessions only
	AcceptHMAC                  // also HS256
	AcceptGuest                 // also unsigned messages and claims
)

// String returns "session", "hmac" or "guest".
func (a Accept) String() string {
	switch a {
	case AcceptSession:
		return "session"
	case AcceptHMAC:
		return "hmac"
	case AcceptGuest:
		return "guest"
	}
	return fmt.Sprintf("Accept(%d)", uint8(a))
}

// ParseAccept is the inverse of String.
func ParseAccept(s string) (Accept, error) {
	for _, a := range []Accept{AcceptSession, AcceptHMAC, AcceptGuest} {
		if s == a.String() {
			return a, nil
		}
	}
	return 0, fmt.Errorf("security: %q: say session, hmac or guest", s)
}

// LinkConfig says what one link asks of its messages.
type LinkConfig struct {
	// Accept is the least that is taken on this link: the listener's policy, or what a dialler demands of the answers.
	// Under AcceptSession, the default, every HS256 message that is otherwise good is refused with
	// api.CodeSessionRequired, in a signed answer.
	Accept Accept

	// Sign makes a dialler sign from the first message on. Otherwise we sign to a link once it has signed to us.
	Sign bool

	// CB is the link's TLS exporter in base64url (RFC 9266), empty without TLS. A message that carries another, or
	// one on a link without, is refused; ours carry it.
	CB string
}

// Link is the Provider of one link under an HMAC. Once a message of the other end was verified, its unsigned messages
// are refused, on guest links too, and it is signed to.
type Link struct {
	hmac *HMAC
	cfg  LinkConfig
	last atomic.Pointer[Key] // key of the other end's last verified message
}

// Link returns a new Provider for one link. It needs no closing.
func (h *HMAC) Link(cfg LinkConfig) *Link { return &Link{hmac: h, cfg: cfg} }

// Signed reports whether a message of the other end was verified: whether the link is keyed (protocol section 2).
func (l *Link) Signed() bool { return l.last.Load() != nil }

// Seal signs as HMAC.Seal does, where the link is to be signed to; else it returns no secinfo. A device that signed on
// this link with its own key is signed to with that key.
func (l *Link) Seal(dst []byte, out Outgoing, payload []byte) (secinfo, sealed []byte, err error) {
	key := out.key
	if key == nil {
		last := l.last.Load()
		if last == nil && !l.cfg.Sign {
			return dst, payload, nil
		}
		if key = l.hmac.choose(out.To, last, l.hmac.now()); key == nil {
			return nil, nil, ErrNoKey
		}
	}
	secinfo, err = l.hmac.sign(dst, key, out, l.cfg.CB, payload)
	if err != nil {
		return nil, nil, err
	}
	return secinfo, payload, nil
}

// Open runs steps 1 to 5 of protocol section 3.1 where the message is signed, and judges it by the link's Accept where
// it is not. Every error is a *Refusal. Handshake frames come unsigned: take them out before.
func (l *Link) Open(secinfo, payload []byte, kind func([]byte) Kind) (Verdict, []byte, error) {
	accept := l.cfg.Accept
	if accept == AcceptGuest && l.Signed() {
		accept = AcceptHMAC
	}
	v, refusal := l.hmac.verify(secinfo, payload, kind, accept, l.cfg.CB)
	if refusal != nil {
		return Verdict{}, nil, refusal
	}
	if v.key != nil && l.last.Load() != v.key {
		l.last.Store(v.key)
	}
	return v, payload, nil
}

var _ Provider = (*Link)(nil)
