package security

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/flynn/noise"
)

// Labels and bounds of protocol section 3.2.
const (
	labelSessionMAC = "rpc.secinfo/1 session hmac"
	labelSessionEnc = "rpc.secinfo/1 session enc"
	domainSid       = "rpc.sid/1"
	sidLen          = 16 // digits of a session's id
	sigLen          = 32 // "first 32 hex digits of HMAC-SHA256"

	dueAfter, dueMessages     = 23 * time.Hour, 1 << 31
	spentAfter, spentMessages = 24 * time.Hour, 1 << 32
)

// The text around a session's seq and sig.
const (
	secinfoHead = `{"seq":"`
	secinfoMid  = `","sig":"`
	secinfoTail = `"}`
	secinfoMax  = len(secinfoHead) + 20 + len(secinfoMid) + sigLen + len(secinfoTail)
)

// ErrSessionSpent is returned by Session.Seal after 2^32 messages: no seq is used twice.
var ErrSessionSpent = errors.New("security: the session has sent all its messages")

// ErrEmptyPayload is returned by Session.Seal for an empty payload: an empty frame is a keep-alive and has no seq.
var ErrEmptyPayload = errors.New("security: an empty frame is not sealed")

// Session is the Provider of one link between two peers after their handshake, protocol section 3.2. Each frame is
// proven to come from the static key at the other end, in this session, in this place, unchanged; a frame that was
// dropped, repeated or moved is noticed with the next one. In the form Sealed nobody else can read them.
//
// One goroutine may Seal while another one Opens; the other methods are for all, at any time. A warm session allocates
// nothing. It needs no closing, prints as its id, and never shows its keys.
type Session struct {
	id      string
	remote  Remote
	born    time.Time
	verdict atomic.Pointer[Verdict]
	out, in *half
}

// half is one direction. It belongs to the goroutine that seals, or opens; only next is read by others.
type half struct {
	next  atomic.Uint64 // seq of the next frame
	mac   hash.Hash     // keyed
	aead  cipher.AEAD
	nonce [12]byte                        // "00000000 || BE64(seq)"
	text  [8 + sha256.Size]byte           // what is signed: "BE64(seq) || SHA-256(payload)"
	tag   [sha256.Size]byte               // its HMAC
	sig   [sigLen]byte                    // the tag's first half in hex
	head  [len(secinfoHead) + 20 + 9]byte // the secinfo up to sig
	line  lineBuffer
}

// newSession returns the session of a finished handshake, whose directions' keys mine and theirs hold.
func newSession(state *noise.HandshakeState, remote Remote, mine, theirs *noise.CipherState, now time.Time) *Session {
	sum := sha256.Sum256(append([]byte(domainSid), state.ChannelBinding()...))
	s := &Session{
		id: hex.EncodeToString(sum[:sidLen/2]), remote: remote, born: now,
		out: newHalf(mine.UnsafeKey()), in: newHalf(theirs.UnsafeKey()),
	}
	s.SetPrincipal(Principal{PeerID: remote.ID, Kid: remote.Kid, Role: remote.Role, Invite: remote.Invite}, remote.User)
	return s
}

func newHalf(key [32]byte) *half {
	expand := func(label string) []byte {
		b, err := hkdf.Expand(sha256.New, key[:], label, 32)
		if err != nil {
			panic(err) // only for n > 255 hashes
		}
		return b
	}
	block, err := aes.NewCipher(expand(labelSessionEnc))
	if err != nil {
		panic(err) // only for keys of another length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only for another block size
	}
	h := &half{mac: hmac.New(sha256.New, expand(labelSessionMAC)), aead: aead}
	h.mac.Reset() // crypto/hmac saves its keyed states in the first Reset
	return h
}

// ID returns the session's id, the sid of protocol section 3.2: 16 hexadecimal digits, the same at both ends, no secret.
func (s *Session) ID() string { return s.id }

// Protection returns the form of its frames, the answer to rpc.auth included.
func (s *Session) Protection() Protection { return s.remote.Use }

// Remote returns what the handshake has proven of the other end.
func (s *Session) Remote() Remote { return s.remote }

// SetPrincipal sets who Open says that messages come from, from now on: for callers that have pinned the other end's
// name to its id, or looked up another role. Without it, it is the peer id, key id and role of the Remote, and its User.
func (s *Session) SetPrincipal(p Principal, user string) {
	s.verdict.Store(&Verdict{Principal: p, User: user, Verified: true})
}

// Due reports whether it is time to renew the session: after 23 hours, or 2^31 messages in either direction.
func (s *Session) Due(now time.Time) bool { return s.past(now, dueAfter, dueMessages) }

// Spent reports whether the session must end: after 24 hours, or 2^32 messages in either direction.
func (s *Session) Spent(now time.Time) bool { return s.past(now, spentAfter, spentMessages) }

func (s *Session) past(now time.Time, age time.Duration, messages uint64) bool {
	return now.Sub(s.born) >= age || max(s.out.next.Load(), s.in.next.Load()) >= messages
}

