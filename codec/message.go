package codec

import (
	"bytes"
	"encoding/json"

	"peermesh/api"
)

// Kind says what a message is.
type Kind uint8

// The kinds of message. The zero Kind is a message that is not valid.
const (
	Invalid      Kind = iota
	Request           // has a method and an id, which may be null; is answered once
	Notification      // has a method and no id; is never answered
	Response          // has an id and a result; is never answered
	ErrorReply        // has an id and an error; is never answered
)

// String returns the kind in one word.
func (k Kind) String() string {
	names := [...]string{"invalid", "request", "notification", "response", "error"}
	if int(k) >= len(names) {
		k = Invalid
	}
	return names[k]
}

// Message is one message by its parts. All parts are ranges of the frame that was parsed, with no capacity beyond their
// end, and change when the frame changes; only a method name that was written with escapes is a copy. A nil part is
// absent. The zero Message is ready for Parse. It belongs to one goroutine at a time.
type Message struct {
	Kind   Kind
	Method []byte // unescaped, so that it may hold any character; may be empty, but not nil, where there is a method
	ID     []byte // raw JSON: a string, a number or null, to be echoed byte for byte
	Params []byte // raw JSON: an object or array; nil for null, which some write where they mean absent
	Result []byte // raw JSON: any value
	Error  []byte // raw JSON: any value; see DecodeError
	Meta   []byte // raw JSON: an object; see ParseMeta
}

// InvalidError is returned for a frame that is JSON but no valid JSON-RPC 2.0 message. It stands for -32600.
type InvalidError struct {
	ID     []byte // a range of the frame where the id could be read, else nil: the answer then has the id null
	Reason string // for people
	Silent bool   // it is a response or notification, which is never answered, whatever is wrong with it
}

func (e *InvalidError) Error() string { return "codec: invalid message: " + e.Reason }

// RPC returns the error object to answer with.
func (e *InvalidError) RPC() *api.Error {
	return &api.Error{Code: api.CodeInvalidRequest, Message: "invalid request: " + e.Reason}
}

// Parse reads one message that is not a batch, protocol section 1. It checks the whole frame in one pass: RFC 8259
// syntax, UTF-8, at most MaxDepth levels of which the message is the first, and of the envelope exact member names, no
// member twice, version and types. Members that JSON-RPC 2.0 does not know are ignored, and so is a meta that is no
// object.
//
// The error is ErrSyntax or an *InvalidError, and m is zero then. Parse keeps no reference to what m held before, and
// allocates only for names with escapes and for errors.
func (m *Message) Parse(frame []byte) error {
	*m = Message{}
	i := space(frame, 0)
	if i < len(frame) && frame[i] != '{' {
		if !Valid(frame) {
			return ErrSyntax
		}
		return &InvalidError{Reason: "the message is no object"}
	}
	var e envelope
	if i = e.scan(frame, i); i < 0 || space(frame, i) != len(frame) {
		return ErrSyntax
	}
	if reason := e.fill(m); reason != "" {
		*m = Message{}
		return &InvalidError{ID: e.readableID(), Reason: reason, Silent: e.silent()}
	}
	return nil
}

// envelope holds the raw values of the members that matter.
type envelope struct {
	jsonrpc, method, id, params, result, err, meta []byte
	twice                                          bool // one of them stands twice
	idTwice                                        bool
}

// scan reads the object that begins at b[i], and returns the offset behind it or -1.
func (e *envelope) scan(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return -1
		}
		nameEnd := scanString(b, i)
		if nameEnd < 0 {
			return -1
		}
		member := e.member(b[i:nameEnd])
		i = space(b, nameEnd)
		if i >= len(b) || b[i] != ':' {
			return -1
		}
		start := space(b, i+1)
		if i = scanValue(b, start, 1); i < 0 {
			return -1
		}
		if member != nil {
			if *member != nil {
				e.twice = true
				e.idTwice = e.idTwice || member == &e.id
			}
			*member = b[start:i:i]
		}
		i = space(b, i)
		switch {
		case i >= len(b):
			return -1
		case b[i] == ',':
			i = space(b, i+1)
		case b[i] == '}':
			return i + 1
		default:
			return -1
		}
	}
}

