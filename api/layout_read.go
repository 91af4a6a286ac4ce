package api

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/segmentio/asm/ascii"
)

// lastStrings are the strings that were read last, by their places in a layout. The next is often the same as the one
// before it, and is not made again then.
type lastStrings []string

// keptString is the longest string that is kept for the next.
const keptString = 256

// read reads raw, the JSON of one value, into v, which is empty. It reports false for what the library is to read, or to
// refuse; v may hold a part of it then.
func (l *layout) read(raw []byte, v reflect.Value, last lastStrings) bool {
	rest, ok := l.readValue(skipSpace(raw), v, last)
	return ok && len(skipSpace(rest)) == 0
}

// readValue reads the value at the start of b, and returns what follows it.
func (l *layout) readValue(b []byte, v reflect.Value, last lastStrings) (rest []byte, ok bool) {
	if len(b) == 0 {
		return b, false
	}
	switch l.kind {
	case reflect.Struct:
		return l.readStruct(b, v, last)
	case reflect.Slice:
		return l.readSlice(b, v, last)
	case reflect.String:
		return l.readString(b, v, last)
	case reflect.Bool:
		if rest, ok = bytes.CutPrefix(b, []byte("true")); ok {
			v.SetBool(true)
			return rest, true
		}
		return bytes.CutPrefix(b, []byte("false"))
	case reflect.Float32, reflect.Float64:
		return l.readFloat(b, v)
	}
	return readInteger(b, v)
}

func (l *layout) readStruct(b []byte, v reflect.Value, last lastStrings) (rest []byte, ok bool) {
	if b[0] != '{' {
		return b, false
	}
	b = skipSpace(b[1:])
	next, empty := 0, true
	for {
		if len(b) == 0 {
			return b, false
		}
		if b[0] == '}' {
			return b[1:], l.mayEndBefore(next)
		}
		if !empty {
			if b[0] != ',' {
				return b, false
			}
			b = skipSpace(b[1:])
		}
		empty = false
		for ; ; next++ {
			if next == len(l.fields) {
				return b, false
			}
			m := &l.fields[next]
			if len(b) > len(m.lead) && string(b[:len(m.lead)]) == string(m.lead) {
				break
			}
			if !m.absent {
				return b, false
			}
		}
		m := &l.fields[next]
		if b, ok = m.layout.readValue(skipSpace(b[len(m.lead):]), v.Field(m.index), last); !ok {
			return b, false
		}
		b = skipSpace(b)
		next++
	}
}

// mayEndBefore reports whether all members from one on may be absent.
func (l *layout) mayEndBefore(next int) bool {
	for i := next; i < len(l.fields); i++ {
		if !l.fields[i].absent {
			return false
		}
	}
	return true
}

func (l *layout) readSlice(b []byte, v reflect.Value, last lastStrings) (rest []byte, ok bool) {
	if b[0] != '[' {
		return b, false
	}
	b = skipSpace(b[1:])
	if len(b) > 0 && b[0] == ']' {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return b[1:], true
	}
	for n := 0; ; n++ {
		if n == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(n + 1)
		if b, ok = l.elem.readValue(b, v.Index(n), last); !ok {
			return b, false
		}
		b = skipSpace(b)
		if len(b) == 0 {
			return b, false
		}
		switch b[0] {
		case ']':
			return b[1:], true
		case ',':
			b = skipSpace(b[1:])
		default:
			return b, false
		}
	}
}

// readString reads a string without escapes.
func (l *layout) readString(b []byte, v reflect.Value, last lastStrings) (rest []byte, ok bool) {
	if b[0] != '"' {
		return b, false
	}
	b = b[1:]
	n := plainPrefix(b)
	if n < len(b) && b[n] >= utf8.RuneSelf {
		end := bytes.IndexByte(b[n:], '"')
		if end < 0 || !utf8.Valid(b[n:n+end]) || !printable(b[n:n+end]) {
			return b, false
		}
		n += end
	}
	if n == len(b) || b[n] != '"' {
		return b, false
	}
	text := last[l.place]
	if text != string(b[:n]) {
		if text = string(b[:n]); n <= keptString {
			last[l.place] = text
		}
	}
	v.SetString(text)
	return b[n+1:], true
}

// readInteger reads a number of digits alone. One that may not fit is left to the library.
func readInteger(b []byte, v reflect.Value) (rest []byte, ok bool) {
	i, neg := 0, b[0] == '-'
	if neg {
		i = 1
	}
	end := digits(b, i)
	if end == i || end > i+18 || b[i] == '0' && (end > i+1 || neg) {
		return b, false
	}
	var n int64
	for ; i < end; i++ {
		n = 10*n + int64(b[i]-'0')
	}
	if neg {
		n = -n
	}
	switch {
	case v.CanInt():
		if v.OverflowInt(n) {
			return b, false
		}
		v.SetInt(n)
	case neg || v.OverflowUint(uint64(n)):
		return b, false
	default:
		v.SetUint(uint64(n))
	}
	return b[end:], true
}

func (l *layout) readFloat(b []byte, v reflect.Value) (rest []byte, ok bool) {
	n := numberLength(b)
	if n == 0 {
		return b, false
	}
	f, err := strconv.ParseFloat(string(b[:n]), l.bits)
	if err != nil {
		return b, false
	}
	v.SetFloat(f)
	return b[n:], true
}

// numberLength returns how long the number at the start of b is, 0 where there is none. What follows is not looked at.
func numberLength(b []byte) int {
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	whole := digits(b, i)
	if whole == i || b[i] == '0' && whole > i+1 {
		return 0
	}
	if i = whole; i < len(b) && b[i] == '.' {
		end := digits(b, i+1)
		if end == i+1 {
			return 0
		}
		i = end
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		end := digits(b, i)
		if end == i {
			return 0
		}
		i = end
	}
	return i
}

// digits returns where the digits end that begin at i.
func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// printable reports whether no byte of a string has to be escaped, its end not counted.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == '\\' {
			return false
		}
	}
	return true
}

// plainPrefix returns how many bytes at the start of b stand for themselves in a JSON string: printable ASCII other than
// the quotation mark and the backslash.
func plainPrefix(b []byte) int {
	const (
		ones   = 0x0101010101010101
		highs  = 0x8080808080808080
		window = 1 << 10
	)
	i := 0
	for len(b)-i >= window { // a large string, which vector instructions read some times as fast
		if w := b[i : i+window]; bytes.IndexByte(w, '"') >= 0 || bytes.IndexByte(w, '\\') >= 0 || !ascii.ValidPrint(w) {
			break
		}
		i += window
	}
	for ; len(b)-i >= 8; i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^'"'*ones, w^'\\'*ones
		if (w|(w-' '*ones)|(quote-ones)|(slash-ones))&highs != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}
