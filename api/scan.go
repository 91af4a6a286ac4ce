package api

import "bytes"

// The functions of this file step over JSON text without decoding it. Whether the text is valid is the decoder's to say,
// which reads it afterwards: on text that is not, they report false or stop too early or too late, but they never panic,
// always move forward, and are linear in the length of the text.

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// skipString returns what follows the string at the start of b.
func skipString(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, false
	}
	for i := 1; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return nil, false
		}
		end := i + n
		escapes := 0
		for end-escapes > i && b[end-escapes-1] == '\\' {
			escapes++
		}
		if i = end + 1; escapes%2 == 0 {
			return b[i:], true
		}
	}
}

// skipScalar returns what follows the number, true, false or null at the start of b.
func skipScalar(b []byte) (rest []byte, ok bool) {
	for i, c := range b {
		switch c {
		case ',', ':', '}', ']', '{', '[', '"', ' ', '\t', '\n', '\r':
			return b[i:], i > 0
		}
	}
	return nil, len(b) > 0
}

// skipValue returns what follows the value at the start of b, which no space precedes.
func skipValue(b []byte) (rest []byte, ok bool) {
	depth := 0
	for len(b) > 0 {
		switch b[0] {
		case '"':
			b, ok = skipString(b)
		case '{', '[':
			depth++
			b, ok = b[1:], true
		case '}', ']':
			if depth == 0 {
				return nil, false
			}
			depth--
			b, ok = b[1:], true
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return nil, false
			}
			b = b[1:]
			continue
		default:
			b, ok = skipScalar(b)
		}
		if !ok || depth == 0 {
			return b, ok
		}
	}
	return nil, false
}

// readName returns the member name at the start of b as it is written, quotes included, and its value and all that
// follows.
func readName(b []byte) (name, value []byte, ok bool) {
	rest, ok := skipString(b)
	if !ok {
		return nil, nil, false
	}
	name = b[:len(b)-len(rest)]
	rest = skipSpace(rest)
	if len(rest) == 0 || rest[0] != ':' {
		return nil, nil, false
	}
	return name, skipSpace(rest[1:]), true
}

// nextItem steps over the comma behind an item to the next one, or to the closing bracket.
func nextItem(b []byte, end byte) (rest []byte, ok bool) {
	b = skipSpace(b)
	if len(b) == 0 || b[0] == end {
		return b, len(b) > 0
	}
	if b[0] != ',' {
		return b, false
	}
	rest = skipSpace(b[1:])
	if len(rest) == 0 || rest[0] == end {
		return b, false
	}
	return rest, true
}

// isEmptyValue reports whether raw is {} or [].
func isEmptyValue(raw []byte) bool {
	raw = skipSpace(raw)
	if len(raw) < 2 || raw[0] != '{' && raw[0] != '[' {
		return false
	}
	inner := skipSpace(raw[1:])
	return len(inner) > 0 && inner[0] == raw[0]+2 && len(skipSpace(inner[1:])) == 0
}
