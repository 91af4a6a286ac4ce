package security

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// ErrPassphrase is returned for a passphrase that is empty or holds anything but printable ASCII. Other characters have
// several encodings, and two keyboards would make two keys.
var ErrPassphrase = errors.New("security: a passphrase is printable ASCII, at least one character")

// argon2id as RFC 9106 recommends second, for machines without 2 GiB to spare.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
)

// PassphraseKey derives a mesh's key from a passphrase, byte for byte, and the mesh's name. It takes 64 MiB and about
// 0.2 s: derive once, at the start, and keep the Key. Whoever captures one signed message can try passphrases at that
// price, so use one of GeneratePassphrase, or a NewKey. The error is ErrPassphrase.
func PassphraseKey(passphrase, mesh string) (*Key, error) {
	if passphrase == "" {
		return nil, ErrPassphrase
	}
	for i := range len(passphrase) {
		if c := passphrase[i]; c < 0x20 || c > 0x7e {
			return nil, ErrPassphrase
		}
	}
	salt := passphraseSalt(mesh)
	k := argon2.IDKey([]byte(passphrase), salt[:], argonTime, argonMemory, argonThreads, KeySize)
	defer clear(k)
	return KeyFrom(k)
}

func passphraseSalt(mesh string) [16]byte {
	sum := sha256.Sum256([]byte("rpc.passphrase/1" + mesh))
	return [16]byte(sum[:16])
}

// BitsPerWord is the entropy of each word of GeneratePassphrase.
const BitsPerWord = 16

// GeneratePassphrase returns a random passphrase of 4 to 16 words with "-" between them, such as
// "lusab-babad-gutih-tugad". The words are proquints: consonant, vowel, consonant, vowel, consonant, from 16 consonants
// and 4 vowels, so that they can be spoken over a telephone. Each holds 16 bits: 5 words (80 bits) or more withstand
// guessing.
func GeneratePassphrase(words int) (string, error) {
	if words < 4 || words > 16 {
		return "", fmt.Errorf("security: a passphrase of %d words: say 4 to 16", words)
	}
	raw := make([]byte, 2*words)
	rand.Read(raw)
	defer clear(raw)
	out := make([]byte, 0, 6*words)
	for i := 0; i < len(raw); i += 2 {
		if i > 0 {
			out = append(out, '-')
		}
		out = appendProquint(out, binary.BigEndian.Uint16(raw[i:]))
	}
	return string(out), nil
}

func appendProquint(dst []byte, n uint16) []byte {
	const consonants, vowels = "bdfghjklmnprstvz", "aiou"
	return append(dst,
		consonants[n>>12], vowels[n>>10&3], consonants[n>>6&15], vowels[n>>4&3], consonants[n&15])
}
