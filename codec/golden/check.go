package golden

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Check compares the frames that a peer answered to the step with those that were wanted, and says what differs. JSON
// is compared by value, but an id byte for byte. Several answers, and the elements of a batch, may come in any order.
// An error that is wanted without message, or without data, matches any. Everything else must be there, and nothing
// else may be.
func (s *Step) Check(got ...[]byte) error {
	if len(got) != len(s.Want) {
		return fmt.Errorf("golden: line %d: %d answers instead of %d: %s", s.Line, len(got), len(s.Want), clip(bytes.Join(got, []byte(" "))))
	}
	if !anyOrder(s.Want, got, matchFrame) {
		return fmt.Errorf("golden: line %d: answered %s instead of %s", s.Line, clip(bytes.Join(got, []byte(" "))), clip(bytes.Join(s.Want, []byte(" "))))
	}
	return nil
}

func clip(b []byte) string {
	const most = 400
	if len(b) > most {
		return fmt.Sprintf("%s… (%d bytes)", b[:most], len(b))
	}
	return string(b)
}

// anyOrder reports whether each of want has a match of its own in got.
func anyOrder[T any](want, got []T, match func(want, got T) bool) bool {
	if len(want) != len(got) {
		return false
	}
	rest := slices.Clone(got)
	for _, w := range want {
		i := slices.IndexFunc(rest, func(g T) bool { return match(w, g) })
		if i < 0 {
			return false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return true
}

// matchFrame compares a response or an array of them.
func matchFrame(want, got []byte) bool {
	var wants, gots []json.RawMessage
	if json.Unmarshal(want, &wants) == nil {
		return json.Unmarshal(got, &gots) == nil && anyOrder(wants, gots, matchResponse)
	}
	return matchResponse(want, got)
}

func matchResponse(want, got json.RawMessage) bool {
	var w, g map[string]json.RawMessage
	if json.Unmarshal(want, &w) != nil || json.Unmarshal(got, &g) != nil || len(w) != len(g) {
		return false
	}
	for name, value := range w {
		other, ok := g[name]
		if !ok {
			return false
		}
		switch name {
		case "id":
			ok = bytes.Equal(value, other)
		case "error":
			ok = matchError(value, other)
		default:
			ok = sameJSON(value, other)
		}
		if !ok {
			return false
		}
	}
	return true
}

func matchError(want, got json.RawMessage) bool {
	var w, g map[string]json.RawMessage
	if json.Unmarshal(want, &w) != nil || json.Unmarshal(got, &g) != nil {
		return false
	}
	if g["message"] == nil {
		return false // "message: a String", and it is not optional
	}
	for name, value := range g {
		wanted, ok := w[name]
		if !ok && (name == "message" || name == "data") {
			continue
		}
		if !ok || !sameJSON(wanted, value) {
			return false
		}
	}
	for name := range w {
		if g[name] == nil {
			return false
		}
	}
	return true
}

// sameJSON compares parts of frames that are known to be JSON.
func sameJSON(a, b []byte) bool { return sameValue(decode(a), decode(b)) }

func decode(raw []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	_ = d.Decode(&v) // it is JSON
	return v
}

func sameValue(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, value := range a {
			if other, ok := b[name]; !ok || !sameValue(value, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameValue)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(a.String(), b.String())
	}
	return a == b
}

// sameNumber compares short numbers as float64 and long ones by their digits, which float64 would lose.
func sameNumber(a, b string) bool {
	const exact = 15
	if a == b {
		return true
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return len(a) <= exact && len(b) <= exact && errX == nil && errY == nil && x == y
}
