package security

import "crypto/cipher"

// lineBuffer holds a piece of a line while it is recoded in its place: encoding/base64 does not say what happens when
// its source and its destination overlap.
type lineBuffer [1024]byte

// seal writes base64url(AEAD(payload)) to line, which has exactly that length and does not overlap payload.
func (buf *lineBuffer) seal(aead cipher.AEAD, nonce, line, payload []byte) {
	// The ciphertext goes to the end of the line. A piece that starts at byte i of it is written from 4*i/3 of the line
	// on, which never reaches what is still unread.
	raw := line[len(line)-len(payload)-aead.Overhead():]
	aead.Seal(raw[:0], nonce, payload, nil)
	const piece = len(buf) / 4 * 3
	for len(raw) > 0 {
		n := copy(buf[:piece], raw)
		strict64.Encode(line, buf[:n])
		raw, line = raw[n:], line[strict64.EncodedLen(n):]
	}
}

// open undoes seal within line and returns the plaintext, a part of it. It reports false for any line that seal would
// not have written.
func (buf *lineBuffer) open(aead cipher.AEAD, nonce, line []byte) ([]byte, bool) {
	size := 0
	for rest := line; len(rest) > 0; {
		n := copy(buf[:], rest)
		rest = rest[n:]
		m, err := strict64.Decode(line[size:], buf[:n])
		if err != nil || strict64.EncodedLen(m) != n { // shorter: line breaks were skipped
			return nil, false
		}
		size += m
	}
	plain, err := aead.Open(line[:0], nonce, line[:size], nil)
	return plain, err == nil
}

// isLine reports whether a payload is no JSON of any kind but has the form of a sealed one.
func isLine(payload []byte) bool {
	if len(payload) < strict64.EncodedLen(16) {
		return false
	}
	for _, c := range payload {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
