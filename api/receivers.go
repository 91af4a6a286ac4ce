package api

import (
	"reflect"
	"slices"
	"strings"
)

// Receivers says who a message is for: All, Any, To, Except or Where. The zero value is All. A Receivers is a value and
// can be kept and shared.
type Receivers struct {
	kind  receiverKind
	name  string   // the first of the names
	more  []string // the others
	where func(*Info) bool
}

type receiverKind uint8

const (
	toAll receiverKind = iota
	toNamed
	toExcept
	toWhere
	toAny
)

var (
	// All is every other peer that binds the other side of the API; never oneself. That nobody is there is no error
	// for Send.
	All = Receivers{kind: toAll}
	// Any is one peer that binds the other side: the one with the fewest calls in flight from here.
	Any = Receivers{kind: toAny}
)

// Peer is what names a receiver: a name, a peer id, or a peer's Info.
type Peer interface{ ~string | *Info }

// To is exactly the named peers. A name that nobody bears (ErrUnknownPeer), that two peers bear (ErrAmbiguousPeer) or
// that is one's own (ErrSelf) is an error of that receiver, and so is a peer that does not bind the other side of the
// API (ErrNotServed). Naming one twice sends once. A nil *Info is a name that nobody bears.
func To[P Peer](first P, rest ...P) Receivers {
	return named(toNamed, first, rest)
}

// Except is everybody that All is, less the named peers.
func Except[P Peer](first P, rest ...P) Receivers {
	return named(toExcept, first, rest)
}

// Where is everybody that All is and f holds for. f is called while the message is being sent, for linked peers, more
// than once for some, and by Wait also under the mesh's locks: it must be quick, must not block and must not use the
// mesh. Send and Call with an f that panics send nothing and return a *PanicError.
func Where(f func(*Info) bool) Receivers {
	if f == nil {
		panic("api: Where needs a function")
	}
	return Receivers{kind: toWhere, where: f}
}

// try runs the function of Where once over all peers, so that its panic is known before anything is sent.
func (r Receivers) try(mesh Mesh, method string) (err error) {
	if r.kind != toWhere {
		return nil
	}
	defer recovered(method, &err)
	for p := range mesh.Peers() {
		r.where(p)
	}
	return nil
}

// holds asks the function of Where. A peer for which it panics is not meant.
func (r Receivers) holds(p *Info) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return r.where(p)
}

func named[P Peer](kind receiverKind, first P, rest []P) Receivers {
	r := Receivers{kind: kind, name: nameOf(first)}
	for _, p := range rest {
		if n := nameOf(p); !r.names(n) {
			r.more = append(r.more, n)
		}
	}
	return r
}

// nameOf takes the id of an Info rather than its name, so that it stays the same peer when names clash.
func nameOf[P Peer](p P) string {
	switch v := any(p).(type) {
	case *Info:
		if v == nil {
			return ""
		}
		if v.ID == "" {
			return v.Name
		}
		return v.ID
	case string:
		return v
	default:
		return reflect.ValueOf(v).String() // a named string type
	}
}

func (r *Receivers) names(name string) bool { return r.name == name || slices.Contains(r.more, name) }

// Named returns the names and ids that To or Except was given; ok is false for All, Any and Where.
func (r Receivers) Named() (names []string, ok bool) {
	if r.kind != toNamed && r.kind != toExcept {
		return nil, false
	}
	return append([]string{r.name}, r.more...), true
}

// One returns the name or id that To was given when that is one; ok is false for all other Receivers.
func (r Receivers) One() (name string, ok bool) {
	return r.name, r.kind == toNamed && len(r.more) == 0
}

// IsAny reports whether r is Any.
func (r Receivers) IsAny() bool { return r.kind == toAny }

// IsTo reports whether r was made by To.
func (r Receivers) IsTo() bool { return r.kind == toNamed }

// Matches reports whether a peer is among the receivers, as far as the peer alone decides it: All and Any match every
// peer.
func (r Receivers) Matches(p *Info) bool {
	switch r.kind {
	case toNamed:
		return r.names(p.Name) || p.ID != "" && r.names(p.ID)
	case toExcept:
		return !r.names(p.Name) && (p.ID == "" || !r.names(p.ID))
	case toWhere:
		return r.holds(p)
	}
	return true
}

// String shows r in short: "*" for All, the names for To.
func (r Receivers) String() string {
	switch r.kind {
	case toNamed:
		return strings.Join(append([]string{r.name}, r.more...), ",")
	case toExcept:
		return "all but " + strings.Join(append([]string{r.name}, r.more...), ",")
	case toWhere:
		return "some"
	case toAny:
		return "any"
	}
	return "*"
}
