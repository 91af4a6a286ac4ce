package security

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of an invite store.
const (
	// MaxInvites is how many invites may be open at a time.
	MaxInvites = 256
	// maxUsed is how many used ones are remembered as such; the ones beyond that are not known any more.
	maxUsed = 1024
)

// Errors of an invite store.
var (
	// ErrTooManyInvites is returned by Add when MaxInvites are open.
	ErrTooManyInvites = errors.New("security: too many invites are open; withdraw some, or wait until they expire")
	// ErrInviteExists is returned by Add when there is one of the same kid.
	ErrInviteExists = errors.New("security: an invite of that kid is there already")
	// ErrInviteUsed is returned by Take for an invite that somebody has used.
	ErrInviteUsed = errors.New("security: the invite was used already")
	// ErrInviteExpired is returned by Take for an invite whose time is over.
	ErrInviteExpired = errors.New("security: the invite has expired")
	// ErrNoInvite is returned by Take and Withdraw for a kid of which there is no invite.
	ErrNoInvite = errors.New("security: no such invite")
)

// InviteInfo is what may be shown of an invite.
type InviteInfo struct {
	Kid     string
	Mesh    string
	Role    Role
	Expires time.Time
	Used    bool
}

// Invites holds the invites that one identity has given out and takes each of them once, whatever happens in between:
// one that was used stays used after a crash.
//
// It is safe for concurrent use by any number of goroutines and, where it has a file, of processes, as KnownPeers is:
// Key and List look at no file, and see what other processes changed after Reload or a change of one's own.
type Invites struct {
	state atomic.Pointer[[]inviteRecord]

	mu   sync.Mutex
	file *sharedFile // nil: in memory alone
	now  func() time.Time
}

// inviteRecord is an invite of a store. Of a used one the key is gone.
type inviteRecord struct {
	InviteInfo
	invite Invite
}

