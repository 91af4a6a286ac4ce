package api

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A violation is one entry of the data of a CodeInvalidParams error.
type violation struct {
	Pointer string `json:"pointer"` // RFC 6901, into the params or result
	Message string `json:"message"`
}

const (
	// maxViolations is how many violations are looked for.
	maxViolations = 16
	// maxDepth is how deep a value may be nested, the same as in the envelope.
	maxDepth = 64
)

// verify returns what in raw breaks the check. strict looks at the types of all values, also where decoding would.
// What is no JSON is left to decoding.
func (k *check) verify(raw []byte, strict bool) []violation {
	if k == nil || !strict && !k.demands && !bytes.Contains(raw, []byte("null")) {
		return nil
	}
	w := walk{all: strict}
	w.value(k, skipSpace(raw))
	if (len(w.bad) > 0 || w.null) && !w.all { // say all that is wrong
		return k.verify(raw, true)
	}
	return w.bad
}

// walk is one verification. Its methods take a text that begins with a value and return what follows.
type walk struct {
	bad   []violation
	all   bool // look at every value; else only where something more than types is demanded
	null  bool // there may be a null where nothing more is demanded
	stop  bool // enough violations, or no JSON
	depth int
}

func (w *walk) value(k *check, b []byte) []byte {
	for k != nil && k.elem != nil {
		if len(b) > 0 && b[0] == 'n' {
			return w.skip(b)
		}
		k = k.elem
	}
	if k == nil || len(b) == 0 {
		return w.skip(b)
	}
	if !w.all && !k.demands {
		rest := w.skip(b)
		w.null = w.null || mayBeNull(b[:len(b)-len(rest)])
		return rest
	}
	switch b[0] {
	case '{':
		if k.allows(isObject) {
			w.among(k, b[:1], nil)
			return w.object(k, b)
		}
	case '[':
		if k.allows(isArray) {
			w.among(k, b[:1], nil)
			return w.array(k, b)
		}
	case '"':
		if k.allows(isString) {
			rest := w.skip(b)
			w.text(k, b[:len(b)-len(rest)])
			return rest
		}
	case 't', 'f', 'n':
		kind := isBoolean
		if b[0] == 'n' {
			kind = isNull
		}
		if k.allows(kind) {
			rest := w.skip(b)
			w.among(k, b[:len(b)-len(rest)], nil)
			return rest
		}
	default:
		rest := w.skip(b)
		w.number(k, b[:len(b)-len(rest)])
		return rest
	}
	w.complain("", "must be "+k.types.String())
	return w.skip(b)
}

// mayBeNull reports whether a value is null, or may have one in it.
func mayBeNull(value []byte) bool {
	switch {
	case len(value) == 0:
		return false
	case value[0] == '{', value[0] == '[':
		return bytes.Contains(value, []byte("null"))
	}
	return value[0] == 'n'
}

func (k *check) allows(t typeSet) bool { return k.types == 0 || k.types&t != 0 }

func (w *walk) skip(b []byte) []byte {
	rest, ok := skipValue(b)
	w.stop = w.stop || !ok
	return rest
}

// next goes to the next item of an object or array, or to its end.
func (w *walk) next(b []byte, end byte) []byte {
	rest, ok := nextItem(b, end)
	if w.stop = w.stop || !ok; w.stop {
		return nil
	}
	return rest
}

// enter goes one level deeper, if that is allowed.
func (w *walk) enter() bool {
	if w.depth++; w.depth <= maxDepth {
		return true
	}
	w.complain("", "is nested too deeply")
	w.stop = true
	return false
}

func (w *walk) leave() { w.depth-- }

func (w *walk) object(k *check, b []byte) []byte {
	if !w.enter() {
		return nil
	}
	defer w.leave()
	var seen memberSet
	guess := 0
	b = skipSpace(b[1:])
	for len(b) > 0 && b[0] != '}' {
		i, name, value, ok := k.readMember(b, guess)
		if !ok {
			w.stop = true
			return nil
		}
		sub := k.values
		if i >= 0 {
			seen.add(i, len(k.members))
			sub, guess = k.members[i].check, i+1
		}
		before := len(w.bad)
		b = w.value(sub, value)
		if len(w.bad) > before {
			prefix(w.bad[before:], string(unquoted(name)))
		}
		b = w.next(b, '}')
	}
	if w.stop {
		return nil
	}
	for i := range k.members {
		if m := &k.members[i]; m.required && !seen.has(i) && !w.stop {
			w.complain("/"+escapePointer(m.name), "is required")
		}
	}
	return b[min(1, len(b)):]
}

