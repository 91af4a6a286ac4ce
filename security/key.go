package security

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"strconv"
	"sync"
)

// KeySize is the length of a mesh key in bytes.
const KeySize = 32

// Labels of the keys that are derived from a mesh key, protocol section 3.1.
const (
	labelMAC  = "rpc.secinfo/1 hmac"
	labelKid  = "rpc.secinfo/1 kid"
	labelPSK  = "rpc.secinfo/1 noise psk"
	labelMDNS = "rpc.secinfo/1 mdns"
)

// Errors of making a key. None of them quotes what it was made from.
var (
	// ErrKeyForm is returned when a key is not 32 bytes, or its text is not 64 hexadecimal digits.
	ErrKeyForm = errors.New("security: a key is 64 hexadecimal digits (32 bytes)")
	// ErrKeyWeak is returned for a key of zeros: that is no key but a variable somebody forgot to set.
	ErrKeyWeak = errors.New("security: the key is all zeros")
)

// Key is a mesh key, K of protocol section 3.1: 32 uniform bytes, from which everything else is derived. Whoever holds
// it is a member (a group key) or may speak for the names it is listed with (a device key).
//
// A Key is immutable and safe for concurrent use. It prints as its Secret does. Keys are made by [NewKey], [KeyFrom],
// [ParseKey] and [PassphraseKey]; the zero Key is of no use.
type Key struct {
	kid  string
	root Secret
	psk  Secret
	mdns Secret
	mac  Secret
	macs sync.Pool // of *macState keyed with mac
}

// NewKey makes a key from the system's random source.
func NewKey() *Key {
	var b [KeySize]byte
	rand.Read(b[:]) // never fails: the runtime ends the process instead
	defer clear(b[:])
	return mustKey(b[:])
}

// KeyFrom makes a key of 32 uniform bytes, which it copies. Other lengths give ErrKeyForm, zeros ErrKeyWeak. A
// passphrase is no key: see [PassphraseKey].
func KeyFrom(b []byte) (*Key, error) {
	if len(b) != KeySize {
		return nil, ErrKeyForm
	}
	if bytes.Count(b, []byte{0}) == KeySize {
		return nil, ErrKeyWeak
	}
	return mustKey(b), nil
}

// ParseKey reads a key from 64 hexadecimal digits in either case, as Export writes them; white space around them is
// ignored. Anything else gives ErrKeyForm, which says how long the text was and never what it said.
func ParseKey(text []byte) (*Key, error) {
	text = bytes.TrimSpace(text)
	if len(text) != 2*KeySize {
		return nil, fmt.Errorf("%w; got %d characters", ErrKeyForm, len(text))
	}
	var b [KeySize]byte
	defer clear(b[:])
	if _, err := hex.Decode(b[:], text); err != nil { // err quotes the input: drop it
		return nil, fmt.Errorf("%w; one of the 64 characters is no such digit", ErrKeyForm)
	}
	return KeyFrom(b[:])
}

func mustKey(b []byte) *Key {
	expand := func(info string, n int) []byte {
		out, err := hkdf.Expand(sha256.New, b, info, n)
		if err != nil {
			panic(err) // only for n > 255 hashes
		}
		return out
	}
	kid := hex.EncodeToString(expand(labelKid, 4))
	return &Key{
		kid:  kid,
		root: newSecret("kid="+kid, b),
		psk:  newSecret("noise psk of kid="+kid, expand(labelPSK, 32)),
		mdns: newSecret("mdns key of kid="+kid, expand(labelMDNS, 32)),
		mac:  newSecret("mac key of kid="+kid, expand(labelMAC, 32)),
	}
}

// ID returns the key's id, the kid of protocol section 3.1: 8 hexadecimal digits. It is no secret, and so short that
// two keys may share it.
func (k *Key) ID() string { return k.kid }

// Secret returns the key's bytes.
func (k *Key) Secret() Secret { return k.root }

// Export returns the key as 64 hexadecimal digits, the form that ParseKey reads. This is the secret itself.
func (k *Key) Export() string { return hex.EncodeToString(k.root.view()) }

// NoisePSK returns the pre-shared key of the session handshake, protocol sections 3.1 and 4.
func (k *Key) NoisePSK() Secret { return k.psk }

// MDNSKey returns the key of the announcements' proof m, protocol sections 3.1 and 7.
func (k *Key) MDNSKey() Secret { return k.mdns }

// Equal reports in constant time whether both are the same key.
func (k *Key) Equal(other *Key) bool { return other != nil && k.root.Equal(other.root) }

// String returns "[secret kid=…]".
func (k *Key) String() string { return k.root.String() }

// GoString is String, for %#v.
func (k *Key) GoString() string { return k.String() }

// Format writes String whatever the verb and flags are.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText returns String; a key leaves through Export alone.
func (k *Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalJSON returns String as a JSON string.
func (k *Key) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, k.String()), nil }

// LogValue returns String to log/slog.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

var (
	_ fmt.Formatter  = (*Key)(nil)
	_ slog.LogValuer = (*Key)(nil)
)

// macState is an HMAC-SHA256 with its key already mixed in, kept between messages: making one costs two hash blocks
// and five allocations, resetting one costs neither.
type macState struct {
	h   hash.Hash
	sum [sha256.Size]byte
}

func newMACState(key []byte) *macState {
	s := &macState{h: hmac.New(sha256.New, key)}
	s.h.Reset() // crypto/hmac saves its keyed states in the first Reset
	return s
}

func (k *Key) getMAC() *macState {
	if s, ok := k.macs.Get().(*macState); ok {
		return s
	}
	return newMACState(k.mac.view())
}

func (k *Key) putMAC(s *macState) { k.macs.Put(s) }

// tag computes the HMAC of message. The result is s's own and valid until the next call.
func (s *macState) tag(message []byte) *[sha256.Size]byte {
	s.h.Reset()
	s.h.Write(message)
	s.h.Sum(s.sum[:0])
	return &s.sum
}
