package api

import (
	"bytes"
	"encoding/json"
)

// Steps over JSON text that is known to be valid: the envelope reader has seen it. On text that is not, they stop
// early or too late but never panic and always move forward.

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

func skipString(b []byte) []byte {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[i+1:]
		}
	}
	return nil
}

// skipValue returns what follows the value at the start of b.
func skipValue(b []byte) []byte {
	b = skipSpace(b)
	depth := 0
	for len(b) > 0 {
		switch b[0] {
		case '"':
			b = skipString(b)
		case '{', '[':
			depth++
			b = b[1:]
		case '}', ']':
			if depth == 0 {
				return b
			}
			depth--
			b = b[1:]
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return b
			}
			b = b[1:]
			continue
		default:
			n := bytes.IndexAny(b, ",:}] \t\r\n")
			if n < 0 {
				return nil
			}
			b = b[max(n, 1):]
		}
		if depth == 0 {
			return b
		}
	}
	return nil
}

// readName returns the raw member name, quotes included, and what follows its colon. A name that is none gives `""`.
func readName(b []byte) (name, rest []byte) {
	if len(b) < 2 || b[0] != '"' {
		return []byte(`""`), nil
	}
	rest = skipString(b)
	if rest == nil {
		return []byte(`""`), nil
	}
	name = b[:len(b)-len(rest)]
	rest = skipSpace(rest)
	if len(rest) > 0 {
		rest = rest[1:]
	}
	return name, rest
}

func skipComma(b []byte) []byte {
	b = skipSpace(b)
	if len(b) > 0 && b[0] == ',' {
		b = skipSpace(b[1:])
	}
	return b
}

func hasMember(object []byte, name string) bool {
	rest := skipSpace(object[1:])
	for len(rest) > 0 && rest[0] != '}' {
		n, after := readName(rest)
		if string(n[1:len(n)-1]) == name || bytes.IndexByte(n, '\\') >= 0 && unquote(n) == name {
			return true
		}
		rest = skipComma(skipValue(after))
	}
	return false
}

func unquote(raw []byte) string {
	if len(raw) >= 2 && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s) // text that is no string is the empty one
	return s
}
