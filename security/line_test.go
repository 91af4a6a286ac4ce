package security

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"strings"
	"testing"
)

// TestLine seals and opens payloads of all sizes up to several pieces: the line is the base64url of package
// encoding/base64, nothing beside it is touched, and another spelling of the same bytes is refused.
func TestLine(t *testing.T) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, aead.NonceSize())
	const around = 64
	var buf lineBuffer
	for n := range 2000 {
		payload := bytes.Repeat([]byte{byte(n), 0xff, 0xfb}, n/3+1)[:n]
		want := base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nonce, payload, nil))
		space := bytes.Repeat([]byte{0xa5}, around+len(want)+around)
		line := space[around : around+len(want) : around+len(want)]
		beside := func() bool {
			return bytes.Count(space[:around], []byte{0xa5})+bytes.Count(space[around+len(want):], []byte{0xa5}) == 2*around
		}
		buf.seal(aead, nonce, line, payload)
		if string(line) != want || !beside() {
			t.Fatalf("%d bytes are not sealed as they should be", n)
		}
		for what, other := range map[string]string{
			"the other alphabet": strings.NewReplacer("-", "+", "_", "/").Replace(want),
			"a line break":       want[:len(want)-1] + "\n" + want[len(want)-1:],
			"padding":            want + "=",
			"spare bits":         want[:len(want)-1] + string(want[len(want)-1]+1),
		} {
			if other == want || what == "spare bits" && len(want)%4 == 0 {
				continue
			}
			if _, ok := buf.open(aead, nonce, []byte(other)); ok {
				t.Fatalf("%d bytes: %s is let through", n, what)
			}
		}
		got, ok := buf.open(aead, nonce, line)
		if !ok || !bytes.Equal(got, payload) || !beside() {
			t.Fatalf("%d bytes are not opened as they should be", n)
		}
	}
}

// TestLineAlphabet puts every byte into every place of lines, which are decoded in pieces and in runs of many characters
// at once: each is taken or refused as by package encoding/base64, line breaks apart.
func TestLineAlphabet(t *testing.T) {
	var buf lineBuffer
	for _, size := range []int{1, 2, 3, 22, 33, 64, 190, len(buf.piece) - 1, len(buf.piece), len(buf.piece) + 50} {
		line := bytes.Repeat([]byte("AZaz09-_"), size/8+1)[:size]
		for at := range line {
			if size > 200 && at > 70 && at < size-120 {
				continue // like those before
			}
			for b := range 256 {
				changed := bytes.Clone(line)
				changed[at] = byte(b)
				want, err := strict64.DecodeString(string(changed))
				refused := err != nil || b == '\n' || b == '\r'
				got, ok := buf.decode(changed)
				if ok == refused || ok && !bytes.Equal(got, want) {
					t.Fatalf("%d characters with %#x in place %d: %t", size, b, at, ok)
				}
			}
		}
	}
}
