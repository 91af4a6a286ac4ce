package security

import (
	"bytes"
	"crypto/cipher"

	"github.com/segmentio/asm/base64"
)

// line64 is strict64, some times as fast: a large line is as much base64 as it is encryption. It may take '+' and
// '/', which are of the other alphabet, and it skips line breaks.
var line64 = base64.RawURLEncoding.Strict()

// lineBuffer holds a piece of a line while it is recoded in its place: no encoder says what happens when its source and
// its destination overlap.
type lineBuffer struct{ piece [1024]byte }

// seal writes base64url(AEAD(payload)) to line, which has exactly that length and does not overlap payload.
func (buf *lineBuffer) seal(aead cipher.AEAD, nonce, line, payload []byte) {
	// The ciphertext goes to the end of the line. A piece that starts at byte i of it is written from 4*i/3 of the line
	// on, which never reaches what is still unread.
	raw := line[len(line)-len(payload)-aead.Overhead():]
	aead.Seal(raw[:0], nonce, payload, nil)
	const piece = len(buf.piece) / 4 * 3
	for len(raw) > 0 {
		n := copy(buf.piece[:piece], raw)
		size := line64.EncodedLen(n)
		line64.Encode(line[:size:size], buf.piece[:n])
		raw, line = raw[n:], line[size:]
	}
}

// open undoes seal within line and returns the plaintext, a part of it. It reports false for any line that seal would
// not have written.
func (buf *lineBuffer) open(aead cipher.AEAD, nonce, line []byte) ([]byte, bool) {
	raw, ok := buf.decode(line)
	if !ok {
		return nil, false
	}
	plain, err := aead.Open(raw[:0], nonce, raw, nil)
	return plain, err == nil
}

// decode decodes line within itself. It takes exactly what strict64 takes without line breaks.
func (buf *lineBuffer) decode(line []byte) (raw []byte, ok bool) {
	if bytes.IndexByte(line, '+') >= 0 || bytes.IndexByte(line, '/') >= 0 {
		return nil, false
	}
	size := 0
	for rest := line; len(rest) > 0; {
		n := copy(buf.piece[:], rest)
		rest = rest[n:]
		m, err := line64.Decode(line[size:], buf.piece[:n])
		if err != nil || line64.EncodedLen(m) != n { // shorter: line breaks were skipped
			return nil, false
		}
		size += m
	}
	return line[:size], true
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
