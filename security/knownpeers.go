package security

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// MaxFirstUse is how many pins made by first use a mesh may have: a bound on what members who make up names can fill.
const MaxFirstUse = 4096

// Errors of KnownPeers.
var (
	// ErrTooManyPins is returned by Meet and Check for a name that is not pinned when MaxFirstUse are. Pins that a user
	// or an invite makes are not bounded so.
	ErrTooManyPins = errors.New("security: too many names were pinned by first use; forget some, or pin this one")
	// ErrUnknownPeer is returned for a name or peer id of which nothing is known.
	ErrUnknownPeer = errors.New("security: no such peer is known")
	// ErrPeerID is returned for a text that is no peer id.
	ErrPeerID = errors.New("security: a peer id is 32 characters a-z 2-7")
)

// PinError is returned when a name is pinned to another peer id than the one that claims it: somebody else uses the
// name, or the peer has a new identity. Only a user can tell which.
type PinError struct {
	Pinned KnownPeer
	Got    string // the id that claims the name
}

func (e *PinError) Error() string {
	p := &e.Pinned
	since := ""
	if !p.Since.IsZero() {
		since = " since " + p.Since.Format(time.DateOnly)
	}
	return fmt.Sprintf("security: in mesh %s the name %s belongs to peer %s (%s%s), and peer %s claims it: "+
		"either somebody else uses the name, or the peer has a new identity; pin the new id if that is meant",
		p.Mesh, p.Name, p.ID, p.How, since, e.Got)
}

// RevokedError is returned for a peer id that was revoked.
type RevokedError struct {
	Mesh, ID string
	Name     string // that it is pinned under; may be empty
}

func (e *RevokedError) Error() string {
	name := ""
	if e.Name != "" {
		name = " (" + e.Name + ")"
	}
	return fmt.Sprintf("security: in mesh %s peer %s%s is revoked", e.Mesh, e.ID, name)
}

// How a peer came to be known.
const (
	HowFirstUse = "first use"
	HowPinned   = "pinned"
	HowInvited  = "invited"
)

// KnownPeer is one pin: a name that belongs to a peer id.
type KnownPeer struct {
	Mesh    string
	Name    string // empty for an id that was revoked and has no name
	ID      string
	Role    Role // of the id; empty: none granted, so that the role of the key it uses counts
	Revoked bool // of the id
	Since   time.Time
	How     string // HowFirstUse, HowPinned or HowInvited
}

// KnownPeers remembers which peer id a name belongs to, for every mesh of a user, as known_hosts does for SSH: the first
// id that is met under a name keeps it (protocol section 4). A name has one id; an id may have several names, as after
// the peer was renamed. Roles and revocations are of the id, whatever its names.
//
// It is safe for concurrent use by any number of goroutines and, where it has a file, of processes: each change reads
// the file again and is on the disk when the method returns. Reading methods, and Meet of a name that is pinned
// already, look at no file and wait for nobody; what other processes changed they see after Reload or a change of one's
// own. A change waits for others, for 10 s at most. When a change cannot be written, its error says so and nothing has
// changed.
type KnownPeers struct {
	state atomic.Pointer[knownState]

	mu   sync.Mutex
	file *sharedFile // nil: in memory alone
	now  func() time.Time
}

