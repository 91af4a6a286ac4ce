package security_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"peermesh/security"
)

// peerID returns a peer id for n.
func peerID(n int) string {
	const digits = "abcdefghijklmnopqrstuvwxyz234567"
	id := []byte(strings.Repeat("a", 32))
	for i := 31; n > 0; i, n = i-1, n/32 {
		id[i] = digits[n%32]
	}
	return string(id)
}

func openKnown(t testing.TB, path string) *security.KnownPeers {
	t.Helper()
	k, err := security.OpenKnownPeers(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// brief is what a peer's line says, without the time.
func brief(p security.KnownPeer) string {
	s := fmt.Sprintf("%s/%s %s %s", p.Mesh, p.Name, strings.TrimLeft(p.ID, "a"), p.How)
	if p.Role != "" {
		s += " " + string(p.Role)
	}
	if p.Revoked {
		s += " revoked"
	}
	return s
}

func briefs(list []security.KnownPeer) string {
	var all []string
	for _, p := range list {
		all = append(all, brief(p))
	}
	return strings.Join(all, ", ")
}

// TestKnownPeers takes known peers through what happens to them, in memory and in a file that a second one reads.
func TestKnownPeers(t *testing.T) {
	t.Parallel()
	b, c, d := peerID(1), peerID(2), peerID(3)
	meet := func(mesh, name, id string) func(*security.KnownPeers) error {
		return func(k *security.KnownPeers) error { _, err := k.Meet(mesh, name, id); return err }
	}
	pin := func(name, id string, role security.Role) func(*security.KnownPeers) error {
		return func(k *security.KnownPeers) error { return k.Pin("lab", name, id, role) }
	}
	enroll := func(name, id string, role security.Role) func(*security.KnownPeers) error {
		return func(k *security.KnownPeers) error { return k.Enroll("lab", name, id, role) }
	}
	revoke := func(nameOrID string) func(*security.KnownPeers) error {
		return func(k *security.KnownPeers) error { _, err := k.Revoke("lab", nameOrID); return err }
	}
	forget := func(nameOrID string) func(*security.KnownPeers) error {
		return func(k *security.KnownPeers) error { return k.Forget("lab", nameOrID) }
	}
	type step struct {
		do   func(*security.KnownPeers) error
		want string // a part of the error; empty: none
		list string // afterwards
	}
	for name, steps := range map[string][]step{
		"first use": {
			{meet("lab", "cam", b), "", "lab/cam b first use"},
			{meet("lab", "cam", b), "", "lab/cam b first use"},
			{meet("lab", "cam", c), "the name cam belongs to peer " + b + " (first use since ", "lab/cam b first use"},
			{meet("sky", "cam", c), "", "lab/cam b first use, sky/cam c first use"},
			{meet("lab", "desk", b), "", "lab/cam b first use, lab/desk b first use, sky/cam c first use"},
		},
		"no names": {
			{meet("Lab", "cam", b), "is no name", ""},
			{meet("lab", "", b), "is no name", ""},
			{meet("lab", "cam", "b"), "a peer id is 32", ""},
			{pin("", b, ""), "is no name", ""},
			{pin("cam", "", ""), "a peer id is 32", ""},
			{pin("cam", b, "Boss"), "is no name", ""},
			{enroll("cam", b, "Boss"), "is no name", ""},
			{revoke("cam"), "no such peer is known: \"cam\" in mesh lab", ""},
			{func(k *security.KnownPeers) error { _, err := k.Revoke("", b); return err }, "is no name", ""},
			{forget("cam"), "no such peer", ""},
			{forget(b), "no such peer", ""},
		},
		"pin": {
			{meet("lab", "cam", b), "", "lab/cam b first use"},
			{pin("cam", c, "admin"), "", "lab/cam c pinned admin"},
			{meet("lab", "cam", b), "belongs to peer " + c, "lab/cam c pinned admin"},
			{pin("cam", c, ""), "", "lab/cam c pinned"},
			{pin("eye", c, "op"), "", "lab/cam c pinned op, lab/eye c pinned op"},
			{meet("lab", "ear", c), "", "lab/cam c pinned op, lab/ear c first use op, lab/eye c pinned op"},
			{forget("ear"), "", ""},
		},
		"invited": {
			{enroll("cam", b, "op"), "", "lab/cam b invited op"},
			{enroll("cam", c, "op"), "belongs to peer " + b, "lab/cam b invited op"},
			{enroll("cam", b, "admin"), "", "lab/cam b invited admin"},
			{revoke(b), "", "lab/cam b invited admin revoked"},
			{enroll("eye", b, "op"), "is revoked", "lab/cam b invited admin revoked"},
		},
		"revoke by name": {
			{meet("lab", "cam", b), "", "lab/cam b first use"},
			{meet("lab", "eye", b), "", "lab/cam b first use, lab/eye b first use"},
			{revoke("cam"), "", "lab/cam b first use revoked, lab/eye b first use revoked"},
			{revoke("eye"), "", "lab/cam b first use revoked, lab/eye b first use revoked"},
			{meet("lab", "cam", b), "peer " + b + " (eye) is revoked", "lab/cam b first use revoked, lab/eye b first use revoked"},
			{meet("lab", "cam", c), "belongs to peer " + b, "lab/cam b first use revoked, lab/eye b first use revoked"},
			{pin("cam", b, ""), "is revoked", "lab/cam b first use revoked, lab/eye b first use revoked"},
			{pin("cam", c, ""), "", "lab/cam c pinned, lab/eye b first use revoked"},
			{pin("eye", c, ""), "", "lab/ b first use revoked, lab/cam c pinned, lab/eye c pinned"},
			{meet("lab", "new", b), "peer " + b + " is revoked", "lab/ b first use revoked, lab/cam c pinned, lab/eye c pinned"},
			{forget(b), "", "lab/cam c pinned, lab/eye c pinned"},
			{meet("lab", "new", b), "", "lab/cam c pinned, lab/eye c pinned, lab/new b first use"},
		},
		"revoke an id never met": {
			{revoke(b), "", "lab/ b pinned revoked"},
			{revoke(b), "", "lab/ b pinned revoked"},
			{revoke(d), "", "lab/ b pinned revoked, lab/ d pinned revoked"},
			{meet("lab", "cam", b), "is revoked", "lab/ b pinned revoked, lab/ d pinned revoked"},
			{meet("sky", "cam", b), "", "lab/ b pinned revoked, lab/ d pinned revoked, sky/cam b first use"},
			{forget(b), "", "lab/ d pinned revoked, sky/cam b first use"},
			{meet("lab", "cam", b), "", "lab/ d pinned revoked, lab/cam b first use, sky/cam b first use"},
		},
		"a name that looks like an id is no id": {
			{meet("lab", c, b), "", "lab/" + c + " b first use"},
			{revoke(c), "", "lab/ c pinned revoked, lab/" + c + " b first use"},
			{meet("lab", c, b), "", "lab/ c pinned revoked, lab/" + c + " b first use"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "new", "known_peers")
			memory, file, reader := openKnown(t, ""), openKnown(t, path), openKnown(t, path)
			if memory.Path() != "" || file.Path() != path {
				t.Errorf("paths %q, %q", memory.Path(), file.Path())
			}
			before := ""
			for i, s := range steps {
				for where, k := range map[string]*security.KnownPeers{"memory": memory, "file": file} {
					err := s.do(k)
					if (err == nil) != (s.want == "") || err != nil && !strings.Contains(err.Error(), s.want) {
						t.Errorf("step %d, %s: %v, want %q", i, where, err, s.want)
					}
					if got := briefs(k.List("")); got != s.list {
						t.Errorf("step %d, %s:\n%s, want\n%s", i, where, got, s.list)
					}
				}
				changed, err := reader.Reload()
				if got := briefs(reader.List("")); err != nil || changed != (s.list != before) || got != s.list {
					t.Errorf("step %d, the other reads %s; changed %v, %v", i, got, changed, err)
				}
				if !reflect.DeepEqual(reader.List(""), file.List("")) {
					t.Errorf("step %d: times differ: %v, %v", i, reader.List(""), file.List(""))
				}
				before = s.list
			}
		})
	}
}

func TestKnownPeersQuestions(t *testing.T) {
	t.Parallel()
	k := openKnown(t, "")
	b, c := peerID(1), peerID(2)
	if first, err := k.Meet("lab", "cam", b); !first || err != nil {
		t.Error(first, err)
	}
	if first, err := k.Meet("lab", "cam", b); first || err != nil {
		t.Error(first, err)
	}
	if first, err := k.Meet("lab", "cam", c); first || err == nil {
		t.Error(first, err)
	}
	var wrong *security.PinError
	if err := k.Check("lab", "cam", c); !errors.As(err, &wrong) || wrong.Pinned.ID != b || wrong.Got != c || wrong.Pinned.How != security.HowFirstUse {
		t.Error(err)
	}
	if err := errors.Join(k.Check("lab", "cam", b), k.Check("lab", "free", c), k.Check("sky", "cam", c)); err != nil {
		t.Error(err)
	}
	if list := k.List("sky"); len(list) != 0 {
		t.Error("Check has pinned: ", list)
	}
	if id, ok := k.Pinned("lab", "cam"); id != b || !ok {
		t.Error(id, ok)
	}
	if id, ok := k.Pinned("lab", "free"); ok {
		t.Error(id)
	}
	if p, ok := k.Lookup("lab", b); !ok || p.Name != "cam" || time.Since(p.Since) > time.Minute {
		t.Error(p, ok)
	}
	if p, ok := k.Lookup("sky", b); ok {
		t.Error(p)
	}
	p, err := k.Revoke("lab", "cam")
	var revoked *security.RevokedError
	if err != nil || !p.Revoked || !errors.As(k.Check("lab", "any", b), &revoked) || revoked.ID != b || revoked.Name != "cam" || revoked.Mesh != "lab" {
		t.Error(p, err, revoked)
	}
	if changed, err := k.Reload(); changed || err != nil {
		t.Error(changed, err)
	}
	// A second pin of the same keeps the time of the first.
	since := p.Since
	if err := errors.Join(k.Forget("lab", "cam"), k.Pin("lab", "cam", b, ""), k.Pin("lab", "cam", b, "admin")); err != nil {
		t.Error(err)
	}
	if p, _ := k.Lookup("lab", b); p.Since.Before(since) || p.Role != security.RoleAdmin || p.Revoked {
		t.Error(p)
	}
}

// TestKnownPeersElsewhere: a change goes by what another process has pinned in the meantime.
func TestKnownPeersElsewhere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "known_peers")
	here, there := openKnown(t, path), openKnown(t, path)
	b, c := peerID(1), peerID(2)
	if _, err := there.Meet("lab", "cam", b); err != nil {
		t.Fatal(err)
	}
	if _, ok := here.Pinned("lab", "cam"); ok {
		t.Error("read from the file")
	}
	var wrong *security.PinError
	if first, err := here.Meet("lab", "cam", c); first || !errors.As(err, &wrong) || wrong.Pinned.ID != b {
		t.Error(first, err)
	}
	if id, ok := here.Pinned("lab", "cam"); !ok || id != b {
		t.Error("what was read is not known: ", id, ok)
	}
	if _, err := there.Meet("lab", "eye", c); err != nil {
		t.Fatal(err)
	}
	if first, err := here.Meet("lab", "eye", c); first || err != nil {
		t.Error(first, err)
	}
}

