package tap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"peermesh/api"
	"peermesh/codec"
)

// Level is how much of the messages a tap shows.
type Level string

// The levels, from the least on.
const (
	Off     Level = "off"
	Headers Level = "headers" // who, when, which method, how large; no params, no results
	Full    Level = "full"
)

// Least returns the lesser of two levels.
func Least(a, b Level) Level {
	if slices.Index(levels, a) < slices.Index(levels, b) {
		return a
	}
	return b
}

var levels = []Level{Off, Headers, Full}

// ParseLevel reads off, headers or full.
func ParseLevel(s string) (Level, error) {
	if l := Level(s); slices.Contains(levels, l) {
		return l, nil
	}
	return "", fmt.Errorf("tap: %q: say off, headers or full", s)
}

// Sighting is what one peer saw of one message or change: what travels from a tapped peer to whoever watches it, in
// rpc.tap.records. Members that do not apply are absent.
type Sighting struct {
	N       uint64          `json:"n"`
	What    string          `json:"what"`          // sent, received, handled, failed, refused, dropped, unheard, or of a peer: joined, left, …
	T       int64           `json:"t"`             // Unix microseconds: written, read, …
	Peer    string          `json:"peer,omitzero"` // the other end
	Session string          `json:"sid,omitzero"`
	Seq     uint64          `json:"seq"`
	Index   int             `json:"index,omitzero"` // in a batch
	Group   uint64          `json:"group,omitzero"` // of a broadcast
	Again   uint64          `json:"again,omitzero"` // of a request: the id of the one that it repeats, whose link broke
	Kind    string          `json:"kind,omitzero"`  // request, notify, reply or error
	Method  string          `json:"method,omitzero"`
	ID      json.RawMessage `json:"id,omitzero"`
	Bytes   int             `json:"bytes,omitzero"`
	Code    int             `json:"code,omitzero"`
	Message string          `json:"message,omitzero"`
	Reason  string          `json:"reason,omitzero"`
	Queued  int64           `json:"queued_us,omitzero"` // from the queue to the wire
	Start   int64           `json:"start,omitzero"`     // Unix microseconds: when handlers began
	Ran     int64           `json:"ran_us,omitzero"`    // how long they ran
	Params  json.RawMessage `json:"params,omitzero"`    // at the level full
	Result  json.RawMessage `json:"result,omitzero"`
	Data    json.RawMessage `json:"data,omitzero"`
	Cut     bool            `json:"cut,omitzero"` // the message was too large to be shown
	Via     string          `json:"via,omitzero"`
	Alg     string          `json:"alg,omitzero"`
	Sealed  bool            `json:"sealed,omitzero"`
	Address string          `json:"address,omitzero"`
	APIs    []string        `json:"apis,omitzero"`
}

var whats = map[Kind]string{Sent: "sent", Received: "received", Handled: "handled", Failed: "failed", Refused: "refused", Dropped: "dropped", Unheard: "unheard"}

// reasons are why a message was not handled, without what it said.
var reasons = map[int]string{api.CodeMethodNotFound: "nobody handles it here", api.CodeInvalidParams: "invalid params", api.CodeForbidden: "forbidden", api.CodeApplication: "a handler failed"}

