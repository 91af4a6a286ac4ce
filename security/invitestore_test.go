package security_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"peermesh/security"
)

func openInvites(t testing.TB, path string) *security.Invites {
	t.Helper()
	s, err := security.OpenInvites(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stores are a store in memory and one in a file.
func stores(t *testing.T) map[string]*security.Invites {
	return map[string]*security.Invites{"memory": openInvites(t, ""), "file": openInvites(t, filepath.Join(t.TempDir(), "new", "desk.invites"))}
}

func TestInvites(t *testing.T) {
	t.Parallel()
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			a, b := newInvite(t, now), newInvite(t, now)
			a.Address = "host:7117"
			kid := a.Key.ID()
			if err := errors.Join(s.Add(a, security.RoleAdmin), s.Add(b, "")); err != nil {
				t.Fatal(err)
			}
			if list := s.List(); len(list) != 2 || list[0].Kid != kid || list[0].Mesh != "lab" || list[0].Role != "admin" || list[0].Used ||
				!list[0].Expires.Equal(a.Expires) || list[1].Role != "member" {
				t.Errorf("%+v", list)
			}
			if k := s.Key(kid, now); !k.Equal(a.Key) {
				t.Error(k)
			}
			if k := s.Key(kid, a.Expires); k != nil {
				t.Error("the key of an expired one")
			}
			if k := s.Key("00000000", now); k != nil {
				t.Error("a key of no invite")
			}
			if _, _, err := s.Take(kid, a.Expires); !errors.Is(err, security.ErrInviteExpired) {
				t.Error(err)
			}
			if _, _, err := s.Take("00000000", now); !errors.Is(err, security.ErrNoInvite) {
				t.Error(err)
			}
			got, role, err := s.Take(kid, now)
			if err != nil || role != "admin" || !sameInvite(got, a) {
				t.Error(got, role, err)
			}
			if got, role, err := s.Take(kid, now); !errors.Is(err, security.ErrInviteUsed) || got.Key != nil || role != "" {
				t.Error(got, role, err)
			}
			if k := s.Key(kid, now); k != nil {
				t.Error("the key of a used one")
			}
			if list := s.List(); len(list) != 2 || !list[0].Used || list[1].Used {
				t.Errorf("%+v", list)
			}
			for _, again := range []security.Invite{a, b} {
				if err := s.Add(again, ""); !errors.Is(err, security.ErrInviteExists) {
					t.Error(err)
				}
			}
			if err := s.Withdraw(b.Key.ID()); err != nil || s.Key(b.Key.ID(), now) != nil {
				t.Error(err)
			}
			if err := s.Withdraw(b.Key.ID()); !errors.Is(err, security.ErrNoInvite) {
				t.Error(err)
			}
			if _, _, err := s.Take(b.Key.ID(), now); !errors.Is(err, security.ErrNoInvite) {
				t.Error(err)
			}
			var no *security.NameError
			if err := s.Add(newInvite(t, now), "Boss"); !errors.As(err, &no) {
				t.Error(err)
			}
			for _, bad := range []security.Invite{{}, {Mesh: "lab", Key: a.Key}, {Mesh: "lab", Inviter: inviterID, Key: a.Key, Expires: a.Expires, Address: "here"}} {
				if err := s.Add(bad, ""); !errors.Is(err, security.ErrNoInvite) {
					t.Error(bad, err)
				}
			}
		})
	}
}

// TestInvitesBound: at most 256 are open; what expires makes room and is forgotten.
func TestInvitesBound(t *testing.T) {
	t.Parallel()
	clock := time.Unix(1767225600, 0)
	s := openInvites(t, "")
	security.SetInvitesClock(s, func() time.Time { return clock })
	var last security.Invite
	for range security.MaxInvites {
		last = newInvite(t, clock)
		if err := s.Add(last, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Add(newInvite(t, clock), ""); !errors.Is(err, security.ErrTooManyInvites) {
		t.Error(err)
	}
	if _, _, err := s.Take(last.Key.ID(), clock); err != nil {
		t.Error(err)
	}
	if err := s.Add(newInvite(t, clock), ""); err != nil {
		t.Error("one was used: ", err)
	}
	clock = last.Expires
	fresh := newInvite(t, clock)
	if err := s.Add(fresh, ""); err != nil || len(s.List()) != 1 || s.List()[0].Kid != fresh.Key.ID() {
		t.Error(err, len(s.List()))
	}
	// Used ones that have not expired are remembered, but not without bound.
	for range 1200 {
		i := newInvite(t, clock)
		if err := s.Add(i, ""); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Take(i.Key.ID(), clock); err != nil {
			t.Fatal(err)
		}
		last = i
	}
	if n := len(s.List()); n < 1000 || n > 1030 {
		t.Errorf("%d are remembered", n)
	}
	if _, _, err := s.Take(last.Key.ID(), clock); !errors.Is(err, security.ErrInviteUsed) {
		t.Error(err)
	}
	if s.Key(fresh.Key.ID(), clock) == nil {
		t.Error("an open one was forgotten")
	}
}

// TestInvitesRestart: what one process has done the next one finds, and one beside it after Reload.
func TestInvitesRestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "desk.invites")
	now := time.Now()
	a, b := newInvite(t, now), newInvite(t, now)
	beside := openInvites(t, path)
	first := openInvites(t, path)
	if err := errors.Join(first.Add(a, "op"), first.Add(b, "")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.Take(a.Key.ID(), now); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), a.Code()) || !strings.Contains(string(text), b.Code()) {
		t.Errorf("the file of a used and an open invite (%v):\n%s", err, text)
	}
	if beside.Key(b.Key.ID(), now) != nil {
		t.Error("Key has looked at the file")
	}
	for range 2 {
		if err := beside.Reload(); err != nil || !beside.Key(b.Key.ID(), now).Equal(b.Key) || beside.Key(a.Key.ID(), now) != nil {
			t.Error(err)
		}
	}
	next := openInvites(t, path)
	if _, _, err := next.Take(a.Key.ID(), now); !errors.Is(err, security.ErrInviteUsed) {
		t.Error(err)
	}
	if got, role, err := next.Take(b.Key.ID(), now); err != nil || role != "member" || !sameInvite(got, b) {
		t.Error(got, role, err)
	}
	if _, _, err := beside.Take(b.Key.ID(), now); !errors.Is(err, security.ErrInviteUsed) || beside.Key(b.Key.ID(), now) != nil {
		t.Error(err)
	}
}

