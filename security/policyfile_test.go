package security_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/security"
)

const policyText = `# Who may do what.

user:bob     allow lab.camera.* lab.stage.home   # no more than that
key:cf6785d9 deny  lab.*
guest        allow lab.status override
	peer:zjcooxhlnb4bomlbbmge4zanyxpqvgpe  role   admin #
role:admin   deny  lab.camera.eject override
`

func TestPolicyFile(t *testing.T) {
	t.Parallel()
	p, err := security.ParsePolicyFile([]byte(policyText))
	if err != nil {
		t.Fatal(err)
	}
	bob := security.Principal{PeerID: peerID(1), User: "bob", Role: security.RoleMember}
	boss := security.Principal{PeerID: inviterID, User: "alice", Role: security.RoleGuest}
	client := security.Principal{Kid: groupKid, Role: security.RoleMember}
	for _, c := range []struct {
		who     security.Principal
		method  string
		min     security.Role
		allowed bool
		why     string
	}{
		{bob, "lab.camera.snap", "", true, "line 3: allow lab.camera.* to user:bob"},
		{bob, "lab.stage.home", "", true, "line 3: allow lab.stage.home to user:bob"},
		{bob, "lab.stage.move", "", false, "not among what the principal's rules allow"},
		{client, "lab.stage.home", "", false, "line 4: deny lab.* to key:cf6785d9"},
		{client, "other", "", true, "minimum role"},
		{security.Principal{}, "lab.status", "", true, "line 5: allow lab.status to guest"},
		{boss, "rpc.admin.x", security.RoleAdmin, true, "minimum role"},
		{boss, "lab.camera.eject", "", false, "line 7: deny lab.camera.eject to role:admin"},
		{boss, "override", "", false, "line 7: deny override to role:admin"},
	} {
		if d := p.Allows(c.who, c.method, c.min); d.Allowed != c.allowed || d.Why != c.why {
			t.Errorf("%v %s: %+v, want %q", c.who, c.method, d, c.why)
		}
	}
	for _, text := range []string{"", "\n", "# nothing\n \n"} {
		if p, err := security.ParsePolicyFile([]byte(text)); err != nil || !p.Allows(client, "lab.x", "").Allowed {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPolicyFileErrors(t *testing.T) {
	t.Parallel()
	const kinds = "say peer:<id>, user:<name>, key:<kid>, role:<role>, invite or guest"
	id := peerID(1)
	for _, c := range []struct {
		text, want string
		rule       bool
	}{
		{"usr:bob allow a.b", `"usr:bob" is no principal (did you mean "user"?): ` + kinds, false},
		{"User:bob allow a.b", `(did you mean "user"?)`, false},
		{"gest allow a.b", `(did you mean "guest"?)`, false},
		{"bob allow a.b", `"bob" is no principal: ` + kinds, false},
		{"* allow a.b", `"*" is no principal: ` + kinds, false},
		{strings.Repeat("x", 2000) + " allow a.b", "is no principal: " + kinds, false},
		{"user bob allow a.b", "say which user: user:<…>", false},
		{"peer allow a.b", "say which peer: peer:<…>", false},
		{"user:Bob allow a.b", `principal "user:Bob": ` + kinds, true},
		{"guest:x allow a.b", `principal "guest:x": ` + kinds, true},
		{"peer:" + id[1:] + " allow a.b", kinds, true},
		{"key:CF6785D9 allow a.b", kinds, true},
		{"guest", "want PRINCIPAL allow|deny PATTERN…, or PRINCIPAL role ROLE", false},
		{"guest allow", "want PRINCIPAL allow|deny PATTERN…", false},
		{"guest allow # a.b", "want PRINCIPAL allow|deny PATTERN…", false},
		{"guest alow a.b", `"alow" is none of allow, deny and role (did you mean "allow"?)`, false},
		{"guest DENY a.b", `(did you mean "deny"?)`, false},
		{"guest permit a.b", `"permit" is none of allow, deny and role`, false},
		{"guest allow *", `pattern "*": say a method's name or prefix.*`, true},
		{"guest allow a.b a*", `pattern "a*"`, true},
		{"guest deny a.*.b", `pattern "a.*.b"`, true},
		{"user:bob role admin member", "want one role", false},
		{"user:bob role Admin", `role: security: "Admin" is no name`, true},
		{"guest role admin", "guest cannot be given a role", true},
		{"invite role admin", "invite cannot be given a role", true},
		{"role:op role admin", "role:op cannot be given a role", true},
		{"user:bob role op\nuser:bob role op", "user:bob has been given the role op already", true},
		{"guest allow a\x00b", "holds what cannot be printed", false},
		{"guest allow a\xffb", "holds what cannot be printed", false},
		{"guest\u202e allow a.b", "holds what cannot be printed", false},
	} {
		line := 3 + strings.Count(c.text, "\n")
		p, err := security.ParsePolicyFile([]byte("# a comment\nuser:carol deny x.y\n" + c.text + "\n"))
		var e *security.PolicyFileError
		if p != nil || !errors.As(err, &e) || e.Line != line || !strings.Contains(err.Error(), fmt.Sprintf("policy file, line %d: ", line)) ||
			!strings.Contains(e.Problem, c.want) || errors.Is(err, security.ErrRule) != c.rule || len(err.Error()) > 300 {
			t.Errorf("%.60q: %v", c.text, err)
		}
	}
	if _, err := security.ParsePolicyFile(make([]byte, 1<<20+1)); err == nil || !strings.Contains(err.Error(), "policy file: it is larger") {
		t.Error(err)
	}
}

// TestPolicyRoles: who is given a role by which rule.
func TestPolicyRoles(t *testing.T) {
	t.Parallel()
	p, err := security.ParsePolicyFile([]byte("key:" + groupKid + " role guest\nuser:bob role op\npeer:" + inviterID + " role admin\nuser:eve role guest\nrole:op allow op.*\n"))
	if err != nil {
		t.Fatal(err)
	}
	const member = security.RoleMember
	for _, c := range []struct {
		who  security.Principal
		want security.Role
	}{
		{security.Principal{PeerID: inviterID, User: "bob", Kid: groupKid, Role: member}, "admin"},
		{security.Principal{PeerID: peerID(1), User: "bob", Kid: groupKid, Role: member}, "op"},
		{security.Principal{PeerID: peerID(1), User: "dan", Kid: groupKid, Role: member}, "guest"},
		{security.Principal{PeerID: peerID(1), User: "dan", Role: member}, member},
		{security.Principal{User: "bob", Kid: deviceKid, Role: "admin"}, "op"},
		{security.Principal{Kid: groupKid, Role: member}, "guest"},
		{security.Principal{Kid: groupKid, Invite: true}, ""},
		{security.Principal{}, ""},
		{security.Principal{Role: security.RoleGuest}, "guest"},
	} {
		if got := p.RoleOf(c.who); got != c.want {
			t.Errorf("%+v is %q, want %q", c.who, got, c.want)
		}
		for _, none := range []*security.Policy{nil, new(security.Policy)} {
			if got := none.RoleOf(c.who); got != c.who.Role {
				t.Errorf("%+v is %q without rules", c.who, got)
			}
		}
	}
	bob, eve := security.Principal{User: "bob", Role: "admin"}, security.Principal{User: "eve", Role: member}
	for _, c := range []struct {
		who    security.Principal
		method string
		min    security.Role
		code   int
		why    string
	}{
		{bob, "op.x", "op", 0, "line 5: allow op.* to role:op"},
		{bob, "rpc.admin.x", "admin", api.CodeForbidden, "minimum role"},
		{eve, "lab.x", "", api.CodeMethodNotFound, "minimum role"},
		{security.Principal{Invite: true, Kid: groupKid}, security.MethodEnroll, "", 0, "an invite may call rpc.enroll only"},
	} {
		if d := p.Allows(c.who, c.method, c.min); d.Code != c.code || d.Why != c.why {
			t.Errorf("%+v %s: %+v", c.who, c.method, d)
		}
	}
	for _, r := range []security.Rule{{Principal: "guest", Role: member}, {Principal: "role:op", Role: member}, {Principal: "user:bob", Role: "No"}} {
		if _, err := security.NewPolicy(r); !errors.Is(err, security.ErrRule) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	p, err = security.NewPolicy(security.Rule{Principal: "user:bob", Role: "admin", Deny: []string{"a.b"}})
	if err != nil || p.RoleOf(bob) != "admin" || p.Allows(bob, "a.b", "").Why != "rule 1: deny a.b to user:bob" {
		t.Error(err)
	}
}

func TestPolicyRolesAllocate(t *testing.T) {
	p, err := security.ParsePolicyFile([]byte("user:bob role op\nrole:op allow op.*\n"))
	if err != nil {
		t.Fatal(err)
	}
	bob := security.Principal{User: "bob", Role: security.RoleMember}
	if n := testing.AllocsPerRun(100, func() {
		if !p.Allows(bob, "op.x", p.RoleOf(bob)).Allowed {
			t.Error("refused")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReadPolicyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy")
	if _, err := security.ReadPolicyFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	write := func(text string, mode fs.FileMode) {
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o444, 0o400} {
		write("", 0o600)
		write(policyText, mode)
		if p, err := security.ReadPolicyFile(path); err != nil || p == nil {
			t.Errorf("%o: %v", mode, err)
		}
		_ = os.Remove(path)
	}
	write("guest alow a.b\n", 0o644)
	if _, err := security.ReadPolicyFile(path); err == nil || !strings.Contains(err.Error(), "policy file "+path+", line 1: ") {
		t.Error(err)
	}
	write(strings.Repeat("#", 1<<20+1), 0o644)
	if _, err := security.ReadPolicyFile(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Error(err)
	}
}

// formatPolicy writes rules as a policy file has them.
func formatPolicy(rules []security.Rule) string {
	var b strings.Builder
	for _, r := range rules {
		b.WriteString(r.Principal)
		switch {
		case r.Role != "":
			b.WriteString(" role " + string(r.Role))
		case r.Deny != nil:
			b.WriteString(" deny " + strings.Join(r.Deny, " "))
		default:
			b.WriteString(" allow " + strings.Join(r.Allow, " "))
		}
		if r.Override {
			b.WriteString(" override")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func FuzzPolicyFile(f *testing.F) {
	f.Add([]byte(policyText))
	f.Add([]byte("guest allow override\nguest allow override override\nguest deny a b.*"))
	f.Add([]byte("user:bob role op\r\nkey:cf6785d9 role guest"))
	f.Add([]byte("usr:bob allow a.b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rules, err := security.ParsePolicyRules(text)
		p, perr := security.ParsePolicyFile(text)
		if (p == nil) != (perr != nil) {
			t.Fatal(p, perr)
		}
		if perr != nil {
			var e *security.PolicyFileError
			if !errors.As(perr, &e) || len(e.Problem) > 500 {
				t.Fatalf("%T %v", perr, perr)
			}
		}
		if err != nil {
			if perr == nil {
				t.Fatal(err)
			}
			return
		}
		again, err := security.ParsePolicyRules([]byte(formatPolicy(rules)))
		if err != nil || !reflect.DeepEqual(rules, again) {
			t.Fatalf("%v\n%+v\n%+v", err, rules, again)
		}
		if _, err := security.NewPolicy(rules...); (err != nil) != (perr != nil) {
			t.Fatalf("from the file %v, from the rules %v", perr, err)
		}
	})
}