// member returns where the value of a member belongs, nil for those that are ignored. "All member names … are
// case-sensitive"; a name may be written with escapes, as any string of JSON.
func (e *envelope) member(name []byte) *[]byte {
	if bytes.IndexByte(name, '\\') >= 0 {
		name = unescape(name)
	} else {
		name = name[1 : len(name)-1]
	}
	switch string(name) {
	case "jsonrpc":
		return &e.jsonrpc
	case "method":
		return &e.method
	case "id":
		return &e.id
	case "params":
		return &e.params
	case "result":
		return &e.result
	case "error":
		return &e.err
	case "meta":
		return &e.meta
	}
	return nil
}

// fill makes a message of the members. It returns what is wrong with them, or nothing.
func (e *envelope) fill(m *Message) (reason string) {
	switch {
	case e.twice:
		return "a member stands twice"
	case e.jsonrpc == nil:
		return "the member jsonrpc is missing"
	case !isText(e.jsonrpc, "2.0"):
		return `jsonrpc is not "2.0"`
	case e.id != nil && !validID(e.id):
		return "the id is no string, number or null"
	}
	m.ID = e.id
	if e.meta != nil && e.meta[0] == '{' {
		m.Meta = e.meta
	}
	if e.method != nil {
		return e.fillCall(m)
	}
	switch {
	case e.result == nil && e.err == nil:
		return "there is no method"
	case e.result != nil && e.err != nil:
		return "result and error exclude each other"
	case e.id == nil:
		return "a response needs an id"
	}
	m.Kind, m.Result, m.Error = Response, e.result, e.err
	if e.err != nil {
		m.Kind = ErrorReply
	}
	return ""
}

// fillCall makes a request or notification.
func (e *envelope) fillCall(m *Message) (reason string) {
	params := e.params
	if params != nil && params[0] == 'n' {
		params = nil // sourcegraph/jsonrpc2 and others write null where they mean absent
	}
	switch {
	case e.method[0] != '"':
		return "the method is no string"
	case e.result != nil || e.err != nil:
		return "a message is either a request or a response"
	case params != nil && params[0] != '{' && params[0] != '[':
		// "If present, parameters for the rpc call MUST be provided as a Structured value."
		return "params are no object or array"
	}
	m.Kind, m.Method, m.Params = Request, text(e.method), params
	if e.id == nil {
		m.Kind = Notification
	}
	return ""
}

// readableID returns the id to answer an invalid message with, nil for null.
func (e *envelope) readableID() []byte {
	if e.idTwice || e.id == nil || !validID(e.id) {
		return nil
	}
	return e.id
}

// silent reports whether an invalid message is a response or a notification all the same: "the Server MUST NOT reply
// to a Notification", and nobody asked for an answer to an answer. Without a method that is a string, and without a
// result or error, it is neither.
func (e *envelope) silent() bool {
	if e.method == nil {
		return e.result != nil || e.err != nil
	}
	return e.method[0] == '"' && e.id == nil
}

// validID reports whether a JSON value may be an id: "a String, Number, or NULL value".
func validID(raw []byte) bool {
	return raw[0] == '"' || raw[0] == '-' || isDigit(raw[0]) || raw[0] == 'n'
}

func isText(raw []byte, want string) bool {
	return raw[0] == '"' && string(text(raw)) == want
}

// text returns the content of a JSON string, a range of it where it has no escapes.
func text(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') >= 0 {
		return unescape(raw)
	}
	return raw[1 : len(raw)-1]
}

// unescape returns the content of a JSON string that the scanner has found valid.
func unescape(raw []byte) []byte {
	var s string
	_ = json.Unmarshal(raw, &s) // a valid string always fits
	return []byte(s)
}