// OpenInvites reads the file of invites at path. A missing one counts as empty and is made, with its folder, by the
// first change; with path "" everything stays in memory. It returns ErrInsecureFile for a file that is not private,
// *InvitesError for one that holds anything unclear, and errors of the operating system. A file that cannot be used is
// never replaced.
func OpenInvites(path string) (*Invites, error) {
	s := &Invites{now: time.Now}
	s.state.Store(new([]inviteRecord))
	if path == "" {
		return s, nil
	}
	s.file = &sharedFile{path: filepath.Clean(path), limit: maxInvitesFile}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the file again if it has changed since; calling it often costs a stat each time. On an error (see
// OpenInvites) what was known stays known.
func (s *Invites) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil || s.file.seen != nil && s.file.fresh() {
		return nil
	}
	text, err := s.file.read()
	if err != nil {
		return err
	}
	defer clear(text)
	records, err := s.parseLocked(text)
	if err != nil {
		s.file.seen = nil
		return err
	}
	s.state.Store(&records)
	return nil
}

// parseLocked reads the file's text. The caller must hold mu.
func (s *Invites) parseLocked(text []byte) ([]inviteRecord, error) {
	records, err := parseInvites(text)
	if e, ok := err.(*InvitesError); ok {
		e.Path = s.file.path
	}
	return records, err
}

// change lets edit make other records of those that are there, which it must leave alone. On an error nothing has
// changed.
func (s *Invites) change(edit func([]inviteRecord) ([]inviteRecord, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		records, err := edit(*s.state.Load())
		if err == nil {
			s.state.Store(&records)
		}
		return err
	}
	var records []inviteRecord
	err := s.file.update(func(text []byte) ([]byte, error) {
		read, err := s.parseLocked(text)
		if err != nil {
			return nil, err
		}
		if records, err = edit(read); err != nil {
			s.state.Store(&read) // what others changed
			return nil, err
		}
		return formatInvites(records), nil
	})
	if err == nil {
		s.state.Store(&records)
	}
	return err
}

// Add opens an invite, with which who uses it becomes role, member when empty. Expired ones are forgotten. It returns
// ErrTooManyInvites, ErrInviteExists, ErrNoInvite for an invite that lacks something, *NameError for a role that is
// none, and the errors of OpenInvites when it cannot be written.
func (s *Invites) Add(invite Invite, role Role) error {
	if role == "" {
		role = RoleMember
	}
	if !ValidName(role) {
		return &NameError{string(role)}
	}
	if _, err := ParseInvite(invite.Code()); err != nil {
		return fmt.Errorf("%w: it lacks something", ErrNoInvite)
	}
	now := s.now()
	return s.change(func(old []inviteRecord) ([]inviteRecord, error) {
		records := sweep(old, now)
		open := 0
		for i := range records {
			if records[i].Kid == invite.Key.kid {
				return nil, ErrInviteExists
			}
			if !records[i].Used {
				open++
			}
		}
		if open >= MaxInvites {
			return nil, ErrTooManyInvites
		}
		info := InviteInfo{Kid: invite.Key.kid, Mesh: invite.Mesh, Role: role, Expires: invite.Expires}
		return append(records, inviteRecord{info, invite}), nil
	})
}

// sweep returns the records without those that have expired, and without the oldest used ones beyond maxUsed.
func sweep(old []inviteRecord, now time.Time) []inviteRecord {
	used := 0
	var records []inviteRecord
	for _, r := range slices.Backward(old) {
		if r.Used {
			used++
		}
		if now.Before(r.Expires) && (!r.Used || used <= maxUsed) {
			records = append(records, r)
		}
	}
	slices.Reverse(records)
	return records
}

// Key returns the one-time key of this id, for a handshake under it; nil when there is no such invite, or it was used or
// has expired at now.
func (s *Invites) Key(kid string, now time.Time) *Key {
	records := *s.state.Load()
	if i := findInvite(records, kid); i >= 0 && !records[i].Used && now.Before(records[i].Expires) {
		return records[i].invite.Key
	}
	return nil
}

func findInvite(records []inviteRecord, kid string) int {
	return slices.IndexFunc(records, func(r inviteRecord) bool { return r.Kid == kid })
}

// Take uses an invite. When it returns without an error, the invite is marked as used on the disk; of several that take
// the same one, in whatever processes, exactly one is given it. It returns ErrInviteUsed, ErrInviteExpired, ErrNoInvite,
// and the errors of OpenInvites when the mark cannot be written; then nobody may be let in.
func (s *Invites) Take(kid string, now time.Time) (Invite, Role, error) {
	var taken inviteRecord
	err := s.change(func(old []inviteRecord) ([]inviteRecord, error) {
		i := findInvite(old, kid)
		switch {
		case i < 0:
			return nil, ErrNoInvite
		case old[i].Used:
			return nil, ErrInviteUsed
		case !now.Before(old[i].Expires):
			return nil, ErrInviteExpired
		}
		taken = old[i]
		records := slices.Clone(old)
		records[i].Used, records[i].invite = true, Invite{}
		return records, nil
	})
	if err != nil {
		return Invite{}, "", err
	}
	return taken.invite, taken.Role, nil
}

// Withdraw forgets an invite, used or not, so that nobody can use it. It returns ErrNoInvite, or the errors of
// OpenInvites when it cannot be written.
func (s *Invites) Withdraw(kid string) error {
	return s.change(func(old []inviteRecord) ([]inviteRecord, error) {
		i := findInvite(old, kid)
		if i < 0 {
			return nil, ErrNoInvite
		}
		return slices.Delete(slices.Clone(old), i, i+1), nil
	})
}

// List returns the invites that are known, used and expired ones among them, in the order of addition.
func (s *Invites) List() []InviteInfo {
	var out []InviteInfo
	for _, r := range *s.state.Load() {
		out = append(out, r.InviteInfo)
	}
	return out
}
