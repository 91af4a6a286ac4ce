package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"unicode/utf8"

	"github.com/segmentio/asm/ascii"
)

// MaxDepth is how deep the arrays and objects of a frame may nest, itself included. It bounds the stack that hostile
// input can take.
const MaxDepth = 64

// ErrSyntax is returned for a frame that is not JSON in UTF-8, or nests deeper than MaxDepth. It stands for the error
// code -32700, with the id null.
var ErrSyntax = errors.New("codec: not JSON")

// The scanner checks RFC 8259 in one pass, and UTF-8 with it: encoding/json takes invalid UTF-8 and decodes as it goes.
// Each function takes the text and the offset of what it reads, and returns the offset behind it, or -1 when the text is
// no JSON. Surrogates that \u escapes leave alone are let through, as the grammar of RFC 8259 does.

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// scanValue reads the value that begins at b[i]. depth counts the containers around it.
func scanValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return scanString(b, i)
	case '{':
		return scanObject(b, i, depth+1)
	case '[':
		return scanArray(b, i, depth+1)
	case 't':
		return scanWord(b, i, "true")
	case 'f':
		return scanWord(b, i, "false")
	case 'n':
		return scanWord(b, i, "null")
	}
	return scanNumber(b, i)
}

func scanWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func scanObject(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return -1
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return -1
		}
		if i = scanString(b, i); i < 0 {
			return -1
		}
		i = space(b, i)
		if i >= len(b) || b[i] != ':' {
			return -1
		}
		if i = scanValue(b, space(b, i+1), depth); i < 0 {
			return -1
		}
		i = space(b, i)
		switch {
		case i >= len(b):
			return -1
		case b[i] == ',':
			i = space(b, i+1)
		case b[i] == '}':
			return i + 1
		default:
			return -1
		}
	}
}

func scanArray(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return -1
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = scanValue(b, i, depth); i < 0 {
			return -1
		}
		i = space(b, i)
		switch {
		case i >= len(b):
			return -1
		case b[i] == ',':
			i = space(b, i+1)
		case b[i] == ']':
			return i + 1
		default:
			return -1
		}
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, in the high bit of each byte of w, the bytes that end a run of plain string characters: below 0x20,
// above 0x7f, the quotation mark and the backslash. A mark above the lowest one may be false.
func special(w uint64) uint64 {
	quote := w ^ '"'*ones
	slash := w ^ '\\'*ones
	return (w | (w - 0x20*ones) | (quote - ones) | (slash - ones)) & highs
}

// stringWindow is how much of a large string vector instructions take at a time.
const stringWindow = 1 << 10

// plainWindows returns how many bytes at the start of b, a number of windows, are plain string characters.
func plainWindows(b []byte) int {
	i := 0
	for len(b)-i >= stringWindow {
		if w := b[i : i+stringWindow]; bytes.IndexByte(w, '"') >= 0 || bytes.IndexByte(w, '\\') >= 0 || !ascii.ValidPrint(w) {
			break
		}
		i += stringWindow
	}
	return i
}

// scanString reads a string, its quotation marks included. Bytes above 0x7f must be UTF-8.
func scanString(b []byte, i int) int {
	i++
	if len(b)-i >= stringWindow {
		i += plainWindows(b[i:])
	}
	for {
		for len(b)-i >= 8 {
			m := special(binary.LittleEndian.Uint64(b[i:]))
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			return -1
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = scanEscape(b, i); i < 0 {
				return -1
			}
		case c < 0x20:
			return -1
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return -1
			}
			i += n
		}
	}
}

func scanEscape(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if len(b)-i < 6 {
			return -1
		}
		for _, c := range b[i+2 : i+6] {
			if !isHex(c) {
				return -1
			}
		}
		return i + 6
	}
	return -1
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func scanNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b) || !isDigit(b[i]):
		return -1
	case b[i] == '0':
		i++
	default:
		i = digits(b, i)
	}
	if i < len(b) && b[i] == '.' {
		if i++; i >= len(b) || !isDigit(b[i]) {
			return -1
		}
		i = digits(b, i)
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if i >= len(b) || !isDigit(b[i]) {
			return -1
		}
		i = digits(b, i)
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

// Valid reports whether b is one JSON value in UTF-8, white space around it allowed, that nests at most MaxDepth deep.
func Valid(b []byte) bool { return valid(b, 0) }

// valid is Valid for a value within depth containers.
func valid(b []byte, depth int) bool {
	i := scanValue(b, space(b, 0), depth)
	return i >= 0 && space(b, i) == len(b)
}
