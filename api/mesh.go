package api

import (
	"context"
	"iter"
	"time"
)

// Info says who a peer is, as far as this process knows. An Info is a snapshot and never changes once handed out;
// ask the mesh again for a newer one.
type Info struct {
	ID        string // peer id, 32 characters; empty for a peer that did not introduce itself
	Name      string // for display and for To; a guest's claimed name has a leading ~, a nameless one is its address
	Principal string // whom the receiver has proof of: "key:<kid>", "user:<name>", "peer:<id>" or "guest"
	Role      string // guest, member, admin, or a role of the policy
	Verified  bool   // whether the principal is proven, not claimed
	Boot      string // start time and random part of the process; empty when unknown
	Self      bool   // whether it is this process itself

	Address    string             // the remote end of the link, as host:port; empty without a network
	Addresses  []string           // where it can be reached, best first
	Via        string             // tcp, ws, stdio or pipe
	Protection string             // sealed or signed in a session, hmac for single signed messages, none
	Session    string             // the session's id, as logs and the sniffer name it; empty without one
	State      State              // linked, suspect or left
	APIs       map[string]APIInfo // what the peer binds, by API name; "*" for a peer that hears everything
	RTT        time.Duration      // of the last ping; 0 when none was answered yet
	Seen       time.Time          // when the last message came in
	Clock      time.Duration      // how far its clock is ahead of ours, as its signatures say; 0 when it does not sign
	Version    string             // the peer's software, as it says
	Tap        string             // what it lets members see of its messages: off, headers or full; empty: it does not say
	Refused    uint64             // messages of this peer that were refused here
	Dropped    uint64             // messages to this peer that were dropped here
}

// State says how well a peer is reached.
type State string

// The states of a peer.
const (
	Linked  State = "linked"  // it answers
	Suspect State = "suspect" // silent for 10 s, still sent to
	Left    State = "left"    // gone
)

// APIInfo is what a peer says of one API that it binds.
type APIInfo struct {
	Version string `json:"version"`
	Side    string `json:"side"` // the role's name in lower case
	Hash    string `json:"hash"` // first 16 hex digits of the SHA-256 of the definition; see Document.Hash

	// Inverted and Description stand in a peer's document alone, for those who show it: whether the side is the far
	// one of the definition, and what the definition says of itself.
	Inverted    bool   `json:"inverted,omitzero"`
	Description string `json:"description,omitzero"`
}

// Binds reports whether the peer binds the given side of an API.
func (i *Info) Binds(name, side string) bool {
	b, ok := i.APIs[name]
	return ok && b.Side == side
}

// Hears reports whether the peer wants every broadcast: one that said so, and one that binds nothing.
func (i *Info) Hears() bool {
	_, all := i.APIs["*"]
	return all || len(i.APIs) == 0
}

// Mesh is the untyped core that ports rest on; *peer.Peer implements it. Params and results are raw JSON. Its methods
// are safe for concurrent use. A nil params means that the member is absent.
type Mesh interface {
	// Self describes this process.
	Self() *Info
	// Peers lists the other members that are linked, in the order of their names.
	Peers() iter.Seq[*Info]
	// Bind makes b's side of its API known to the mesh, now and to peers that come later. It returns an error when
	// that side of the API is bound already.
	Bind(b Binding) error
	// Notify sends a notification to each receiver; b may be nil for a method of no bound API (then method is the
	// name on the wire). The report tells per receiver whether it was queued.
	Notify(ctx context.Context, b Binding, method string, to Receivers, params []byte) (Report, error)
	// Request calls exactly one receiver, appends the raw result to dst and returns it, keeping neither. params are
	// the caller's again when it returns. A ctx without deadline gets the one of the method (Method.Deadline). The error is an *Error of the receiver, or a *CallError.
	Request(ctx context.Context, b Binding, method string, to Receivers, params, dst []byte) ([]byte, error)
	// RequestEach calls every receiver at once and yields each outcome as it comes; yield returning false cancels
	// the rest. It returns an error, and yields nothing, when there is no receiver. The raw result is yield's until
	// it returns.
	RequestEach(ctx context.Context, b Binding, method string, to Receivers, params []byte, yield func(*Info, []byte, error) bool) error
	// Wait returns once the receivers are there with b's other side bound: all those named by To, else at least one.
	Wait(ctx context.Context, b Binding, to Receivers) error
}

// Binding is one bound side of an API as the mesh sees it: what a Port rests on, or what serves an API that is known
// only at run time; see Serve. Its methods are safe for concurrent use.
type Binding interface {
	// API names the API, its version, the side that is bound and the side that the other peers must bind, both as
	// role names in lower case.
	API() (name, version, side, other string)
	// Hash is the definition's, see Document.Hash.
	Hash() string
	// Document describes the bound side.
	Document() Document
	// Method returns the definition of an incoming or outgoing method by its name within the API, or nil.
	Method(name string) *Method
	// Incoming lists the methods that this side handles, in the order of their definition.
	Incoming() []*Method
	// Unhandled lists the names of the incoming methods that have no handler now.
	Unhandled() []string
	// Dispatch runs the handlers of an incoming method, by its name within the API, and appends the raw result to dst;
	// null for a notification. params is one valid JSON value, or nothing, and is the caller's again when it returns.
	// The error is the *Error to answer with, a *PanicError, for notifications a *NotificationError, or what a handler
	// returned; dst is then as it was, but for a null behind a *NotificationError.
	Dispatch(ctx context.Context, method string, params, dst []byte) ([]byte, error)
}

// Report tells what became of one Send: Queued receivers have it in their queue (in the order of To), each other one
// is under Refused with the reason. Queued is not delivered: what is in a queue when its link ends is lost, and counted
// as dropped.
type Report struct {
	Queued  int
	To      []*Info
	Refused []Refusal
}

// Refusal names a receiver that was not sent a message, and why: ErrBusy, ErrUnknownPeer, ErrNotServed, ErrTooLarge, ….
type Refusal struct {
	Peer string
	Err  error
}

// Result is one peer's answer within CallEach.
type Result[R any] struct {
	Value R
	Err   error // nil, *Error, or *CallError
}