func TestInvitesFileErrors(t *testing.T) {
	t.Parallel()
	const v = "peermesh-invites 1\n"
	invite, token := vectorInvite(t)
	kid := invite.Key.ID()
	for _, x := range []struct{ text, want string }{
		{"open member " + token + "\n", "line 1: it is no file of invites"},
		{v + "open member " + token, "line 2: it does not end with a newline"},
		{v + "open\n", "line 2: want open or used, and a role"},
		{v + "open Member " + token + "\n", "want open or used, and a role"},
		{v + "open member\n", "want open ROLE CODE"},
		{v + "shut member " + token + "\n", "want open ROLE CODE"},
		{v + "open member " + token[:60] + "\n", "the invite is cut short"},
		{v + "open member " + token + " x\n", "want open ROLE CODE"},
		{v + "open member " + token + "\nused member " + kid + " demo 2026-01-01T00:00:00Z\n", "line 3: its kid is there already"},
		{v + "used member C5AB91D2 demo 2026-01-01T00:00:00Z\n", "want used"},
		{v + "used member " + kid + " Demo 2026-01-01T00:00:00Z\n", "want used"},
		{v + "used member " + kid + " demo 2026-01-01\n", "want used"},
		{v + strings.Repeat("#", 1<<20), "larger than"},
	} {
		path := filepath.Join(t.TempDir(), "desk.invites")
		if err := os.WriteFile(path, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := security.OpenInvites(path)
		if s != nil || err == nil || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), token[:40]) {
			t.Errorf("%.60q: %v", x.text, err)
		}
		var typed *security.InvitesError
		if len(x.text) < 1<<20 && !errors.As(err, &typed) {
			t.Errorf("%.60q: %T", x.text, err)
		}
	}
	// A file that is spoiled while it is in use is not written over, and nobody is let in.
	path := filepath.Join(t.TempDir(), "desk.invites")
	s := openInvites(t, path)
	now := time.Now()
	i := newInvite(t, now)
	if err := s.Add(i, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("spoiled\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil {
		t.Error("a spoiled file was read")
	}
	if _, _, err := s.Take(i.Key.ID(), now); err == nil {
		t.Error("taken from a spoiled file")
	}
	if text, err := os.ReadFile(path); string(text) != "spoiled\n" || err != nil {
		t.Error(string(text), err)
	}
}

const takeEnv = "PEERMESH_TEST_TAKE"

// TestInvitesChild is not a test but another process of TestInvitesRace.
func TestInvitesChild(t *testing.T) {
	path, kids, ok := strings.Cut(os.Getenv(takeEnv), "|")
	if !ok {
		return
	}
	s := openInvites(t, path)
	for kid := range strings.SplitSeq(kids, ",") {
		if _, _, err := s.Take(kid, time.Now()); err == nil {
			fmt.Println("took " + kid)
		}
	}
}

// TestInvitesRace: of all goroutines, stores and processes that take an invite at the same time exactly one gets it.
func TestInvitesRace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "desk.invites")
	s, other := openInvites(t, path), openInvites(t, path)
	now := time.Now()
	var kids []string
	for range 8 {
		i := newInvite(t, now)
		if err := s.Add(i, ""); err != nil {
			t.Fatal(err)
		}
		kids = append(kids, i.Key.ID())
	}
	var mu sync.Mutex
	taken := map[string]int{}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInvitesChild$", "-test.count=1")
			cmd.Env = append(os.Environ(), takeEnv+"="+path+"|"+strings.Join(kids, ","))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			mu.Lock()
			defer mu.Unlock()
			for line := range strings.Lines(string(out)) {
				if kid, ok := strings.CutPrefix(strings.TrimSpace(line), "took "); ok {
					taken[kid]++
				}
			}
		})
		for _, store := range []*security.Invites{s, other} {
			wg.Go(func() {
				for _, kid := range kids {
					_, _, err := store.Take(kid, now)
					if err != nil && !errors.Is(err, security.ErrInviteUsed) {
						t.Error(err)
					}
					if err == nil {
						mu.Lock()
						taken[kid]++
						mu.Unlock()
					}
				}
			})
		}
	}
	wg.Wait()
	for _, kid := range kids {
		if taken[kid] != 1 {
			t.Errorf("%s was taken %d times", kid, taken[kid])
		}
	}
}

func FuzzInvitesFile(f *testing.F) {
	_, token := vectorInvite(f)
	f.Add([]byte("# x\npeermesh-invites 1\nopen member " + token + "@h:1\nused op 00000000 lab 2026-01-01T00:00:00Z\n"))
	f.Add([]byte("peermesh-invites 1\n\n\topen  admin  " + token + "\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		again, err := security.ParseInvites(text)
		if err != nil {
			var typed *security.InvitesError
			if !errors.As(err, &typed) || typed.Line < 1 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		twice, err := security.ParseInvites(again)
		if err != nil || string(twice) != string(again) {
			t.Fatalf("%v\n%s\n%s", err, again, twice)
		}
	})
}
