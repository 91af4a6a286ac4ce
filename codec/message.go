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
	Request           // has a method and an id, which may be null
	Notification      // has a method and no id
	Response          // has an id and a result
	ErrorReply        // has an id and an error
)

func (k Kind) String() string {
	return [...]string{"invalid", "request", "notification", "response", "error"}[k]
}

// Message is one message by its parts. All parts are ranges of the frame that was parsed, valid as long as the frame;
// only a method name with escapes is a copy. A nil part is absent.
type Message struct {
	Kind   Kind
	Method []byte // unescaped
	ID     []byte // raw JSON: a string, a number or null
	Params []byte // raw JSON: an object or array
	Result []byte // raw JSON
	Error  []byte // raw JSON; see DecodeError
	Meta   []byte // raw JSON object; see ParseMeta

	reply bool // has a result or error, so whatever is wrong with it, it is not answered
}

// InvalidError is returned for a frame that is JSON but no valid JSON-RPC 2.0 message. It stands for -32600.
type InvalidError struct {
	ID     []byte // of the message where it could be read, else nil: the answer then has the id null
	Reason string
	Silent bool // it is a response or notification, which is never answered
}

func (e *InvalidError) Error() string { return "codec: invalid message: " + e.Reason }

// RPC returns the error object to answer with.
func (e *InvalidError) RPC() *api.Error {
	return &api.Error{Code: api.CodeInvalidRequest, Message: "invalid request: " + e.Reason}
}

// Parse reads one message that is not a batch. It checks the whole frame in one pass: RFC 8259 syntax, UTF-8, depth,
// and of the envelope (JSON-RPC 2.0, sections 4 and 5) exact member names, no duplicates, version and types. Unknown
// members are ignored. The error is ErrSyntax or an *InvalidError. The previous content of m is overwritten.
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
	return m.classify(&e)
}

// envelope holds the raw values of the members that matter.
type envelope struct {
	jsonrpc, method, id, params, result, err, meta []byte
	duplicate                                      bool
}

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
			e.duplicate = e.duplicate || *member != nil
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

func (m *Message) classify(e *envelope) error {
	m.reply = e.method == nil && (e.result != nil || e.err != nil)
	invalid := func(reason string) error {
		id := e.id
		if id != nil && !validID(id) {
			id = nil
		}
		return &InvalidError{ID: id, Reason: reason, Silent: m.reply}
	}
	switch {
	case e.duplicate:
		return &InvalidError{Reason: "a member stands twice", Silent: m.reply}
	case e.jsonrpc == nil:
		return invalid(`the member jsonrpc is missing`)
	case !isText(e.jsonrpc, "2.0"):
		return invalid(`jsonrpc is not "2.0"`)
	case e.id != nil && !validID(e.id):
		return invalid("the id is no string, number or null")
	case e.meta != nil && e.meta[0] != '{':
		return invalid("meta is no object")
	}
	m.ID, m.Meta = e.id, e.meta
	if e.method != nil {
		return m.classifyCall(e, invalid)
	}
	m.Result, m.Error = e.result, e.err
	switch {
	case !m.reply:
		return invalid("there is no method")
	case e.result != nil && e.err != nil:
		return invalid("result and error exclude each other")
	case e.id == nil:
		return invalid("a response needs an id")
	case e.result != nil:
		m.Kind = Response
	default:
		m.Kind = ErrorReply
	}
	return nil
}

func (m *Message) classifyCall(e *envelope, invalid func(string) error) error {
	switch {
	case e.method[0] != '"':
		return invalid("the method is no string")
	case e.result != nil || e.err != nil:
		return invalid("a message is either a request or a response")
	}
	m.Method = text(e.method)
	m.Kind = Request
	if e.id == nil {
		m.Kind = Notification
	}
	if e.params != nil && e.params[0] == 'n' {
		e.params = nil // sourcegraph/jsonrpc2 and others write null where they mean absent
	}
	if e.params != nil && e.params[0] != '{' && e.params[0] != '[' {
		m.Kind = Invalid
		// "If present, parameters for the rpc call MUST be provided as a Structured value." A notification is not
		// answered even so: "the Server MUST NOT reply to a Notification".
		return &InvalidError{ID: e.id, Reason: "params are no object or array", Silent: e.id == nil}
	}
	m.Params = e.params
	return nil
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

func unescape(raw []byte) []byte {
	var s string
	_ = json.Unmarshal(raw, &s) // the scanner has seen that it is a string
	return []byte(s)
}

// DecodeError reads the error member of an error response. One that is no error object in the sense of JSON-RPC 2.0,
// section 5.1, still becomes an error, with its text as the message, so that a call ends with it.
func DecodeError(raw []byte) *api.Error {
	var e struct {
		Code    *json.Number    `json:"code"`
		Message *string         `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	err := json.Unmarshal(raw, &e)
	if err != nil || e.Code == nil || e.Message == nil {
		out := &api.Error{Code: api.CodeInternal, Message: "the peer sent a malformed error object"}
		if json.Valid(raw) {
			out.Data = bytes.Clone(raw)
		}
		return out
	}
	code, err := e.Code.Int64()
	if err != nil || int64(int(code)) != code {
		code = api.CodeInternal
	}
	return &api.Error{Code: int(code), Message: *e.Message, Data: e.Data}
}
