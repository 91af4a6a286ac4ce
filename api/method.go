package api

import (
	"encoding/json"
	"time"
)

// None is the parameter type of a method that takes none, and the result type of a call that returns nothing. As
// params it is absent on the wire (an empty object or array is accepted); as a result it is null.
type None struct{}

// MarshalJSON writes null.
func (None) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// UnmarshalJSON takes any value, so that a peer may later return something where it returned nothing.
func (*None) UnmarshalJSON([]byte) error { return nil }

// Roles that are built in; a policy may name more.
const (
	RoleGuest  = "guest"
	RoleMember = "member"
	RoleAdmin  = "admin"
)

// Method is the untyped definition of one notification or call: what a document says of it. It does not change after
// its API was bound.
type Method struct {
	Name       string // within the API
	Wire       string // as on the wire: the API's name, a dot, the name
	Doc        string
	IsCall     bool          // answered with a result; otherwise a notification
	Positional bool          // params may come as an array, in the order of the fields
	Idempotent bool          // may be sent again on another link when the first one broke
	DropOldest bool          // a full queue drops the oldest such message instead of refusing the new one
	Concurrent int           // how many handlers run at once; 0: one at a time per sender and API
	Timeout    time.Duration // the deadline of a call whose context has none; 0: DefaultTimeout
	MinRole    string        // who may call it at least; empty: member

	nearHandles bool // the side that Define was called for, or that a document describes, handles it
	params      *body
	result      *body         // nil for a notification
	handlers    func() runner // makes an empty list of handlers of the method's type
	examples    []example
}

// example is one example of a method: its params and, for a call, its result, as Go values and as JSON.
type example struct {
	params, result       any
	hasResult            bool
	rawParams, rawResult json.RawMessage
}

// An Option changes how a method behaves; give it where the method is defined.
type Option func(*Method)

// MinRole sets who may call the method at least: RoleGuest, RoleMember (the default), RoleAdmin or a role of the policy.
func MinRole(role string) Option { return func(m *Method) { m.MinRole = role } }

// Idempotent says that running the method twice does no harm. A call of it whose link broke is sent again, once, when
// its receiver is back before the deadline.
func Idempotent() Option { return func(m *Method) { m.Idempotent = true } }

// DropOldest has a full queue drop the oldest message of this method, counted, instead of refusing the newest: for
// measurements of which only the last one matters. It is for notifications.
func DropOldest() Option { return func(m *Method) { m.DropOldest = true } }

// Timeout sets the deadline of calls whose context has none. The default is DefaultTimeout.
func Timeout(d time.Duration) Option { return func(m *Method) { m.Timeout = d } }

// Concurrent lets up to n handlers of this method run at once, in no order, for all senders together. Without it the
// messages of one sender to one API run one at a time in the order of their arrival.
func Concurrent(n int) Option { return func(m *Method) { m.Concurrent = n } }

// Positional accepts params as an array too, mapped onto the struct's fields in their order. Too many, or too few for
// what is required, is CodeInvalidParams. What this side sends goes by name all the same.
func Positional() Option { return func(m *Method) { m.Positional = true } }

// Example documents params and, for a call, a result. Both are checked when the method is defined: their JSON fits the
// method's types and has no unknown members. So they may be values of these types, maps that leave out what has a
// default, or nil for None. Example may be given several times.
func Example(params any, result ...any) Option {
	e := example{params: params, hasResult: len(result) > 0}
	if len(result) > 1 {
		panic("api: Example takes params and at most one result")
	}
	if e.hasResult {
		e.result = result[0]
	}
	return func(m *Method) { m.examples = append(m.examples, e) }
}

// Deadline returns how long a call of the method may take whose context says nothing, also for a nil Method.
func (m *Method) Deadline() time.Duration {
	if m == nil || m.Timeout == 0 {
		return DefaultTimeout
	}
	return m.Timeout
}

// DefaultTimeout is the deadline of a call whose context has none and whose method says nothing.
const DefaultTimeout = 30 * time.Second
