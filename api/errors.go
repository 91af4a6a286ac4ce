package api

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Error codes that travel in error responses. The first five are those of JSON-RPC 2.0, section 5.1; the rest are
// peermesh's own, within the range that the specification leaves to implementations.
const (
	CodeParse          = -32700 // the frame is not JSON
	CodeInvalidRequest = -32600 // JSON, but no valid message
	CodeMethodNotFound = -32601 // nobody handles the method (or a guest may not know that somebody does)
	CodeInvalidParams  = -32602 // params break the method's schema
	CodeInternal       = -32603 // the handler panicked, or its result could not be sent

	CodeApplication     = -32000 // a handler returned an error that is no *Error
	CodeUnauthenticated = -32040 // no signature where one is required, or one that does not verify
	CodeStale           = -32041 // signed outside the time window; data.now holds the receiver's clock
	CodeRefused         = -32042 // authenticated, but refused; data.reason says why, to members
	CodeForbidden       = -32043 // the caller may not call the method
	CodeBusy            = -32044 // a bound of the receiver is reached; data.retry_ms says when to try again
	CodeSessionRequired = -32045 // the listener takes sessions only
	CodeDeadline        = -32046 // the caller's deadline passed before or while the handler ran
	CodeGoingAway       = -32047 // the peer is closing
	CodeCancelled       = -32800 // the caller cancelled the call
)

// Error is a JSON-RPC error object: what a peer answered, or what a handler wants to answer.
//
// A handler that returns an *Error (wrapped or not) decides code, message and data of the response itself. A caller
// finds the *Error of a remote peer with errors.As. Two Errors match under errors.Is when their codes are equal and
// the target has no message, so errors.Is(err, &api.Error{Code: api.CodeBusy}) asks for the code alone.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"` // any JSON value; nil when absent
}

// Errorf makes an Error with a formatted message and no data.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithData returns a copy of e whose data is v as JSON. A value that JSON cannot carry leaves the data absent.
func (e *Error) WithData(v any) *Error {
	c := *e
	c.Data = nil
	if raw, err := json.Marshal(v); err == nil {
		c.Data = raw
	}
	return &c
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("JSON-RPC error %d", e.Code)
	}
	return fmt.Sprintf("%s (code %d)", e.Message, e.Code)
}

// Is reports whether target is an *Error of the same code that carries no message of its own, or the same message.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Message == "" || t.Message == e.Message)
}

// CodeOf returns the code of the *Error in err's chain, CodeApplication when there is none, and 0 for nil.
func CodeOf(err error) int {
	if err == nil {
		return 0
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeApplication
}

// Errors that this side of a call returns. All are found with errors.Is, also inside a *CallError.
var (
	// ErrPass is returned by a call handler that leaves the call to the next one. When no handler takes the call,
	// the caller gets CodeMethodNotFound.
	ErrPass = errors.New("handler passes")
	// ErrWrongPort is returned when a method is used through a port of another API that shares the role types.
	ErrWrongPort = errors.New("the method belongs to another API than the port")
	// ErrNoReceiver is returned by calls whose receivers match nobody.
	ErrNoReceiver = errors.New("nobody there to receive it")
	// ErrManyReceivers is returned, before anything is sent, by Call when its receivers match more than one peer.
	ErrManyReceivers = errors.New("more than one receiver: name one, or use api.Any or CallEach")
	// ErrUnknownPeer is returned when a receiver is named that is not in the mesh.
	ErrUnknownPeer = errors.New("no such peer")
	// ErrAmbiguousPeer is returned when two peers bear the name of a receiver; say its id instead.
	ErrAmbiguousPeer = errors.New("several peers have that name: use the id")
	// ErrSelf is returned when a peer names itself as a receiver.
	ErrSelf = errors.New("a peer does not send to itself")
	// ErrNotServed is returned when the receiver does not bind the other side of the API.
	ErrNotServed = errors.New("the peer does not bind the other side of this API")
	// ErrNotSent says that nothing of the call left this process: it is safe to try again.
	ErrNotSent = errors.New("not sent")
	// ErrOutcomeUnknown says that the call was (or may have been) sent and that no answer will come: the handler
	// may or may not have run.
	ErrOutcomeUnknown = errors.New("sent, but the outcome is unknown")
	// ErrBusy is returned when a bounded queue towards the receiver is full. It comes with ErrNotSent.
	ErrBusy = errors.New("the queue to the peer is full")
	// ErrGone is returned when the link to the peer ended before the answer came.
	ErrGone = errors.New("the link to the peer ended")
	// ErrClosed is returned by every use of a peer that is closed or was never joined.
	ErrClosed = errors.New("the peer is not on the mesh")
	// ErrTooLarge is returned when a message is larger than the receiver takes. It comes with ErrNotSent.
	ErrTooLarge = errors.New("the message is larger than the receiver takes")
)

// CallError says which call failed and why. errors.Is on it holds for the context's error where the context ended the
// call, and for exactly one of ErrNotSent and ErrOutcomeUnknown.
type CallError struct {
	Peer   string // the receiver's name, empty when none was chosen
	Method string // as on the wire
	Err    error
}

func (e *CallError) Error() string {
	if e.Peer == "" {
		return fmt.Sprintf("call %s: %v", e.Method, e.Err)
	}
	return fmt.Sprintf("call %s on %s: %v", e.Method, e.Peer, e.Err)
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *CallError) Unwrap() error { return e.Err }

// NotificationError is what Dispatch returns when some handlers of a notification failed; all of them ran. The mesh
// logs and counts each; a peer that asked for an answer still gets null.
type NotificationError struct{ Errs []error }

func (e *NotificationError) Error() string { return errors.Join(e.Errs...).Error() }

// Unwrap returns the handlers' errors.
func (e *NotificationError) Unwrap() []error { return e.Errs }

// PanicError is a panic of a handler, or of a method of its types such as Validate or MarshalJSON. Dispatch returns it;
// its text goes to nobody but our own log, and callers get CodeInternal. On the sending side it comes wrapped from Send,
// or within a CallError.
type PanicError struct {
	Method string // on the wire
	Value  any    // what was given to panic
	Stack  []byte // where, as debug.Stack tells it
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic in %s: %v", e.Method, e.Value) }
