package security

import (
	"crypto/ecdh"
	"crypto/x509"
	"io"
	"time"
)

// SetRandom makes h take its nonces from fill, for vectors.
func SetRandom(h *HMAC, fill func([]byte)) { h.random = fill }

// MACKey returns the derived key that signs, for vectors.
func MACKey(k *Key) Secret { return k.mac }

// PassphraseSalt returns the salt of a mesh's passphrase, for vectors.
func PassphraseSalt(mesh string) [16]byte { return passphraseSalt(mesh) }

// Proquint encodes one word of a passphrase.
func Proquint(n uint16) string { return string(appendProquint(nil, n)) }

// SetNonceBounds makes h's memory against replays small.
func SetNonceBounds(h *HMAC, all, each int) { h.nonces.max, h.nonces.each = all, each }

// Nonces is the memory against replays by itself.
type Nonces struct{ c nonceCache }

// Add remembers a nonce.
func (n *Nonces) Add(now time.Time, kid, user string, nonce []byte) (seen bool, retry time.Duration) {
	return n.c.add(now, kid, user, nonce)
}

// Len returns how many are remembered.
func (n *Nonces) Len() int { return n.c.len() }

// MaxInterned bounds an interner.
const MaxInterned = maxInterned

// Intern fills an interner with names and returns how many it kept.
func Intern(names [][]byte) (kept int, ok bool) {
	var n interner
	ok = true
	for _, b := range names {
		ok = ok && n.intern(b) == string(b)
	}
	return len(n.names), ok
}

// SetInitiatorRandom and SetResponderRandom make a handshake take its ephemeral key from r, for vectors.
func SetInitiatorRandom(i *Initiator, r io.Reader) { i.random = r }

// SetResponderRandom is SetInitiatorRandom for the other end.
func SetResponderRandom(h *Responder, r io.Reader) { h.random = r }

// IdentityFrom makes an identity of a given private key, for vectors.
func IdentityFrom(name string, private []byte) (*Identity, error) {
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	return identityOf(name, key), nil
}

// SetSeq sets how many frames a session has sealed and opened.
func SetSeq(s *Session, out, in uint64) {
	s.out.next.Store(out)
	s.in.next.Store(in)
}

// Seq returns how many frames a session has sealed and opened.
func Seq(s *Session) (out, in uint64) { return s.out.next.Load(), s.in.next.Load() }

// Remember adds a first message to h and reports whether it was new.
func Remember(h *Hellos, m [16]byte) bool { return h.add(m) }

// MaxHellos bounds a Hellos.
const MaxHellos = maxHellos

// VerifyPin checks the certificates that a server showed.
func VerifyPin(pin string, certs []*x509.Certificate) error { return verifyPin(pin, certs) }

// Prologue renders a handshake's prologue.
func Prologue(cb, kid, mesh string) []byte { return prologue(cb, kid, mesh) }