// Seal gives payload the next seq and signs it; in the form Sealed it appends the line that stands for it to dst's array
// too, behind the secinfo. Of out it uses Sum alone, and that only in the form Signed. It returns ErrSessionSpent after
// 2^32 messages, and ErrEmptyPayload. What it returned must be sent, or the link closed.
func (s *Session) Seal(dst []byte, out Outgoing, payload []byte) (secinfo, sealed []byte, err error) {
	h := s.out
	seq := h.next.Load()
	switch {
	case seq >= spentMessages:
		return nil, nil, ErrSessionSpent
	case len(payload) == 0:
		return nil, nil, ErrEmptyPayload
	}
	h.next.Store(seq + 1)
	if s.remote.Use == Signed {
		h.sign(seq, out.Sum, payload)
		return h.appendSecInfo(dst, seq), payload, nil
	}
	// The secinfo is as long as its seq. The line comes behind it, and first, because the signature covers it.
	at := len(dst) + secinfoMax - 20 + digits(seq)
	end := at + strict64.EncodedLen(len(payload)+h.aead.Overhead())
	dst = slices.Grow(dst, end-len(dst))
	line := dst[at:end]
	h.line.seal(h.aead, h.nonceFor(seq), line, payload)
	h.sign(seq, nil, line)
	return h.appendSecInfo(dst, seq), line, nil
}

// Open checks that payload is the next frame of the other end and returns it, decrypted in its place where it was
// sealed. secinfo is the params of the frame before it. Every error is a *Refusal that is not answered and closes the
// link: ReasonUnsigned, ReasonForm, ReasonSequence or ReasonSignature. It leaves the session as it was.
func (s *Session) Open(secinfo, payload []byte, kind func([]byte) Kind) (Verdict, []byte, error) {
	if secinfo == nil {
		return Verdict{}, nil, breach(ReasonUnsigned)
	}
	h := s.in
	seq := h.next.Load()
	if seq >= spentMessages {
		return Verdict{}, nil, breach(ReasonSequence)
	}
	sig, why := h.readSecInfo(secinfo, seq)
	if why != "" {
		return Verdict{}, nil, breach(why)
	}
	// "Every message carries its HMAC, checked first and in the same way; sealing is a transform of the payload under it."
	h.sign(seq, nil, payload)
	if !hmac.Equal(h.sig[:], sig) {
		return Verdict{}, nil, breach(ReasonSignature)
	}
	if s.remote.Use == Sealed {
		var ok bool
		if payload, ok = h.line.open(h.aead, h.nonceFor(seq), payload); !ok {
			return Verdict{}, nil, breach(ReasonForm)
		}
	} else if isLine(payload) {
		return Verdict{}, nil, breach(ReasonForm)
	}
	h.next.Store(seq + 1)
	if kind != nil {
		kind(payload) // for the caller alone: nothing here depends on it
	}
	return *s.verdict.Load(), payload, nil
}

// breach is "session frame: seq, form or sig wrong, or no secinfo": not answered, the link closes.
func breach(why Reason) *Refusal { return &Refusal{Reason: why, Close: true} }

// sign computes h.sig for the frame of this seq, whose digest is sum, or computed where that is nil.
func (h *half) sign(seq uint64, sum *Digest, payload []byte) {
	binary.BigEndian.PutUint64(h.text[:8], seq)
	if sum != nil {
		copy(h.text[8:], sum[:])
	} else {
		d := Sum(payload)
		copy(h.text[8:], d[:])
	}
	h.mac.Reset()
	h.mac.Write(h.text[:])
	h.mac.Sum(h.tag[:0])
	hex.Encode(h.sig[:], h.tag[:sigLen/2])
}

func (h *half) nonceFor(seq uint64) []byte {
	binary.BigEndian.PutUint64(h.nonce[4:], seq)
	return h.nonce[:]
}

func appendHead(dst []byte, seq uint64) []byte {
	dst = append(dst, secinfoHead...)
	dst = strconv.AppendUint(dst, seq, 10)
	return append(dst, secinfoMid...)
}

func (h *half) appendSecInfo(dst []byte, seq uint64) []byte {
	dst = appendHead(dst, seq)
	dst = append(dst, h.sig[:]...)
	return append(dst, secinfoTail...)
}

// readSecInfo returns the sig of the secinfo of the frame that has this seq, or why it is none. "A receiver may compare
// the constant prefix and fall back to the parser."
func (h *half) readSecInfo(b []byte, seq uint64) (sig []byte, why Reason) {
	head := appendHead(h.head[:0], seq)
	if n := len(head); len(b) == n+sigLen+len(secinfoTail) && string(b[:n]) == string(head) && string(b[n+sigLen:]) == secinfoTail {
		return b[n : n+sigLen], ""
	}
	var info SecInfo
	if info.Parse(b) != nil || info.Len() != 2 {
		return nil, ReasonForm
	}
	number := info.Get("seq")
	sig = info.Get("sig")
	if number == nil || sig == nil {
		return nil, ReasonForm
	}
	if n, err := strconv.ParseUint(string(number), 10, 64); err != nil || n != seq {
		return nil, ReasonSequence
	}
	return sig, ""
}

func digits(n uint64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

// String returns the session's id and the name of the other end.
func (s *Session) String() string {
	return fmt.Sprintf("session %s with %s (%s)", s.id, s.remote.User, s.remote.ID[:ShortID])
}

// GoString is String, for %#v.
func (s *Session) GoString() string { return s.String() }

// Format writes String whatever the verb and flags are, so that no key is printed.
func (s *Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

var _ Provider = (*Session)(nil)
