package security

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of a keyring.
var (
	// ErrNoKey is returned when no valid key is there to sign with, or none of the given id.
	ErrNoKey = errors.New("security: no such key, or none that may sign")
	// ErrEntry is returned for an entry that contradicts itself.
	ErrEntry = errors.New("security: unusable key entry")
)

// Entry is a key and what it may be used for (protocol section 3.1 "Keys"). Only Key is required.
type Entry struct {
	Key           *Key
	Users         []string  // a device key: the names it may speak for; nil: a group key, which speaks for any name not otherwise taken
	Role          Role      // role of whoever signs with it; default member
	NotBefore     time.Time // first moment at which it is valid; zero: since ever
	NotAfter      time.Time // first moment at which it no longer is; zero: for ever
	Send          bool      // preferred for signing
	WildcardCalls bool      // a call signed with it may be addressed to "*"
}

// Valid reports whether the entry's key may be used at now.
func (e *Entry) Valid(now time.Time) bool {
	return (e.NotBefore.IsZero() || !now.Before(e.NotBefore)) && (e.NotAfter.IsZero() || now.Before(e.NotAfter))
}

// speaksFor reports whether a device key lists name.
func (e *Entry) speaksFor(name string) bool { return slices.Contains(e.Users, name) }

// check returns e with its own copy of Users and its defaults filled in.
func (e Entry) check() (*Entry, error) {
	if e.Key == nil || e.Key.kid == "" {
		return nil, fmt.Errorf("%w: it has no key", ErrEntry)
	}
	if e.Users != nil && len(e.Users) == 0 { // an empty list read as "any name" would turn a device key into a group key
		return nil, fmt.Errorf("%w: kid %s: the list of users is empty; a group key has none", ErrEntry, e.Key.kid)
	}
	for i, u := range e.Users {
		if !ValidName(u) {
			return nil, fmt.Errorf("%w: kid %s: %w", ErrEntry, e.Key.kid, &NameError{u})
		}
		if slices.Contains(e.Users[:i], u) {
			return nil, fmt.Errorf("%w: kid %s: user %s is listed twice", ErrEntry, e.Key.kid, u)
		}
	}
	if e.Role == "" {
		e.Role = RoleMember
	}
	if !ValidName(e.Role) {
		return nil, fmt.Errorf("%w: kid %s: role: %w", ErrEntry, e.Key.kid, &NameError{string(e.Role)})
	}
	if !e.NotBefore.IsZero() && !e.NotAfter.IsZero() && !e.NotBefore.Before(e.NotAfter) {
		return nil, fmt.Errorf("%w: kid %s: it ends before it begins", ErrEntry, e.Key.kid)
	}
	for _, t := range []time.Time{e.NotBefore, e.NotAfter} {
		if y := t.UTC().Year(); !t.IsZero() && (y < 1970 || y > 9999) { // what a key file can hold
			return nil, fmt.Errorf("%w: kid %s: a time outside 1970 to 9999", ErrEntry, e.Key.kid)
		}
	}
	e.Users = slices.Clone(e.Users)
	return &e, nil
}

// Keyring holds the keys of a peer by their ids. Keys may come and go while it is in use from any number of
// goroutines; readers never wait. Keys are rotated in three steps, none of which loses a message: Add the new key
// everywhere, Use it everywhere, Remove the old one everywhere.
//
// The zero Keyring is empty and ready for use. A Keyring must not be copied.
type Keyring struct {
	mu   sync.Mutex // serialises writers
	ring atomic.Pointer[ring]
}

// ring is one immutable state of a Keyring.
type ring struct {
	entries []*Entry            // in the order of addition
	byKid   map[string][]*Entry // several only when ids collide
	byUser  map[string][]*Entry // device keys by each name they list; those marked for sending first, then the newest
	send    []*Entry            // marked for sending, the newest first
}

// NewKeyring returns a keyring that holds entries, or the error of Set.
func NewKeyring(entries ...Entry) (*Keyring, error) {
	r := new(Keyring)
	return r, r.Set(entries)
}

func (r *Keyring) load() *ring {
	if g := r.ring.Load(); g != nil {
		return g
	}
	return &ring{}
}

