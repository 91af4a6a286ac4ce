package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/google/jsonschema-go/jsonschema"
)

// A check holds what a schema demands beyond the types, which decoding checks: required members, ranges, enums, patterns
// and lengths; and the defaults of absent members. It is compiled once, walks raw JSON and allocates nothing unless
// something is wrong. A nil check demands nothing.
type check struct {
	min, max           *float64
	minLen, maxLen     int // in characters; maxLen < 0: no limit
	minItems, maxItems int // maxItems < 0: no limit
	pattern            *regexp.Regexp
	enum               [][]byte // the allowed values as compact JSON
	members            []member
	values             *check // of members that are not listed
	items              *check
	defaults           bool // whether a default is somewhere below
}

type member struct {
	name     string
	quoted   []byte // the name as JSON
	check    *check
	required bool
	fallback []byte // the default as JSON; nil for none
}

// violation is one entry of the data of a CodeInvalidParams error.
type violation struct {
	Pointer string `json:"pointer"` // RFC 6901
	Message string `json:"message"`
}

const maxViolations = 16

func compilePattern(p string) (*regexp.Regexp, error) { return regexp.Compile(p) }

type compiler struct {
	defs map[string]*jsonschema.Schema
	done map[string]*check
}

// compileCheck returns the check of a schema; nil when it demands nothing.
func compileCheck(s *jsonschema.Schema) *check {
	c := compiler{defs: s.Defs, done: map[string]*check{}}
	return c.compile(s)
}

func (c *compiler) compile(s *jsonschema.Schema) *check {
	if s == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		if k, ok := c.done[name]; ok {
			return k // a recursive one is kept even if it demands nothing
		}
		k := &check{maxLen: -1, maxItems: -1}
		c.done[name] = k
		if inner := c.compile(c.defs[name]); inner != nil {
			*k = *inner
		}
		return k
	}
	k := &check{min: s.Minimum, max: s.Maximum, maxLen: -1, maxItems: -1}
	demands := k.min != nil || k.max != nil
	setInt := func(dst *int, v *int) {
		if v != nil {
			*dst, demands = *v, true
		}
	}
	setInt(&k.minLen, s.MinLength)
	setInt(&k.maxLen, s.MaxLength)
	setInt(&k.minItems, s.MinItems)
	setInt(&k.maxItems, s.MaxItems)
	if s.Pattern != "" {
		if re, err := compilePattern(s.Pattern); err == nil {
			k.pattern, demands = re, true
		}
	}
	for _, v := range s.Enum {
		if raw, err := json.Marshal(v); err == nil {
			k.enum, demands = append(k.enum, raw), true
		}
	}
	order := s.PropertyOrder
	if len(order) == 0 {
		for name := range s.Properties {
			order = append(order, name)
		}
	}
	required := map[string]bool{}
	for _, name := range s.Required {
		required[name] = true
	}
	for _, name := range order {
		quoted, _ := json.Marshal(name) // a string always marshals
		m := member{name: name, quoted: quoted, check: c.compile(s.Properties[name]), required: required[name]}
		if p := s.Properties[name]; p != nil && p.Default != nil {
			m.fallback, k.defaults = p.Default, true
		}
		if m.check != nil && m.check.defaults {
			k.defaults = true
		}
		if m.check != nil || m.required || m.fallback != nil {
			k.members, demands = append(k.members, m), true
		}
	}
	if k.items = c.compile(s.Items); k.items != nil {
		demands = true
		k.defaults = k.defaults || k.items.defaults
	}
	if k.values = c.compile(s.AdditionalProperties); k.values != nil {
		demands = true
		k.defaults = k.defaults || k.values.defaults
	}
	if !demands {
		return nil
	}
	return k
}

// verify walks one valid JSON value and reports what breaks the check. It returns the rest of data behind the value.
func (k *check) verify(data []byte, bad []violation) ([]byte, []violation) {
	data = skipSpace(data)
	if k == nil || len(data) == 0 {
		return skipValue(data), bad
	}
	rest := data
	switch data[0] {
	case '{':
		rest, bad = k.verifyObject(data, bad)
	case '[':
		rest, bad = k.verifyArray(data, bad)
	case '"':
		rest = skipValue(data)
		bad = k.verifyString(data[:len(data)-len(rest)], bad)
	case 't', 'f', 'n':
		rest = skipValue(data)
		if data[0] == 'n' {
			return rest, bad // null is decoding's affair
		}
	default:
		rest = skipValue(data)
		bad = k.verifyNumber(data[:len(data)-len(rest)], bad)
	}
	if k.enum != nil && len(bad) < maxViolations {
		bad = k.verifyEnum(data[:len(data)-len(rest)], bad)
	}
	return rest, bad
}

func (k *check) verifyObject(data []byte, bad []violation) ([]byte, []violation) {
	var seen uint64 // by position among the first 64 members; wider structs are looked up again
	rest := skipSpace(data[1:])
	for len(rest) > 0 && rest[0] != '}' {
		name, after := readName(rest)
		i := k.memberIndex(name)
		sub := k.values
		if i >= 0 {
			sub = k.members[i].check
			if i < 64 {
				seen |= 1 << i
			}
		}
		before := len(bad)
		rest, bad = sub.verify(after, bad)
		if len(bad) > before {
			prefix(bad[before:], unquote(name))
		}
		rest = skipComma(rest)
	}
	for i := range k.members {
		m := &k.members[i]
		if m.required && (i < 64 && seen&(1<<i) == 0 || i >= 64 && !hasMember(data, m.name)) {
			bad = complain(bad, "/"+escapePointer(m.name), "is required")
		}
	}
	if len(rest) > 0 {
		rest = rest[1:]
	}
	return rest, bad
}

