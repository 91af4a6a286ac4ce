package security

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json"
)

// greeting is the payload of the second and third message of a handshake, protocol section 4: who each end says it is,
// and what it wants. It is encrypted and authenticated by Noise.
type greeting struct {
	User      string   `json:"user"`
	Accept    []string `json:"accept"` // responder: the forms that it takes
	Use       string   `json:"use"`    // initiator: the form that it chose
	Boot      string   `json:"boot"`
	Max       int64    `json:"max"`
	Transient bool     `json:"transient"`
	Renews    string   `json:"renews"` // initiator: id of the session that this one renews
	Refuse    string   `json:"refuse"` // initiator: why it does not accept the responder; plain
}

// append appends g as JSON, members in the protocol's order, absent ones left out. All strings of g are of forms that
// need no escapes.
func (g *greeting) append(dst []byte) []byte {
	dst = append(dst, `{"user":"`...)
	dst = append(dst, g.User...)
	dst = append(dst, '"')
	if len(g.Accept) > 0 {
		dst = append(dst, `,"accept":[`...)
		for i, a := range g.Accept {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '"')
			dst = append(dst, a...)
			dst = append(dst, '"')
		}
		dst = append(dst, ']')
	}
	dst = appendMember(dst, "use", g.Use)
	dst = appendMember(dst, "boot", g.Boot)
	dst = append(dst, `,"max":`...)
	dst = strconv.AppendInt(dst, g.Max, 10)
	if g.Transient {
		dst = append(dst, `,"transient":true`...)
	}
	dst = appendMember(dst, "renews", g.Renews)
	dst = appendMember(dst, "refuse", g.Refuse)
	return append(dst, '}')
}

func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":"`...)
	dst = append(dst, value...)
	return append(dst, '"')
}

// parse reads a payload: unknown members are ignored, a duplicate or a value out of form is refused. Whether user is a
// name is left to the caller, who can say so.
func (g *greeting) parse(payload []byte) bool {
	if json.Unmarshal(payload, g) != nil || !validBoot(g.Boot) || g.Max < 1 {
		return false
	}
	g.Refuse = plain(g.Refuse)
	return g.Renews == "" || lowerHex([]byte(g.Renews), sidLen)
}

// plain returns what of a text is fit for logs and JSON as it is: at most 128 characters of printable ASCII, those that
// are not, and quotes and backslashes, replaced.
func plain(s string) string {
	b := []byte(s[:min(len(s), maxValue)])
	for i, c := range b {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			b[i] = '?'
		}
	}
	return string(b)
}

func (g *greeting) max() int { return int(min(g.Max, math.MaxInt)) }
