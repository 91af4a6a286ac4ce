package security

import (
	"crypto/hmac"
	"encoding/hex"
	"strconv"
	"time"

	"peermesh/api"
)

// Window is how far a message's time may be from the receiver's clock, both ways: protocol section 3.1 step 4.
const Window = 60 * time.Second

// Open runs steps 1 to 5 of protocol section 3.1 on a payload. Every error is a *Refusal; an unsigned frame, and one
// with a mere claim, is refused with ReasonUnsigned. In the steady state it does not allocate.
func (h *HMAC) Open(secinfo, payload []byte, kind func([]byte) Kind) (Verdict, []byte, error) {
	v, refusal := h.verify(secinfo, payload, kind, AcceptHMAC, "")
	if refusal != nil {
		return Verdict{}, nil, refusal
	}
	return v, payload, nil
}

// verify is Open for a link that accepts what accept says and whose TLS exporter is cb ("" without).
func (h *HMAC) verify(secinfo, payload []byte, kind func([]byte) Kind, accept Accept, cb string) (Verdict, *Refusal) {
	if secinfo == nil {
		if accept == AcceptGuest {
			return Verdict{Principal: Principal{Role: RoleGuest}}, nil
		}
		return Verdict{}, unsigned()
	}
	sc := h.pool.Get().(*scratch)
	defer func() {
		sc.info.Reset()
		h.pool.Put(sc)
	}()

	// Step 1: strict parse; v and alg allowed; kid known and valid now.
	if sc.info.Parse(secinfo) != nil {
		return Verdict{}, malformed()
	}
	if user, ok := sc.info.claims(); ok {
		if accept == AcceptGuest {
			return claim(user), nil
		}
		return Verdict{}, unsigned()
	}
	var f hs256
	if why := f.read(&sc.info); why != "" {
		return Verdict{}, unauthenticated(1, why)
	}
	now := h.now()

	// Step 2: the signature. "An unknown kid runs step 2 with a dummy key."
	sc.render(payload)
	var entry *Entry
	known := false
	for _, e := range h.keys.load().byKid[string(f.kid)] {
		if !e.Valid(now) {
			continue
		}
		known = true
		if sc.signedBy(e.Key, f.sig) {
			entry = e
			break
		}
	}
	if !known {
		sc.signedBy(h.dummy, f.sig)
		return Verdict{}, unauthenticated(1, ReasonKey)
	}
	if entry == nil {
		return Verdict{}, unauthenticated(2, ReasonSignature)
	}

	// "From here on the envelope is scanned."
	what := Request
	if kind != nil {
		what = kind(payload)
	}
	user := h.names.intern(f.user)
	refuse := func(step, code int, why Reason) *Refusal {
		r := &Refusal{Code: code, Step: step, Reason: why, Answer: AnswerSigned, Kid: entry.Key.kid, User: user, key: entry.Key}
		if what == Notification || what == Response || !ValidName(user) {
			r.Answer = AnswerNone
		}
		return r
	}

	// Step 3: user, to and cb.
	if why := h.addressed(&f, entry, user, what, cb); why != "" {
		return Verdict{}, refuse(3, api.CodeRefused, why)
	}

	// Step 4: "|now − ts| <= 60 s and ts >= process start".
	if why := h.timely(f.ts, now); why != "" {
		r := refuse(4, api.CodeStale, why)
		r.Now = now
		return Verdict{}, r
	}
	if accept == AcceptSession {
		return Verdict{}, refuse(4, api.CodeSessionRequired, ReasonSession)
	}

	// Step 5: test and set the nonce. "Responses skip this: a pending call is answered once."
	if what != Response {
		seen, retry := h.nonces.add(now, entry.Key.kid, user, f.nonce)
		if seen {
			return Verdict{}, refuse(5, api.CodeRefused, ReasonReplay)
		}
		if retry > 0 {
			r := refuse(5, api.CodeBusy, ReasonFull)
			r.Retry = retry
			return Verdict{}, r
		}
	}

	v := Verdict{Principal: Principal{Kid: entry.Key.kid, Role: entry.Role}, User: user, Verified: true, key: entry.Key}
	if entry.Users != nil { // a group key does not prove which of its holders it was
		v.Principal.User = user
	}
	return v, nil
}

// hs256 is the fields of a secinfo of alg HS256.
type hs256 struct {
	kid, user, to, nonce, cb []byte
	ts                       int64
	sig                      Digest
}

// read returns why info is none, or "".
func (f *hs256) read(info *SecInfo) Reason {
	if string(info.Get("v")) != version1 {
		return ReasonVersion
	}
	if string(info.Get("alg")) != algHS256 {
		return ReasonAlg
	}
	f.kid, f.user, f.to = info.Get("kid"), info.Get("user"), info.Get("to")
	f.nonce, f.cb = info.Get("nonce"), info.Get("cb")
	ts, sig := info.Get("ts"), info.Get("sig")
	if len(f.kid) == 0 || len(f.user) == 0 || len(f.to) == 0 || len(ts) == 0 ||
		!lowerHex(f.nonce, 32) || !lowerHex(sig, 64) {
		return ReasonFields
	}
	if _, err := hex.Decode(f.sig[:], sig); err != nil {
		return ReasonFields
	}
	var err error
	if f.ts, err = strconv.ParseInt(string(ts), 10, 64); err != nil {
		return ReasonFields
	}
	return ""
}

// lowerHex accepts one spelling alone of n digits.
func lowerHex(b []byte, n int) bool {
	if len(b) != n {
		return false
	}
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// render writes the signed bytes of sc.info and payload to sc.text.
func (sc *scratch) render(payload []byte) {
	t := append(sc.text[:0], domainSecInfo+"\n"...)
	for name, value := range sc.info.All() {
		if string(name) != "sig" {
			t = appendField(t, name, value)
		}
	}
	sc.tag = Sum(payload)
	sc.text = appendPayloadLine(append(t, '\n'), len(payload), &sc.tag)
}

// signedBy reports in constant time whether sig is the signature of sc.text under k.
func (sc *scratch) signedBy(k *Key, sig Digest) bool {
	mac := k.getMAC()
	defer k.putMAC(mac)
	return hmac.Equal(mac.tag(sc.text)[:], sig[:])
}

// addressed is step 3. It returns why the message is not from, for or through whom it says, or "".
func (h *HMAC) addressed(f *hs256, e *Entry, user string, what Kind, cb string) Reason {
	// My own name is mine under every key: a message that I signed must not come back as somebody else's.
	if user == h.name || !ValidName(user) {
		return ReasonUser
	}
	if e.Users != nil {
		if !e.speaksFor(user) {
			return ReasonUser
		}
	} else if len(h.keys.load().byUser[user]) > 0 || h.taken != nil && h.taken(user) {
		return ReasonUser
	}
	switch {
	case string(f.to) == h.name:
	case string(f.to) != "*":
		return ReasonReceiver
	case what == Notification, what == Hello:
	case what == Response, what == Mixed, !e.WildcardCalls:
		return ReasonReceiver
	}
	if f.cb != nil && string(f.cb) != cb {
		return ReasonBinding
	}
	return ""
}

// timely is step 4.
func (h *HMAC) timely(ts int64, now time.Time) Reason {
	n := now.UnixMilli()
	if ts < n-Window.Milliseconds() || ts > n+Window.Milliseconds() {
		return ReasonStale
	}
	if ts < h.start {
		return ReasonRestart
	}
	return ""
}
