package security

import (
	"bytes"
	"errors"
	"iter"
)

// Bounds of a secinfo's params, protocol section 3.
const (
	maxMembers = 12
	maxField   = 16
	maxValue   = 128
)

// ErrSecInfo is returned by SecInfo.Parse for params that break protocol section 3.
var ErrSecInfo = errors.New("security: malformed secinfo")

// SecInfo is the params object of one rpc.secinfo frame, parsed strictly. It is for providers and for those who show
// secinfo; what it says is a claim until a provider has checked it.
//
// The zero SecInfo is empty. It may be reused for any number of frames, by one goroutine at a time.
type SecInfo struct {
	members [maxMembers]member
	n       int
}

type member struct{ name, value []byte }

// Parse reads params, the raw bytes of the object, and keeps references into them: they must not change while s is in
// use. It returns ErrSecInfo, leaving s empty, unless params is a JSON object of at most 12 members with distinct names
// [a-z][a-z0-9_]{0,15} and string values of 1 to 128 characters 0x21..0x7e without quote, backslash or escapes; ts and
// seq are canonical decimal numbers. A user alone may be empty: quickrpc sends that.
func (s *SecInfo) Parse(params []byte) error {
	s.Reset()
	if !s.parse(params) {
		s.Reset()
		return ErrSecInfo
	}
	return nil
}

// Reset empties s, so that it no longer refers to what it was parsed from.
func (s *SecInfo) Reset() {
	*s = SecInfo{}
}

// Len returns the number of members.
func (s *SecInfo) Len() int { return s.n }

// Get returns the value of a member, and nil if there is none. The bytes are those that were parsed.
func (s *SecInfo) Get(name string) []byte {
	for i := range s.n {
		if string(s.members[i].name) == name {
			return s.members[i].value
		}
	}
	return nil
}

// All yields names and values by ascending byte order of the names: the order in which they are signed.
func (s *SecInfo) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := range s.n {
			if !yield(s.members[i].name, s.members[i].value) {
				return
			}
		}
	}
}

// claims returns the user of a secinfo that says nothing else.
func (s *SecInfo) claims() (user []byte, ok bool) {
	if s.n != 1 || string(s.members[0].name) != "user" {
		return nil, false
	}
	return s.members[0].value, true
}

func (s *SecInfo) parse(b []byte) bool {
	b, ok := token(b, '{')
	if !ok {
		return false
	}
	if rest, ok := token(b, '}'); ok {
		return len(space(rest)) == 0
	}
	empty := false
	for {
		var m member
		if m.name, b, ok = text(b); !ok || !fieldName(m.name) {
			return false
		}
		if b, ok = token(b, ':'); !ok {
			return false
		}
		if m.value, b, ok = text(b); !ok || !fieldValue(m.name, m.value) {
			return false
		}
		empty = empty || len(m.value) == 0
		if !s.insert(m) {
			return false
		}
		if rest, ok := token(b, '}'); ok {
			return len(space(rest)) == 0 && (!empty || s.n == 1)
		}
		if b, ok = token(b, ','); !ok {
			return false
		}
	}
}

// insert keeps the members sorted by name and refuses the thirteenth and a name that is there already.
func (s *SecInfo) insert(m member) bool {
	if s.n == maxMembers {
		return false
	}
	i := s.n
	for ; i > 0; i-- {
		c := bytes.Compare(s.members[i-1].name, m.name)
		if c == 0 {
			return false
		}
		if c < 0 {
			break
		}
		s.members[i] = s.members[i-1]
	}
	s.members[i] = m
	s.n++
	return true
}

// space skips JSON's white space.
func space(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// token skips white space and the character c.
func token(b []byte, c byte) ([]byte, bool) {
	b = space(b)
	if len(b) == 0 || b[0] != c {
		return b, false
	}
	return b[1:], true
}

// text skips white space and reads a string of printable ASCII without escapes.
func text(b []byte) (s, rest []byte, ok bool) {
	if b, ok = token(b, '"'); !ok {
		return nil, b, false
	}
	for i, c := range b {
		switch {
		case c == '"':
			return b[:i], b[i+1:], true
		case c < 0x21 || c > 0x7e || c == '\\' || i >= maxValue:
			return nil, b, false
		}
	}
	return nil, b, false
}

func fieldName(b []byte) bool {
	if len(b) == 0 || len(b) > maxField || b[0] < 'a' || b[0] > 'z' {
		return false
	}
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

func fieldValue(name, value []byte) bool {
	switch string(name) {
	case "ts", "seq":
		return canonicalDecimal(value)
	case "user":
		return true // an empty one is judged when all members are known
	}
	return len(value) > 0
}

func canonicalDecimal(b []byte) bool {
	if len(b) == 0 || b[0] == '0' && len(b) > 1 {
		return false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