func (w *walk) array(k *check, b []byte) []byte {
	if !w.enter() {
		return nil
	}
	defer w.leave()
	n := 0
	b = skipSpace(b[1:])
	for len(b) > 0 && b[0] != ']' {
		before := len(w.bad)
		b = w.value(k.items, b)
		if len(w.bad) > before {
			prefix(w.bad[before:], strconv.Itoa(n))
		}
		b = w.next(b, ']')
		n++
	}
	if w.stop {
		return nil
	}
	if n < k.minItems {
		w.complain("", fmt.Sprintf("has %d items, fewer than %d", n, k.minItems))
	}
	if k.maxItems >= 0 && n > k.maxItems {
		w.complain("", fmt.Sprintf("has %d items, more than %d", n, k.maxItems))
	}
	return b[min(1, len(b)):]
}

func (w *walk) text(k *check, raw []byte) {
	if w.stop || k.minLen == 0 && k.maxLen < 0 && k.pattern == nil && k.enum == nil {
		return
	}
	text := unquoted(raw)
	n := utf8.RuneCount(text)
	if n < k.minLen {
		w.complain("", fmt.Sprintf("has %d characters, fewer than %d", n, k.minLen))
	}
	if k.maxLen >= 0 && n > k.maxLen {
		w.complain("", fmt.Sprintf("has %d characters, more than %d", n, k.maxLen))
	}
	if k.pattern != nil && !k.pattern.Match(text) {
		w.complain("", "does not match "+k.pattern.String())
	}
	w.among(k, raw, text)
}

func (w *walk) number(k *check, raw []byte) {
	integer := k.types&isInteger != 0 && k.types&isNumber == 0
	if w.stop || k.min == nil && k.max == nil && k.enum == nil && !integer && k.types&isNumber != 0 {
		return
	}
	d := parseDecimal(raw)
	switch {
	case !k.allows(isInteger|isNumber) || integer && !d.integral():
		w.complain("", "must be "+k.types.String())
		return
	case k.min != nil && d.compare(&k.min.decimal) < 0:
		w.complain("", "is less than "+k.min.text)
	case k.max != nil && d.compare(&k.max.decimal) > 0:
		w.complain("", "is greater than "+k.max.text)
	}
	w.among(k, raw, nil)
}

// among checks the enum. text is raw without its quotes and escapes when it is a string.
func (w *walk) among(k *check, raw, text []byte) {
	if k.enum == nil {
		return
	}
	d := parseDecimal(raw)
	for i := range k.enum {
		e := &k.enum[i]
		switch {
		case raw[0] != e.raw[0] && (!startsNumber(raw[0]) || !startsNumber(e.raw[0])):
		case raw[0] == '"' && bytes.Equal(text, e.text), startsNumber(raw[0]) && d.compare(&e.number) == 0, bytes.Equal(raw, e.raw):
			return
		}
	}
	var allowed []string
	for _, e := range k.enum {
		allowed = append(allowed, string(e.raw))
	}
	w.complain("", "is none of "+strings.Join(allowed, ", "))
}

func startsNumber(c byte) bool { return c == '-' || c >= '0' && c <= '9' }

func (w *walk) complain(pointer, message string) {
	if len(w.bad) < maxViolations {
		w.bad = append(w.bad, violation{pointer, message})
	}
	w.stop = w.stop || len(w.bad) == maxViolations
}

// maxToken is how much of a name is repeated to whoever sent it.
const maxToken = 128

func prefix(bad []violation, token string) {
	token = clip(token, maxToken)
	for i := range bad {
		bad[i].Pointer = "/" + escapePointer(token) + bad[i].Pointer
	}
}

// clip shortens a text to about n bytes.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func escapePointer(s string) string { return pointerEscapes.Replace(s) }

// unquoted returns what a JSON string stands for. It shares raw's memory where nothing is escaped.
func unquoted(raw []byte) []byte {
	if len(raw) < 2 {
		return nil
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, raw) // what is no string ends where it stops being one
	return text
}

// memberSet is the set of an object's members that have been seen, by their index.
type memberSet struct {
	few  [2]uint64
	many []uint64
}

func (s *memberSet) add(i, n int) {
	if i < 128 {
		s.few[i/64] |= 1 << (i % 64)
		return
	}
	if s.many == nil {
		s.many = make([]uint64, n/64)
	}
	s.many[i/64-1] |= 1 << (i % 64)
}

func (s *memberSet) has(i int) bool {
	if i < 128 {
		return s.few[i/64]&(1<<(i%64)) != 0
	}
	return s.many != nil && s.many[i/64-1]&(1<<(i%64)) != 0
}