// TestTooManyPins: members who make up names fill no more than a bound, and nobody else suffers.
func TestTooManyPins(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("peermesh-known-peers 1\n")
	for i := range security.MaxFirstUse - 1 {
		fmt.Fprintf(&text, "lab n%d %s how=first-use\n", i, peerID(i))
	}
	path := filepath.Join(t.TempDir(), "known_peers")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	k := openKnown(t, path)
	if _, err := k.Meet("lab", "last", peerID(9000)); err != nil {
		t.Fatal(err)
	}
	if first, err := k.Meet("lab", "more", peerID(9001)); first || !errors.Is(err, security.ErrTooManyPins) {
		t.Error(first, err)
	}
	if err := k.Check("lab", "more", peerID(9001)); !errors.Is(err, security.ErrTooManyPins) {
		t.Error(err)
	}
	if _, err := k.Meet("lab", "last", peerID(9000)); err != nil {
		t.Error("a pinned one: ", err)
	}
	if _, err := k.Meet("sky", "more", peerID(9001)); err != nil {
		t.Error("another mesh: ", err)
	}
	if err := errors.Join(k.Pin("lab", "more", peerID(9001), ""), k.Enroll("lab", "even", peerID(9002), "member")); err != nil {
		t.Error("by hand: ", err)
	}
	if err := k.Forget("lab", "n0"); err != nil {
		t.Error(err)
	}
	if first, err := k.Meet("lab", "again", peerID(9003)); !first || err != nil {
		t.Error("one was forgotten: ", first, err)
	}
	if got := len(openKnown(t, path).List("lab")); got != security.MaxFirstUse+2 {
		t.Errorf("%d pins", got)
	}
}