// Set replaces everything the keyring holds in one step, as after a key file was read anew. It keeps copies. On an
// error (ErrEntry, also for one key given twice) it changes nothing.
func (r *Keyring) Set(entries []Entry) error {
	checked := make([]*Entry, 0, len(entries))
	for _, e := range entries {
		c, err := e.check()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(checked, func(x *Entry) bool { return x.Key.Equal(c.Key) }) {
			return fmt.Errorf("%w: kid %s is there twice", ErrEntry, c.Key.kid)
		}
		checked = append(checked, c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.storeLocked(checked)
	return nil
}

// Add adds an entry, or replaces the one of the same key. An entry marked for sending does not unmark others: the
// newest marked one is used. Errors are ErrEntry.
func (r *Keyring) Add(e Entry) error {
	c, err := e.check()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := slices.DeleteFunc(slices.Clone(r.load().entries), func(x *Entry) bool { return x.Key.Equal(c.Key) })
	r.storeLocked(append(entries, c))
	return nil
}

// Use marks the key of this id for sending and unmarks the others of its kind: all other group keys, or, for a device
// key, the others that list the same names. It returns ErrNoKey when there is none of this id.
func (r *Keyring) Use(kid string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.load()
	if len(g.byKid[kid]) == 0 {
		return fmt.Errorf("%w: kid %s", ErrNoKey, kid)
	}
	chosen := g.byKid[kid][len(g.byKid[kid])-1]
	entries := make([]*Entry, len(g.entries))
	for i, e := range g.entries {
		c := *e
		switch {
		case e == chosen:
			c.Send = true
		case sameUsers(e.Users, chosen.Users):
			c.Send = false
		}
		entries[i] = &c
	}
	r.storeLocked(entries)
	return nil
}

// Remove removes the keys of this id and reports whether there were any.
func (r *Keyring) Remove(kid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.load()
	r.storeLocked(slices.DeleteFunc(slices.Clone(g.entries), func(e *Entry) bool { return e.Key.kid == kid }))
	return len(g.byKid[kid]) > 0
}

// Len returns the number of keys, valid or not.
func (r *Keyring) Len() int { return len(r.load().entries) }

// Entries returns copies of all entries in the order of addition.
func (r *Keyring) Entries() []Entry {
	g := r.load()
	out := make([]Entry, len(g.entries))
	for i, e := range g.entries {
		out[i] = *e
		out[i].Users = slices.Clone(e.Users)
	}
	return out
}

// Sending returns the entry that a member of this name signs with at now when nothing about the receiver is known:
// the newest valid one that is marked for sending and may speak for own. An empty own asks for a group key.
func (r *Keyring) Sending(own string, now time.Time) (Entry, bool) {
	if e := r.load().sending(own, now); e != nil {
		c := *e
		c.Users = slices.Clone(e.Users)
		return c, true
	}
	return Entry{}, false
}

func (g *ring) sending(own string, now time.Time) *Entry {
	for _, e := range g.send {
		if e.Valid(now) && (e.Users == nil || e.speaksFor(own)) {
			return e
		}
	}
	return nil
}

// pairwise returns the device key with which own and to speak to each other, if there is one.
func (g *ring) pairwise(own, to string, now time.Time) *Entry {
	for _, e := range g.byUser[to] {
		if e.Valid(now) && e.speaksFor(own) {
			return e
		}
	}
	return nil
}

// holds returns the entry of a key, or nil once it is removed.
func (g *ring) holds(k *Key) *Entry {
	for _, e := range g.byKid[k.kid] {
		if e.Key == k || e.Key.Equal(k) {
			return e
		}
	}
	return nil
}

// storeLocked makes entries the state of the keyring. The caller must hold mu and let go of entries.
func (r *Keyring) storeLocked(entries []*Entry) {
	g := &ring{entries: entries, byKid: make(map[string][]*Entry), byUser: make(map[string][]*Entry)}
	for _, e := range entries {
		g.byKid[e.Key.kid] = append(g.byKid[e.Key.kid], e)
	}
	for _, e := range slices.Backward(entries) {
		if e.Send {
			g.send = append(g.send, e)
		}
		for _, u := range e.Users {
			g.byUser[u] = append(g.byUser[u], e)
		}
	}
	for _, l := range g.byUser {
		slices.SortStableFunc(l, func(a, b *Entry) int {
			switch {
			case a.Send == b.Send:
				return 0
			case a.Send:
				return -1
			}
			return 1
		})
	}
	r.ring.Store(g)
}

// sameUsers reports whether two keys speak for the same names.
func sameUsers(a, b []string) bool {
	if (a == nil) != (b == nil) {
		return false
	}
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}
