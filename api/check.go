package api

import (
	"encoding/json"
	"maps"
	"math/bits"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// A check is a schema compiled for raw JSON: types, required members, ranges, enums, patterns, lengths, and the
// defaults of absent members. It is compiled once and never changes; walking a text with it allocates nothing unless
// something is wrong. A nil check demands nothing.
//
// What decoding into the Go type finds by itself is looked for only where the text holds a null, which decoding would
// take for a zero: a method without constraints costs one search for the word.
type check struct {
	types              typeSet // 0: any
	min, max           *bound
	minLen, maxLen     int // in characters; maxLen < 0: no limit
	minItems, maxItems int // maxItems < 0: no limit
	pattern            *regexp.Regexp
	enum               []enumValue
	members            []member
	index              map[string]int // of members; nil for few
	values             *check         // of members that are not listed
	items              *check
	elem               *check // of a pointer: null, or what elem demands; nothing else is set then
	demands            bool   // whether something more than types is demanded, here or below
	limits             bool   // whether something more than types and presence is: what a Go value may break
	defaults           bool   // whether there is a default below
}

type member struct {
	name     string
	quoted   []byte // the name as JSON
	check    *check
	required bool
	fallback []byte // the default as JSON, completed with the defaults below it; nil for none
}

// enumValue is one allowed value: a scalar.
type enumValue struct {
	raw    []byte
	text   []byte // of a string
	number decimal
}

// typeSet is a set of JSON Schema types.
type typeSet uint8

const (
	isNull typeSet = 1 << iota
	isBoolean
	isInteger
	isNumber // integers too
	isString
	isArray
	isObject
)

var typeNames = []string{"null", "boolean", "integer", "number", "string", "array", "object"}

func typesOf(s *jsonschema.Schema) (t typeSet) {
	for _, name := range append(slices.Clone(s.Types), s.Type) {
		if i := slices.Index(typeNames, name); i >= 0 {
			t |= 1 << i
		}
	}
	return t
}

// String says what a value must be: "an integer", "a string or null".
func (t typeSet) String() string {
	var names []string
	for t := t &^ isNull; t != 0; t &= t - 1 {
		name := typeNames[bits.TrailingZeros8(uint8(t))]
		if article := "a "; strings.ContainsRune("aio", rune(name[0])) {
			article = "an "
			name = article + name
		} else {
			name = article + name
		}
		names = append(names, name)
	}
	if t&isNull != 0 {
		names = append(names, "null")
	}
	return strings.Join(names, " or ")
}

// unsignedMinimum is the minimum of unsigned types. It is known by its address: decoding looks after it.
var unsignedMinimum = new(float64)

type compiler struct {
	defs map[string]*jsonschema.Schema
	done map[string]*check // of the definitions
	all  []*check
}

// compileCheck returns the check of a schema and of all that it refers to; nil when it demands nothing. Keywords that
// no Go type and no tag gives rise to are not its affair.
func compileCheck(s *jsonschema.Schema) *check {
	c := compiler{defs: s.Defs, done: map[string]*check{}}
	k := c.compile(s)
	c.settle()
	return k
}

func (c *compiler) compile(s *jsonschema.Schema) *check {
	if s == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(s.Ref, refInSchema); ok {
		return c.definition(name)
	}
	if ref, ok := nullable(s); ok {
		k := &check{elem: c.compile(ref)}
		c.all = append(c.all, k)
		return k
	}
	k := &check{types: typesOf(s), max: newBound(s.Maximum), maxLen: -1, maxItems: -1}
	if s.Minimum != unsignedMinimum {
		k.min = newBound(s.Minimum)
	}
	setInt := func(dst, v *int) {
		if v != nil {
			*dst = *v
		}
	}
	setInt(&k.minLen, s.MinLength)
	setInt(&k.maxLen, s.MaxLength)
	setInt(&k.minItems, s.MinItems)
	setInt(&k.maxItems, s.MaxItems)
	if s.Pattern != "" {
		k.pattern, _ = regexp.Compile(s.Pattern) // a schema with a bad one does not get here
	}
	k.enum = enumOf(s.Enum)
	k.limits = k.min != nil || k.max != nil || k.minLen > 0 || k.maxLen >= 0 || k.pattern != nil || k.enum != nil ||
		k.minItems > 0 || k.maxItems >= 0
	k.demands = k.limits
	c.compileMembers(k, s)
	k.items = c.compile(s.Items)
	k.values = c.compile(s.AdditionalProperties)
	c.all = append(c.all, k) // what is below stands before it
	if k.types == 0 && !k.demands && len(k.members) == 0 && k.items == nil && k.values == nil {
		return nil
	}
	return k
}

func (c *compiler) compileMembers(k *check, s *jsonschema.Schema) {
	required := map[string]bool{}
	for _, name := range s.Required {
		required[name] = true
	}
	done := map[string]bool{}
	for _, name := range slices.Concat(s.PropertyOrder, slices.Sorted(maps.Keys(s.Properties)), s.Required) {
		if done[name] {
			continue
		}
		done[name] = true
		p := s.Properties[name]
		quoted, _ := json.Marshal(name) // a string always marshals
		m := member{name: name, quoted: quoted, check: c.compile(p), required: required[name]}
		if p != nil && p.Default != nil {
			m.fallback, k.defaults = p.Default, true
		}
		k.demands = k.demands || m.required
		k.members = append(k.members, m)
	}
	if len(k.members) > 8 {
		k.index = make(map[string]int, len(k.members))
		for i := range k.members {
			k.index[k.members[i].name] = i
		}
	}
}

// definition returns the check of what is under $defs. It is handed out before it is complete, so that it can refer to
// itself.
func (c *compiler) definition(name string) *check {
	if k, ok := c.done[name]; ok {
		return k
	}
	s := c.defs[name]
	if s == nil || s.Ref != "" { // a reference to a reference says nothing that a Go type could
		return nil
	}
	k := &check{}
	c.done[name] = k
	if inner := c.compile(s); inner != nil {
		*k = *inner
	} else {
		k.maxLen, k.maxItems = -1, -1
	}
	c.all = append(c.all, k)
	return k
}

// settle carries demands and defaults up to where they are below, around cycles too, and completes the defaults.
func (c *compiler) settle() {
	for changed := true; changed; {
		changed = false
		for _, k := range c.all {
			lift := func(below *check) {
				if below != nil && (below.demands && !k.demands || below.limits && !k.limits || below.defaults && !k.defaults) {
					k.demands, k.limits, k.defaults, changed = k.demands || below.demands, k.limits || below.limits, k.defaults || below.defaults, true
				}
			}
			lift(k.items)
			lift(k.values)
			lift(k.elem)
			for i := range k.members {
				lift(k.members[i].check)
			}
		}
	}
	seen := map[*member]bool{}
	for _, k := range c.all {
		for i := range k.members {
			if m := &k.members[i]; m.fallback != nil && !seen[m] {
				seen[m] = true
				m.fallback, _ = m.check.fill(nil, m.fallback, 0)
			}
		}
	}
}

// nullable recognizes the schema of a pointer to what is defined elsewhere.
func nullable(s *jsonschema.Schema) (*jsonschema.Schema, bool) {
	if len(s.AnyOf) == 2 && s.AnyOf[1].Type == "null" && s.AnyOf[0].Ref != "" {
		return s.AnyOf[0], true
	}
	return nil, false
}

// enumOf compiles allowed values. A list that holds an object or array is left to others.
func enumOf(values []any) []enumValue {
	var out []enumValue
	for _, v := range values {
		raw, err := json.Marshal(v)
		if err != nil || raw[0] == '{' || raw[0] == '[' {
			return nil
		}
		e := enumValue{raw: raw}
		if text, ok := v.(string); ok {
			e.text = []byte(text)
		}
		e.number = parseDecimal(raw)
		out = append(out, e)
	}
	return out
}

// readMember reads the name and the colon at the start of b. It returns the index of the member, -1 for one that is not
// listed, its name as written, quotes included, and its value and all that follows. Members mostly come in order and
// without escapes in their names: guess is tried first.
func (k *check) readMember(b []byte, guess int) (i int, name, value []byte, ok bool) {
	if guess < len(k.members) {
		name = k.members[guess].quoted
		if len(b) > len(name) && b[len(name)] == ':' && string(b[:len(name)]) == string(name) {
			return guess, name, skipSpace(b[len(name)+1:]), true
		}
	}
	if name, value, ok = readName(b); ok {
		i = k.find(unquoted(name))
	}
	return i, name, value, ok
}

// find returns the index of a member by its name, -1 when there is none.
func (k *check) find(name []byte) int {
	if k.index != nil {
		if i, ok := k.index[string(name)]; ok {
			return i
		}
		return -1
	}
	for i := range k.members {
		if string(name) == k.members[i].name {
			return i
		}
	}
	return -1
}
