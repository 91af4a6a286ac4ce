package security_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"peermesh/security"
)

const (
	inviterID = "zjcooxhlnb4bomlbbmge4zanyxpqvgpe"
	inviteHex = "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
)

func vectorInvite(t testing.TB) (security.Invite, string) {
	t.Helper()
	return security.Invite{Mesh: "demo", Inviter: inviterID, Expires: time.Unix(1767226200, 0).UTC(), Key: mustParse(t, inviteHex)},
		loadVectors(t).Derived["invite_token"]
}

func newInvite(t testing.TB, now time.Time) security.Invite {
	t.Helper()
	i, err := security.NewInvite("lab", inviterID, 10*time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func sameInvite(a, b security.Invite) bool {
	return a.Mesh == b.Mesh && a.Inviter == b.Inviter && a.Expires.Equal(b.Expires) && a.Key.Equal(b.Key) && a.Address == b.Address
}

func TestInviteVector(t *testing.T) {
	t.Parallel()
	invite, token := vectorInvite(t)
	if got := invite.Code(); got != token {
		t.Errorf("%s, want %s", got, token)
	}
	got, err := security.ParseInvite("  " + token + "\r\n")
	if err != nil || !sameInvite(got, invite) {
		t.Errorf("%+v, %v", got, err)
	}
	if !got.Expired(invite.Expires) || got.Expired(invite.Expires.Add(-1)) {
		t.Error("it expires at another time")
	}
	for _, address := range []string{"192.168.1.20:7117", "[fe80::1%eth0]:7117", "host:1", "wss://host/mesh?pin=sha256/abc", "tcps://h:1@2"} {
		invite.Address = address
		if invite.Code() != token+"@"+address {
			t.Error(invite.Code())
		}
		if got, err := security.ParseInvite(token + "@" + address); err != nil || !sameInvite(got, invite) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// TestInviteMutations: no invite that was changed, shortened or lengthened is read.
func TestInviteMutations(t *testing.T) {
	t.Parallel()
	_, token := vectorInvite(t)
	for i := range token {
		for c := range 256 {
			changed := token[:i] + string([]byte{byte(c)}) + token[i+1:]
			if byte(c) == token[i] {
				continue
			}
			_, err := security.ParseInvite(changed)
			want := []error{security.ErrInviteDamaged, security.ErrInviteTruncated}
			switch {
			case i < 4:
				want = []error{security.ErrInviteForm}
			case c == '@': // what follows is taken for an address
				want = []error{security.ErrInviteTruncated}
			case i == len(token)-1 && strings.ContainsRune(" \t\n\v\f\r\x85\xa0", rune(c)): // cut off
				want = append(want, security.ErrInviteTruncated)
			}
			if !errors.Is(err, want[0]) && !errors.Is(err, want[len(want)-1]) {
				t.Errorf("byte %d = %q: %v", i, byte(c), err)
			}
		}
	}
	for n := range len(token) {
		want := security.ErrInviteTruncated
		if n < 4 {
			want = security.ErrInviteForm
		}
		if _, err := security.ParseInvite(token[:n]); !errors.Is(err, want) {
			t.Errorf("the first %d characters: %v", n, err)
		}
	}
	for _, more := range []string{"a", "aa", "abcd", "=", " x", token, strings.Repeat("a", 1<<16)} {
		if _, err := security.ParseInvite(token + more); !errors.Is(err, security.ErrInviteDamaged) {
			t.Errorf("with %.9q: %v", more, err)
		}
	}
	for _, more := range []string{"@", "@host", "@host:", "@://", "@ws://", "@a b:1", "@a\x00:1", "@\u00e9:1", "@h:1\x7f", "@" + strings.Repeat("h", 254) + ":1"} {
		if _, err := security.ParseInvite(token + more); !errors.Is(err, security.ErrInviteAddress) {
			t.Errorf("with %.20q: %v", more, err)
		}
	}
	if _, err := security.ParseInvite(strings.ToUpper(token)); !errors.Is(err, security.ErrInviteForm) {
		t.Error(err)
	}
}

// TestInviteContents: what has a good checksum and is no invite all the same.
func TestInviteContents(t *testing.T) {
	t.Parallel()
	good, _ := hex.DecodeString("01" + "6955b9d8" + inviteHex + strings.Repeat("11", 20) + "03" + "6c6162")
	change := func(at int, by ...byte) []byte {
		b := append([]byte(nil), good...)
		copy(b[at:], by)
		return b
	}
	if i, err := security.ParseInvite(security.InviteOf(good)); err != nil || i.Mesh != "lab" {
		t.Fatal(i, err)
	}
	for name, body := range map[string][]byte{
		"version 2":       change(0, 2),
		"version 0":       change(0, 0),
		"a key of zeros":  change(5, make([]byte, 32)...),
		"no mesh":         change(57, 0)[:58],
		"no name":         change(58, 'L'),
		"a mesh too long": append(change(57, 54), strings.Repeat("a", 51)...),
	} {
		if i, err := security.ParseInvite(security.InviteOf(body)); !errors.Is(err, security.ErrInviteDamaged) {
			t.Errorf("%s: %v, %v", name, i, err)
		}
	}
}

func TestNewInvite(t *testing.T) {
	t.Parallel()
	now := time.Unix(1767225600, 1)
	i, err := security.NewInvite("lab", inviterID, 10*time.Minute, now)
	if err != nil || i.Expires.Unix() != 1767225600+601 || i.Expired(now.Add(10*time.Minute)) || i.Key == nil {
		t.Errorf("%+v, %v", i, err)
	}
	if again, err := security.ParseInvite(i.Code()); err != nil || !sameInvite(again, i) {
		t.Error(again, err)
	}
	if j := newInvite(t, now); j.Key.Equal(i.Key) {
		t.Error("two invites share a key")
	}
	for _, x := range []struct {
		mesh, inviter string
		ttl           time.Duration
		now           time.Time
		want          string
	}{
		{"Lab", inviterID, time.Minute, now, "is no name"},
		{"lab", "x", time.Minute, now, "a peer id is"},
		{"lab", inviterID, 0, now, "say 1 s to"},
		{"lab", inviterID, -time.Minute, now, "say 1 s to"},
		{"lab", inviterID, security.MaxInviteTTL + 1, now, "say 1 s to"},
		{"lab", inviterID, time.Minute, time.Unix(math.MaxUint32, 0), "2106"},
		{"lab", inviterID, time.Minute, time.Unix(-100, 0), "2106"},
	} {
		if i, err := security.NewInvite(x.mesh, x.inviter, x.ttl, x.now); err == nil || !strings.Contains(err.Error(), x.want) || i.Key != nil {
			t.Errorf("%+v: %v", x, err)
		}
	}
	for _, i := range []security.Invite{{}, {Mesh: "lab", Inviter: inviterID, Expires: now}, {Mesh: "lab", Inviter: "x", Expires: now, Key: i.Key},
		{Inviter: inviterID, Expires: now, Key: i.Key}, {Mesh: "lab", Inviter: inviterID, Key: i.Key}, {Mesh: "lab", Inviter: inviterID[:31] + "!", Expires: now, Key: i.Key}} {
		if code := i.Code(); code != "" {
			t.Errorf("%v has a code", i)
		}
	}
}

// TestInviteHides prints an invite in every way: the secret is in none of them.
func TestInviteHides(t *testing.T) {
	t.Parallel()
	i, token := vectorInvite(t)
	const label = "[invite to demo, kid=c5ab91d2]"
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "invite", i, "pointer", &i, "in", []any{i})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "invite", i, "map", map[string]any{"i": i})
	text, err := json.Marshal(map[string]any{"i": i, "p": &i, "s": []security.Invite{i}})
	if err != nil || !strings.Contains(string(text), `"i":"`+label+`"`) {
		t.Errorf("%s, %v", text, err)
	}
	all := log.String() + string(text)
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%10v"} {
		if got := fmt.Sprintf(f, i); got != label {
			t.Errorf("%s: %s", f, got)
		}
		all += fmt.Sprintf(f, &i) + fmt.Sprintf(f, []security.Invite{i}) + fmt.Sprintf(f, struct{ i security.Invite }{i})
	}
	m, _ := i.MarshalText()
	all += string(m) + i.GoString()
	assertNoCanary(t, "an invite", all, i.Key.Secret().Bytes())
	if strings.Contains(all, token[12:40]) {
		t.Errorf("the code is in\n%s", all)
	}
	if got := (security.Invite{}).String(); got != "[no invite]" {
		t.Error(got)
	}
}

func FuzzInvite(f *testing.F) {
	_, token := vectorInvite(f)
	f.Add(token)
	f.Add(token + "@192.168.1.20:7117")
	f.Add(" " + token + "@wss://h/mesh?pin=sha256/x\n")
	f.Add(token[:50])
	f.Add("pmi1")
	f.Fuzz(func(t *testing.T, text string) {
		i, err := security.ParseInvite(text)
		if err != nil {
			if code := strings.TrimSpace(text); len(code) > 20 && strings.Contains(err.Error(), code[4:20]) {
				t.Fatalf("quoted: %v", err)
			}
			return
		}
		if code := i.Code(); code != strings.TrimSpace(text) {
			t.Fatalf("%q is written as %q", text, code)
		}
	})
}