func (k *check) verifyArray(data []byte, bad []violation) ([]byte, []violation) {
	n := 0
	rest := skipSpace(data[1:])
	for len(rest) > 0 && rest[0] != ']' {
		before, left := len(bad), len(rest)
		rest, bad = k.items.verify(rest, bad)
		if len(bad) > before {
			prefix(bad[before:], strconv.Itoa(n))
		}
		n++
		if rest = skipComma(rest); len(rest) == left {
			return nil, bad // no JSON
		}
	}
	if n < k.minItems {
		bad = complain(bad, "", fmt.Sprintf("has %d items, fewer than %d", n, k.minItems))
	}
	if k.maxItems >= 0 && n > k.maxItems {
		bad = complain(bad, "", fmt.Sprintf("has %d items, more than %d", n, k.maxItems))
	}
	if len(rest) > 0 {
		rest = rest[1:]
	}
	return rest, bad
}

func (k *check) verifyString(raw []byte, bad []violation) []violation {
	if k.minLen == 0 && k.maxLen < 0 && k.pattern == nil || len(raw) < 2 {
		return bad
	}
	text := raw[1 : len(raw)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		text = []byte(unquote(raw))
	}
	n := utf8.RuneCount(text)
	if n < k.minLen {
		bad = complain(bad, "", fmt.Sprintf("has %d characters, fewer than %d", n, k.minLen))
	}
	if k.maxLen >= 0 && n > k.maxLen {
		bad = complain(bad, "", fmt.Sprintf("has %d characters, more than %d", n, k.maxLen))
	}
	if k.pattern != nil && !k.pattern.Match(text) {
		bad = complain(bad, "", "does not match "+k.pattern.String())
	}
	return bad
}

func (k *check) verifyNumber(raw []byte, bad []violation) []violation {
	if k.min == nil && k.max == nil {
		return bad
	}
	n, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(raw), len(raw)), 64)
	switch {
	case err != nil:
		return complain(bad, "", "is no number in range")
	case k.min != nil && n < *k.min:
		return complain(bad, "", fmt.Sprintf("is less than %v", *k.min))
	case k.max != nil && n > *k.max:
		return complain(bad, "", fmt.Sprintf("is greater than %v", *k.max))
	}
	return bad
}

func (k *check) verifyEnum(raw []byte, bad []violation) []violation {
	for _, e := range k.enum {
		if bytes.Equal(e, raw) || raw[0] == '"' && unquote(e) == unquote(raw) {
			return bad
		}
	}
	return complain(bad, "", "is none of "+string(bytes.Join(k.enum, []byte(", "))))
}

func (k *check) memberIndex(name []byte) int {
	if bytes.IndexByte(name, '\\') >= 0 {
		name = []byte(`"` + unquote(name) + `"`)
	}
	for i := range k.members {
		if string(name[1:len(name)-1]) == k.members[i].name {
			return i
		}
	}
	return -1
}

// fill appends data to dst with the defaults of absent members put in, at every level.
func (k *check) fill(dst, data []byte) (out, rest []byte) {
	data = skipSpace(data)
	if k == nil || !k.defaults || len(data) == 0 || data[0] != '{' && data[0] != '[' {
		rest = skipValue(data)
		return append(dst, data[:len(data)-len(rest)]...), rest
	}
	if data[0] == '[' {
		dst, rest = append(dst, '['), skipSpace(data[1:])
		for first := true; len(rest) > 0 && rest[0] != ']'; first = false {
			if !first {
				dst = append(dst, ',')
			}
			left := len(rest)
			dst, rest = k.items.fill(dst, rest)
			if rest = skipComma(rest); len(rest) == left {
				return dst, nil // no JSON
			}
		}
		return append(dst, ']'), rest[min(1, len(rest)):]
	}
	dst, rest = append(dst, '{'), skipSpace(data[1:])
	start := len(dst)
	for len(rest) > 0 && rest[0] != '}' {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		name, after := readName(rest)
		sub := k.values
		if i := k.memberIndex(name); i >= 0 {
			sub = k.members[i].check
		}
		dst = append(append(dst, name...), ':')
		dst, rest = sub.fill(dst, after)
		rest = skipComma(rest)
	}
	for i := range k.members {
		m := &k.members[i]
		if m.fallback == nil || hasMember(data, m.name) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, m.quoted...), ':'), m.fallback...)
	}
	return append(dst, '}'), rest[min(1, len(rest)):]
}

func complain(bad []violation, pointer, message string) []violation {
	if len(bad) >= maxViolations {
		return bad
	}
	return append(bad, violation{pointer, message})
}

func prefix(bad []violation, token string) {
	for i := range bad {
		bad[i].Pointer = "/" + escapePointer(token) + bad[i].Pointer
	}
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func escapePointer(s string) string { return pointerEscapes.Replace(s) }