// Sightings makes of an event what is told of it at a level: one Sighting, or for a batch one for each element. The
// protocol's own messages about taps give none.
func Sightings(e *Event, text []byte, level Level) []Sighting {
	s := Sighting{N: e.N, What: whats[e.Kind], T: e.At / 1000, Seq: e.Seq, Group: e.Group, Again: e.Again, Bytes: e.Size, Code: e.Code, Method: e.Method, Reason: e.Reason, Alg: "none"}
	if o := e.Other; o != nil {
		s.Peer, s.Via = o.Name, o.Via
		s.Session = o.Session
		switch o.Protection {
		case "sealed", "signed":
			s.Alg, s.Sealed = "S-HS256", o.Protection == "sealed"
		case "hmac":
			s.Alg = "HS256"
		}
	}
	if e.Queued > 0 {
		s.Queued = max(0, (e.At-e.Queued)/1000)
	}
	if e.Start > 0 {
		s.Start, s.Ran = e.Start/1000, max(1, (e.End-e.Start)/1000)
	}
	switch e.Kind {
	case Change:
		s.What = e.What
		if o := e.Other; o != nil {
			s.Address = o.Address
			for name, a := range o.APIs {
				s.APIs = append(s.APIs, fmt.Sprintf("%s %s", name, a.Version))
			}
			slices.Sort(s.APIs)
		}
		return []Sighting{s}
	case Failed:
		s.Kind, s.ID, s.Message, s.Reason = "error", strconv.AppendUint(nil, e.ID, 10), e.Reason, ""
		return []Sighting{s}
	case Unheard:
		if level != Full && e.Code != 0 {
			s.Reason = reasons[e.Code] // the error's own text may quote what was said
		}
		return []Sighting{s}
	case Sent, Received:
	default:
		return []Sighting{s}
	}
	if len(text) < e.Size {
		s.Cut = level == Full
		s.beginning(text)
		if Own(s.Method) {
			return nil
		}
		return []Sighting{s}
	}
	frames := [][]byte{text}
	if codec.IsBatch(text) {
		if elements, err := codec.SplitBatch(nil, text); err == nil {
			frames = elements
		}
	}
	var all []Sighting
	for i, f := range frames {
		one := s
		if one.Index = i; one.describe(f, level) {
			all = append(all, one)
		}
	}
	return all
}

// describe fills in what a message says. It reports false for one that is about taps itself.
func (s *Sighting) describe(text []byte, level Level) bool {
	var m codec.Message
	if m.Parse(text) != nil {
		s.Kind, s.Reason = "note", "it cannot be read"
		return true
	}
	keep := func(raw []byte) json.RawMessage {
		if level != Full || raw == nil {
			return nil
		}
		return json.RawMessage(slices.Clone(raw))
	}
	if m.ID != nil {
		s.ID = slices.Clone(m.ID)
	}
	switch m.Kind {
	case codec.Notification:
		s.Kind, s.Method, s.Params, s.ID = "notify", string(m.Method), keep(m.Params), callOf(&m)
	case codec.Request:
		s.Kind, s.Method, s.Params = "request", string(m.Method), keep(m.Params)
	case codec.Response:
		s.Kind, s.Result = "reply", keep(m.Result) // the method is the event's, where the caller has seen it
	case codec.ErrorReply:
		e := codec.DecodeError(m.Error)
		s.Kind, s.Code, s.Message, s.Data = "error", e.Code, e.Message, keep(e.Data)
		if level != Full {
			s.Message = "" // it may quote what was said
		}
	}
	return !Own(s.Method)
}

// callOf returns the id of the call that a notification of the protocol is about: it ends it, or tells how far it is.
func callOf(m *codec.Message) json.RawMessage {
	if method := string(m.Method); method != "$/cancelRequest" && method != "$/progress" {
		return nil
	}
	var p struct {
		ID    json.RawMessage `json:"id"`
		Token json.RawMessage `json:"token"`
	}
	if json.Unmarshal(m.Params, &p) != nil {
		return nil
	}
	if p.ID == nil {
		return p.Token
	}
	return p.ID
}

// beginning fills in what can be known of a message of which only the beginning is there. Peers write params, results
// and errors last.
func (s *Sighting) beginning(text []byte) {
	s.Kind = "note"
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return
	}
	for {
		name, err := dec.ReadToken()
		if err != nil || name.Kind() != '"' {
			break
		}
		key := name.String()
		switch key {
		case "params":
			s.Kind = "notify"
		case "result":
			s.Kind = "reply"
		case "error":
			s.Kind = "error"
		}
		value, err := dec.ReadValue()
		if err != nil {
			break
		}
		switch key {
		case "method":
			var method string
			if json.Unmarshal(value, &method) == nil {
				s.Method = method
			}
		case "id":
			s.ID = json.RawMessage(slices.Clone(value))
		}
	}
	switch {
	case s.Method != "" && s.ID != nil:
		s.Kind = "request"
	case s.Method != "":
		s.Kind = "notify"
	}
}

// Own reports the methods of taps themselves, which are never shown.
func Own(method string) bool { return len(method) >= 8 && method[:8] == "rpc.tap." }