// TestKnownPeersByHand: what a user has written in the file stays.
func TestKnownPeersByHand(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "known_peers")
	text := "# mine\n\npeermesh-known-peers 1\n  lab\tcam " + peerID(1) + "  \n# the desk\nlab desk " + peerID(2) + " role=admin since=2026-11-20T01:00:00.5+01:00\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k := openKnown(t, path)
	if _, err := k.Meet("lab", "eye", peerID(3)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	lines := strings.SplitAfter(string(got), "\n")
	want := "# mine\n\npeermesh-known-peers 1\nlab cam " + peerID(1) + " how=pinned\n# the desk\nlab desk " + peerID(2) + " how=pinned role=admin since=2026-11-20T00:00:00Z\n"
	if err != nil || len(lines) != 8 || strings.Join(lines[:6], "") != want || !strings.HasPrefix(lines[6], "lab eye "+peerID(3)+" how=first-use since=") {
		t.Errorf("%v\n%s", err, got)
	}
	// An edit shows after Reload, one of the same length and time too; so does that the file is gone.
	edited := strings.Replace(string(got), "lab cam", "lab cat", 1)
	fi, err := os.Stat(path)
	if err := errors.Join(err, os.WriteFile(path+"~", []byte(edited), 0o600), os.Chtimes(path+"~", time.Time{}, fi.ModTime()), os.Rename(path+"~", path)); err != nil {
		t.Fatal(err)
	}
	if changed, err := k.Reload(); !changed || err != nil {
		t.Error(changed, err)
	}
	if _, ok := k.Pinned("lab", "cat"); !ok {
		t.Error("the edit was not read")
	}
	if changed, err := k.Reload(); changed || err != nil {
		t.Error("unchanged: ", changed, err)
	}
	if err := os.WriteFile(path, append(got, "lab eye\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if changed, err := k.Reload(); changed || err == nil || !strings.Contains(err.Error(), path+", line 8: want MESH NAME ID") {
			t.Error(changed, err)
		}
	}
	if _, ok := k.Pinned("lab", "cat"); !ok {
		t.Error("what was known is gone")
	}
	if _, err := k.Meet("lab", "ear", peerID(4)); err == nil || !strings.Contains(err.Error(), "line 8") {
		t.Error("written over a file that cannot be read: ", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if changed, err := k.Reload(); !changed || err != nil || len(k.List("")) != 0 {
		t.Error(changed, err)
	}
}

func TestKnownPeersErrors(t *testing.T) {
	t.Parallel()
	const v = "peermesh-known-peers 1\n"
	b, c := peerID(1), peerID(2)
	for _, x := range []struct{ text, want string }{
		{"lab cam " + b + "\n", `line 1: want "peermesh-known-peers 1" before all else`},
		{"# x\npeermesh-known-peers 2\n", "line 2: want"},
		{v + "lab cam " + b, "line 2: it does not end with a newline"},
		{v + "lab\n", "line 2: want MESH NAME ID"},
		{v + "lab cam\n", "line 2: want MESH NAME ID"},
		{v + "\n#\nLab cam " + b + "\n", `line 4: "Lab" is no name of a mesh`},
		{v + "lab c.m " + b + "\n", `"c.m" is no name of a peer`},
		{v + "lab cam " + strings.ToUpper(b) + "\n", "is no peer id"},
		{v + "lab cam " + b + "b\n", "is no peer id"},
		{v + "lab cam " + b + " role\n", `"role" is none of how= role= since= revoked`},
		{v + "lab cam " + b + " role=\n", `"" is no role`},
		{v + "lab cam " + b + " role=A\n", `"A" is no role`},
		{v + "lab cam " + b + " how=seen\n", "how= is first-use"},
		{v + "lab cam " + b + " since=now\n", "since= is no RFC 3339 time"},
		{v + "lab cam " + b + " since=1969-12-31T23:59:59Z\n", "since= is no RFC 3339 time"},
		{v + "lab cam " + b + " revoked=no\n", `"revoked=no" is none of`},
		{v + "lab cam " + b + " Revoked\n", `"Revoked" is none of`},
		{v + "lab cam " + b + " revoked revoked\n", `"revoked" is given twice`},
		{v + "lab cam " + b + " role=a role=a\n", `"role" is given twice`},
		{v + "lab - " + b + "\n", "an id without a name"},
		{v + "lab cam " + b + "\nlab cam " + c + "\n", "line 3: the name cam stands in line 2 already"},
		{v + "lab cam " + b + " revoked\nlab eye " + b + "\n", "line 3: line 2 says otherwise of the same id"},
		{v + "lab cam " + b + "\nlab eye " + b + " role=op\n", "line 3: line 2 says otherwise"},
		{v + "lab cam " + b + " revoked\nlab - " + b + " revoked\n", "line 3: line 2 has the same id"},
		{v + "lab - " + b + " revoked\nlab - " + b + " revoked\n", "line 3: line 2 has the same id"},
		{v + strings.Repeat("#", 16<<20), "larger than"},
	} {
		path := filepath.Join(t.TempDir(), "known_peers")
		if err := os.WriteFile(path, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := security.OpenKnownPeers(path)
		if k != nil || err == nil || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.80q: %v", x.text, err)
		}
		var typed *security.KnownPeersError
		if len(x.text) < 1<<20 && (!errors.As(err, &typed) || typed.Line == 0) {
			t.Errorf("%.80q: %T", x.text, err)
		}
		if text, _ := os.ReadFile(path); string(text) != x.text {
			t.Errorf("%.80q: the file was changed", x.text)
		}
	}
}

// TestKnownPeersHot: who is known already costs neither a file nor memory.
func TestKnownPeersHot(t *testing.T) {
	k := openKnown(t, filepath.Join(t.TempDir(), "known_peers"))
	b := peerID(1)
	if _, err := k.Meet("lab", "cam", b); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(k.Path()); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		_, err := k.Meet("lab", "cam", b)
		_, pinned := k.Pinned("lab", "cam")
		_, known := k.Lookup("lab", b)
		if err != nil || k.Check("lab", "cam", b) != nil || !pinned || !known {
			t.Error("not known")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzKnownPeers(f *testing.F) {
	const v = "peermesh-known-peers 1\n"
	b := peerID(1)
	f.Add([]byte(v + "lab cam " + b + " how=first-use role=op since=2026-11-20T00:00:00Z revoked\n"))
	f.Add([]byte("# mine\n\n" + v + "\tlab cam " + b + "\nlab eye " + b + " how=invited\n#\nlab - " + peerID(2) + " revoked\n"))
	f.Add([]byte(v + "lab cam " + b + "\nsky cam " + b + " since=2026-11-20T00:00:00.7+09:30\n"))
	f.Add([]byte("#"))
	f.Fuzz(func(t *testing.T, text []byte) {
		peers, again, err := security.ParseKnownPeers(text)
		if err != nil {
			var typed *security.KnownPeersError
			if !errors.As(err, &typed) || typed.Line < 1 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		peers2, again2, err := security.ParseKnownPeers(again)
		if err != nil || !reflect.DeepEqual(peers, peers2) || string(again) != string(again2) {
			t.Fatalf("%v\n%v\n%v\n%s\n%s", err, peers, peers2, again, again2)
		}
		k := security.KnownPeersOf(peers)
		for _, p := range peers {
			if p.Name == "" {
				continue
			}
			if id, ok := k.Pinned(p.Mesh, p.Name); !ok || id != p.ID {
				t.Fatalf("%v is pinned to %q", p, id)
			}
			if _, err := k.Meet(p.Mesh, p.Name, p.ID); (err != nil) != p.Revoked {
				t.Fatal(p, err)
			}
		}
	})
}
