package security

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strconv"
	"sync"
	"time"
)

// The alg and version of protocol section 3.1.
const (
	algHS256 = "HS256"
	version1 = "1"
)

// HMACConfig configures an HMAC. Name and Keys are required.
type HMACConfig struct {
	Name string           // one's own name: what messages are signed as, and must be addressed to
	Keys *Keyring         // shared with whoever adds and removes keys
	Now  func() time.Time // the clock; nil: time.Now

	// Start is when the process began: nothing signed earlier is accepted, so that a restart does not forget which
	// messages it has seen. Zero: Now() of NewHMAC. Set it only to something later than the last message that an
	// earlier process of this name may have accepted.
	Start time.Time

	// Taken reports whether a name is pinned to a peer id or has a session with us: such a name cannot be claimed
	// with a group key (step 3). It is called from many goroutines, with no lock held, and must not block. Nil: none.
	Taken func(name string) bool
}

// HMAC signs and verifies messages one by one with the keys of a mesh: alg HS256 of protocol section 3.1. A peer has
// one for all its links, because a message that was seen on one link must not be accepted on another. It promises that
// a message came from a holder of the key, was meant for this peer, was not changed, and is executed once. It hides
// nothing, and does not notice what was dropped, or held back for less than a minute.
//
// An HMAC is safe for concurrent use. It is a Provider itself, for links that take nothing but signed messages and
// have no TLS exporter; Link makes one for other links.
type HMAC struct {
	name   string
	keys   *Keyring
	now    func() time.Time
	start  int64 // Unix ms
	taken  func(string) bool
	nonces nonceCache
	names  interner
	dummy  *Key // what an unknown kid is checked against, so that it takes as long as a known one
	random func([]byte)
	pool   sync.Pool // of *scratch
}

// scratch is what one Seal or Open works with.
type scratch struct {
	info SecInfo
	text []byte // signed bytes, at most about 2 KiB
	tag  Digest
	raw  [16]byte
}

// NewHMAC makes an HMAC. It returns a *NameError when the name is none, and an error when Keys is nil.
func NewHMAC(cfg HMACConfig) (*HMAC, error) {
	if !ValidName(cfg.Name) {
		return nil, &NameError{cfg.Name}
	}
	if cfg.Keys == nil {
		return nil, errors.New("security: HMACConfig.Keys is nil")
	}
	h := &HMAC{name: cfg.Name, keys: cfg.Keys, now: cfg.Now, taken: cfg.Taken, dummy: NewKey()}
	h.random = func(b []byte) { rand.Read(b) }
	if h.now == nil {
		h.now = time.Now
	}
	if cfg.Start.IsZero() {
		cfg.Start = h.now()
	}
	h.start = cfg.Start.UnixMilli()
	h.pool.New = func() any { return &scratch{text: make([]byte, 0, 2048)} }
	return h, nil
}

// Name returns the name it signs as.
func (h *HMAC) Name() string { return h.name }

// Nonces returns how many messages are remembered against replay, at most 1,048,576.
func (h *HMAC) Nonces() int { return h.nonces.len() }

// Seal signs payload. An answer is signed with the key of its question; any other message with the device key that
// lists both names, else with the key marked for sending that may speak for one's own name. It returns ErrNoKey when
// there is no such key, and a *NameError when out.To is neither a name nor "*". With a dst of 512 bytes capacity it
// does not allocate.
func (h *HMAC) Seal(dst []byte, out Outgoing, payload []byte) (secinfo, sealed []byte, err error) {
	key := out.key
	if key == nil {
		if key = h.choose(out.To, nil, h.now()); key == nil {
			return nil, nil, ErrNoKey
		}
	}
	secinfo, err = h.sign(dst, key, out, "", payload)
	if err != nil {
		return nil, nil, err
	}
	return secinfo, payload, nil
}

// choose returns the key to sign a message to a receiver with, or nil. last, if not nil, is the key that the other end
// of the link signed with last.
func (h *HMAC) choose(to string, last *Key, now time.Time) *Key {
	g := h.keys.load()
	if e := g.pairwise(h.name, to, now); e != nil {
		return e.Key
	}
	var lastEntry *Entry
	if last != nil {
		if e := g.holds(last); e != nil && e.Valid(now) {
			lastEntry = e
		}
	}
	// A device that signs with a key of its own most likely has no other.
	if lastEntry != nil && lastEntry.Users != nil && (to == "*" || lastEntry.speaksFor(to)) {
		return lastEntry.Key
	}
	if e := g.sending(h.name, now); e != nil {
		return e.Key
	}
	if lastEntry != nil {
		return lastEntry.Key
	}
	return nil
}

func (h *HMAC) sign(dst []byte, key *Key, out Outgoing, cb string, payload []byte) ([]byte, error) {
	if out.To != "*" && !ValidName(out.To) {
		return nil, &NameError{out.To}
	}
	sc := h.pool.Get().(*scratch)
	defer h.pool.Put(sc)
	sum := out.Sum
	if sum == nil {
		sc.tag = Sum(payload)
		sum = &sc.tag
	}
	h.random(sc.raw[:])
	var nonceHex [32]byte
	hex.Encode(nonceHex[:], sc.raw[:])
	nonce := nonceHex[:]
	var tsText [20]byte
	ts := strconv.AppendInt(tsText[:0], h.now().UnixMilli(), 10)

	// The fields stand in ascending order already.
	t := append(sc.text[:0], domainSecInfo+"\n"...)
	t = appendField(t, "alg", algHS256)
	if cb != "" {
		t = appendField(t, "cb", cb)
	}
	t = appendField(t, "kid", key.kid)
	t = appendField(t, "nonce", nonce)
	t = appendField(t, "to", out.To)
	t = appendField(t, "ts", ts)
	t = appendField(t, "user", h.name)
	t = appendField(t, "v", version1)
	t = append(t, '\n')
	sc.text = appendPayloadLine(t, len(payload), sum)
	mac := key.getMAC()
	defer key.putMAC(mac)
	sig := mac.tag(sc.text)

	dst = append(dst, `{"v":"`+version1+`","alg":"`+algHS256+`","kid":"`...)
	dst = append(dst, key.kid...)
	dst = append(dst, `","user":"`...)
	dst = append(dst, h.name...)
	dst = append(dst, `","to":"`...)
	dst = append(dst, out.To...)
	dst = append(dst, `","ts":"`...)
	dst = append(dst, ts...)
	dst = append(dst, `","nonce":"`...)
	dst = append(dst, nonce...)
	if cb != "" {
		dst = append(dst, `","cb":"`...)
		dst = append(dst, cb...)
	}
	dst = append(dst, `","sig":"`...)
	dst = hex.AppendEncode(dst, sig[:])
	return append(dst, `"}`...), nil
}

var _ Provider = (*HMAC)(nil)