// OpenKnownPeers reads the file of known peers at path. A missing one counts as empty and is made, with its folder, by
// the first change; with path "" everything stays in memory. It returns ErrInsecureFile for a file that is not private,
// *KnownPeersError for one that holds anything unclear, and errors of the operating system. A file that cannot be used
// is never replaced.
func OpenKnownPeers(path string) (*KnownPeers, error) {
	k := &KnownPeers{now: time.Now}
	k.state.Store(new(knownState))
	if path == "" {
		return k, nil
	}
	k.file = &sharedFile{path: filepath.Clean(path), limit: maxKnownPeers}
	if _, err := k.Reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// Path returns the file's path, "" when there is none.
func (k *KnownPeers) Path() string {
	if k.file == nil {
		return ""
	}
	return k.file.path
}

// Reload reads the file again if it has changed since, and reports whether anything else is known now. Calling it often
// costs a stat each time. On an error (see OpenKnownPeers) what was known stays known.
func (k *KnownPeers) Reload() (changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil || k.file.seen != nil && k.file.fresh() {
		return false, nil
	}
	text, err := k.file.read()
	if err != nil {
		return false, err
	}
	next, err := k.parseLocked(text)
	if err != nil {
		k.file.seen = nil
		return false, err
	}
	changed = !slices.Equal(k.state.Load().peers(""), next.peers(""))
	k.state.Store(next)
	return changed, nil
}

// parseLocked reads the file's text. The caller must hold mu.
func (k *KnownPeers) parseLocked(text []byte) (*knownState, error) {
	s, err := parseKnownPeers(text)
	if e, ok := err.(*KnownPeersError); ok {
		e.Path = k.file.path
	}
	return s, err
}

// change lets edit make other lines of those that are known. When it returns none, or an error, nothing is written.
func (k *KnownPeers) change(edit func(*knownState) ([]knownLine, error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.state.Load()
	apply := func() (bool, error) {
		lines, err := edit(next)
		if err != nil || lines == nil {
			return false, err
		}
		next, err = newKnownState(lines)
		return err == nil, err
	}
	var err error
	if k.file == nil {
		_, err = apply()
	} else {
		var read *knownState
		err = k.file.update(func(text []byte) ([]byte, error) {
			s, err := k.parseLocked(text)
			if err != nil {
				return nil, err
			}
			read, next = s, s
			if write, err := apply(); err != nil || !write {
				return nil, err
			}
			return next.format(), nil
		})
		if err != nil && read != nil {
			next = read
		}
	}
	k.state.Store(next)
	return err
}

// Meet is called when a peer has proven its id in a handshake and goes by name. The first id under a name is pinned to
// it, and first is true. It returns *RevokedError when the id is revoked, *PinError when the name belongs to another
// id, ErrTooManyPins, *NameError or ErrPeerID, and the errors of OpenKnownPeers when a pin cannot be written.
func (k *KnownPeers) Meet(mesh, name, id string) (first bool, err error) {
	if known, err := k.state.Load().judge(mesh, name, id); known || err != nil {
		return false, err
	}
	err = k.change(func(s *knownState) ([]knownLine, error) {
		if known, err := s.judge(mesh, name, id); known || err != nil {
			return nil, err
		}
		first = true
		return s.with(k.pin(s, mesh, name, id, HowFirstUse)), nil
	})
	return first && err == nil, err
}

// Check returns what Meet would, and pins nothing.
func (k *KnownPeers) Check(mesh, name, id string) error {
	_, err := k.state.Load().judge(mesh, name, id)
	return err
}

// Pinned returns the id that name belongs to, revoked or not.
func (k *KnownPeers) Pinned(mesh, name string) (id string, ok bool) {
	if p := k.state.Load().name(mesh, name); p != nil {
		return p.ID, true
	}
	return "", false
}

// Lookup returns what is known of an id; of its names, the one that was pinned last.
func (k *KnownPeers) Lookup(mesh, id string) (KnownPeer, bool) {
	if p := k.state.Load().id(mesh, id); p != nil {
		return *p, true
	}
	return KnownPeer{}, false
}

// Pin makes name belong to id, whomever it belonged to, because a user says so. Afterwards the id has this role and no
// other: "" takes away what was granted. What a revoked id had stays revoked, without the name. It returns *RevokedError
// when id itself is revoked (Forget it first), *NameError or ErrPeerID, and else the errors of OpenKnownPeers.
func (k *KnownPeers) Pin(mesh, name, id string, role Role) error {
	if err := validKnown(mesh, name, id, role); err != nil {
		return err
	}
	return k.change(func(s *knownState) ([]knownLine, error) {
		if p := s.id(mesh, id); p != nil && p.Revoked {
			return nil, &RevokedError{Mesh: mesh, ID: id, Name: p.Name}
		}
		p := k.pin(s, mesh, name, id, HowPinned)
		p.Role = role
		return s.with(p), nil
	})
}

// Enroll is Pin for a peer that came by an invite: it takes no name from another id, but returns *PinError.
func (k *KnownPeers) Enroll(mesh, name, id string, role Role) error {
	if err := validKnown(mesh, name, id, role); err != nil {
		return err
	}
	return k.change(func(s *knownState) ([]knownLine, error) {
		if _, err := s.judge(mesh, name, id); err != nil && !errors.Is(err, ErrTooManyPins) {
			return nil, err
		}
		p := k.pin(s, mesh, name, id, HowInvited)
		p.Role = role
		return s.with(p), nil
	})
}

// Revoke refuses a peer from now on, by a name that is pinned or by an id, which need not have been met. A text of the
// form of a peer id is taken for one. It returns what is known of the id now. The error is ErrUnknownPeer for a name
// that is not pinned, *NameError, or one of OpenKnownPeers.
func (k *KnownPeers) Revoke(mesh, nameOrID string) (KnownPeer, error) {
	var out KnownPeer
	err := k.change(func(s *knownState) ([]knownLine, error) {
		p := s.find(mesh, nameOrID)
		switch {
		case p == nil && !ValidName(mesh):
			return nil, &NameError{mesh}
		case p == nil && !validPeerID(nameOrID):
			return nil, fmt.Errorf("%w: %q in mesh %s", ErrUnknownPeer, nameOrID, mesh)
		case p == nil:
			out = KnownPeer{Mesh: mesh, ID: nameOrID, How: HowPinned, Since: k.since()}
		default:
			out = *p
			if out.Revoked {
				return nil, nil
			}
		}
		out.Revoked = true
		return s.with(out), nil
	})
	if err != nil {
		return KnownPeer{}, err
	}
	return out, nil
}

// Forget takes away all that is known of a peer, whom it finds as Revoke does: its names, its role and its revocation.
// The error is ErrUnknownPeer or one of OpenKnownPeers.
func (k *KnownPeers) Forget(mesh, nameOrID string) error {
	return k.change(func(s *knownState) ([]knownLine, error) {
		p := s.find(mesh, nameOrID)
		if p == nil {
			return nil, fmt.Errorf("%w: %q in mesh %s", ErrUnknownPeer, nameOrID, mesh)
		}
		return slices.DeleteFunc(slices.Clone(s.lines), func(l knownLine) bool {
			return l.peer.Mesh == mesh && l.peer.ID == p.ID
		}), nil
	})
}

// List returns what is known of the peers of a mesh, or of all meshes for "", sorted by mesh and name.
func (k *KnownPeers) List(mesh string) []KnownPeer {
	out := k.state.Load().peers(mesh)
	slices.SortStableFunc(out, func(a, b KnownPeer) int {
		if c := strings.Compare(a.Mesh, b.Mesh); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// pin returns a pin that is made now, or since when it is there. What is known of the id stays so.
func (k *KnownPeers) pin(s *knownState, mesh, name, id, how string) KnownPeer {
	p := KnownPeer{Mesh: mesh, Name: name, ID: id, How: how, Since: k.since()}
	if known := s.id(mesh, id); known != nil {
		p.Role, p.Revoked = known.Role, known.Revoked
	}
	if same := s.name(mesh, name); same != nil && same.ID == id {
		p.Since = same.Since
	}
	return p
}

// since is now as a file can hold it.
func (k *KnownPeers) since() time.Time { return k.now().UTC().Truncate(time.Second) }

func validKnown(mesh, name, id string, role Role) error {
	switch {
	case !ValidName(mesh):
		return &NameError{mesh}
	case !ValidName(name):
		return &NameError{name}
	case !validPeerID(id):
		return fmt.Errorf("%w: %q", ErrPeerID, id)
	case role != "" && !ValidName(role):
		return &NameError{string(role)}
	}
	return nil
}
