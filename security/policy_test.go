package security_test

import (
	"errors"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/security"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	const g, m, a, own, other = security.RoleGuest, security.RoleMember, security.RoleAdmin, security.Role("op"), security.Role("qa")
	for _, c := range []struct {
		r, min security.Role
		want   bool
	}{
		{"", g, true}, {"", m, false}, {"", "", false}, {"", a, false},
		{g, g, true}, {g, m, false}, {g, "", false}, {g, a, false}, {g, own, false},
		{m, g, true}, {m, m, true}, {m, "", true}, {m, a, false}, {m, own, false},
		{a, g, true}, {a, m, true}, {a, a, true}, {a, own, true},
		{own, g, true}, {own, m, true}, {own, a, false}, {own, own, true}, {own, other, false},
	} {
		if got := c.r.Covers(c.min); got != c.want {
			t.Errorf("%q covers %q: %v", c.r, c.min, got)
		}
	}
}

func TestPrincipals(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("a", 32)
	all := map[string]security.Principal{
		"guest":            {},
		"key:" + groupKid:  {Kid: groupKid, Role: security.RoleMember},
		"key:" + deviceKid: {Kid: deviceKid, Role: security.RoleMember},
		"user:cam":         {User: "cam", Kid: groupKid},
		"user:dog":         {User: "dog", Kid: groupKid},
		"peer:" + id:       {PeerID: id, User: "cam", Kid: groupKid},
		"invite":           {Invite: true, PeerID: id},
	}
	for a, p := range all {
		if p.String() != a {
			t.Errorf("%s, want %s", p, a)
		}
		for b, q := range all {
			if p.Same(q) != (a == b) {
				t.Errorf("%s same as %s: %v", a, b, p.Same(q))
			}
		}
	}
	if !(security.Principal{User: "cam", Kid: "1", Role: "x"}).Same(security.Principal{User: "cam", Kid: "2"}) {
		t.Error("role and key decide")
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("a", 32)
	const member, admin, guest = security.RoleMember, security.RoleAdmin, security.RoleGuest
	who := map[string]security.Principal{
		"guest":   {Role: guest},
		"zero":    {},
		"alice":   {Kid: groupKid, Role: member},
		"cam":     {Kid: deviceKid, User: "cam", Role: member},
		"boss":    {PeerID: id, User: "boss", Kid: groupKid, Role: admin},
		"op":      {Kid: wildHex[:8], Role: "op"},
		"lowly":   {Kid: deviceKid, User: "lowly", Role: guest},
		"invitee": {Invite: true, Role: member},
	}
	rules := func(rs ...security.Rule) []security.Rule { return rs }
	rule := func(p string, allow, deny string) security.Rule {
		return security.Rule{Principal: p, Allow: strings.Fields(allow), Deny: strings.Fields(deny)}
	}
	lift := func(p, allow string) security.Rule {
		return security.Rule{Principal: p, Allow: strings.Fields(allow), Override: true}
	}
	const min = "minimum role"
	const notAmong = "not among what the principal's rules allow"
	for _, c := range []struct {
		name   string
		rules  []security.Rule
		who    string
		method string
		min    security.Role
		code   int
		why    string
	}{
		{"zero: guest, guest method", nil, "guest", "a.b", guest, 0, min},
		{"zero: zero principal is a guest", nil, "zero", "a.b", guest, 0, min},
		{"zero: guest, default method", nil, "guest", "a.b", "", api.CodeMethodNotFound, min},
		{"zero: member, default method", nil, "alice", "a.b", "", 0, min},
		{"zero: member, guest method", nil, "alice", "a.b", guest, 0, min},
		{"zero: member, admin method", nil, "alice", "rpc.admin.x", admin, api.CodeForbidden, min},
		{"zero: admin, admin method", nil, "boss", "rpc.admin.x", admin, 0, min},
		{"zero: own role, member method", nil, "op", "a.b", member, 0, min},
		{"zero: own role, its method", nil, "op", "a.b", "op", 0, min},
		{"zero: member, own role's method", nil, "alice", "a.b", "op", api.CodeForbidden, min},
		{"zero: key with role guest", nil, "lowly", "a.b", "", api.CodeMethodNotFound, min},
		{"invite: enroll", nil, "invitee", "rpc.enroll", admin, 0, "an invite may call rpc.enroll only"},
		{"invite: other", nil, "invitee", "rpc.ping", guest, api.CodeMethodNotFound, "an invite may call rpc.enroll only"},
		{"invite: no rule helps", rules(lift("invite", "a.b")), "invitee", "a.b", guest, api.CodeMethodNotFound, "an invite may call rpc.enroll only"},

		{"deny exact", rules(rule("user:cam", "", "a.b")), "cam", "a.b", "", api.CodeForbidden, "rule 1: deny a.b to user:cam"},
		{"deny exact, other method", rules(rule("user:cam", "", "a.b")), "cam", "a.b.c", "", 0, min},
		{"deny prefix", rules(rule("user:cam", "", "a.*")), "cam", "a.b.c", "", api.CodeForbidden, "rule 1: deny a.* to user:cam"},
		{"prefix needs its dot", rules(rule("user:cam", "", "a.*")), "cam", "ab", "", 0, min},
		{"prefix is not itself", rules(rule("user:cam", "", "a.*")), "cam", "a", "", 0, min},
		{"deny by key", rules(rule("key:"+deviceKid, "", "a.b")), "cam", "a.b", "", api.CodeForbidden, "rule 1: deny a.b to key:86913cf4"},
		{"deny by peer", rules(rule("peer:"+id, "", "a.b")), "boss", "a.b", "", api.CodeForbidden, "rule 1: deny a.b to peer:" + id},
		{"deny by role", rules(rule("role:member", "", "a.b")), "alice", "a.b", "", api.CodeForbidden, "rule 1: deny a.b to role:member"},
		{"deny guest", rules(rule("guest", "", "a.b")), "guest", "a.b", guest, api.CodeMethodNotFound, "rule 1: deny a.b to guest"},
		{"guest is not a key of role guest", rules(rule("guest", "", "a.b")), "lowly", "a.b", guest, 0, min},
		{"role guest is the zero principal too", rules(rule("role:guest", "", "a.b")), "zero", "a.b", guest, api.CodeMethodNotFound, "rule 1: deny a.b to role:guest"},
		{"a claimed name is no user", rules(rule("user:alice", "", "a.b")), "alice", "a.b", "", 0, min},
		{"deny wins over an earlier allow", rules(rule("user:cam", "a.b", ""), rule("role:member", "", "a.*")), "cam", "a.b", "", api.CodeForbidden, "rule 2: deny a.* to role:member"},
		{"deny wins over a later allow", rules(rule("role:member", "", "a.*"), lift("user:cam", "a.b")), "cam", "a.b", "", api.CodeForbidden, "rule 1: deny a.* to role:member"},
		{"deny wins in one rule", rules(rule("user:cam", "a.*", "a.b")), "cam", "a.b", "", api.CodeForbidden, "rule 1: deny a.b to user:cam"},
		{"deny even admin", rules(rule("role:admin", "", "a.b")), "boss", "a.b", "", api.CodeForbidden, "rule 1: deny a.b to role:admin"},

		{"allow narrows", rules(rule("user:cam", "a.*", "")), "cam", "b.c", "", api.CodeForbidden, notAmong},
		{"allow allows", rules(rule("user:cam", "a.*", "")), "cam", "a.c", "", 0, "rule 1: allow a.* to user:cam"},
		{"allow lists add up", rules(rule("role:member", "a.*", ""), rule("user:cam", "b.c", "")), "cam", "b.c", "", 0, "rule 2: allow b.c to user:cam"},
		{"allow of others does not narrow", rules(rule("user:dog", "a.*", "")), "cam", "b.c", "", 0, min},
		{"allow leaves the protocol alone", rules(rule("user:cam", "a.*", "")), "cam", "rpc.ping", guest, 0, min},
		{"allow leaves cancelling alone", rules(rule("user:cam", "a.*", "")), "cam", "$/cancelRequest", guest, 0, min},
		{"allow does not lift", rules(rule("guest", "a.*", "")), "guest", "a.b", "", api.CodeMethodNotFound, min},
		{"override lifts", rules(lift("guest", "a.*")), "guest", "a.b", "", 0, "rule 1: allow a.* to guest"},
		{"override lifts to admin", rules(lift("user:cam", "rpc.admin.*")), "cam", "rpc.admin.x", admin, 0, "rule 1: allow rpc.admin.* to user:cam"},
		{"override narrows too", rules(lift("user:cam", "a.*")), "cam", "b.c", "", api.CodeForbidden, notAmong},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := security.NewPolicy(c.rules...)
			if err != nil {
				t.Fatal(err)
			}
			policies := []*security.Policy{p}
			if c.rules == nil {
				policies = append(policies, nil, new(security.Policy))
			}
			for _, p := range policies {
				d := p.Allows(who[c.who], c.method, c.min)
				if d.Allowed != (c.code == 0) || d.Code != c.code || d.Why != c.why {
					t.Errorf("%+v, want code %d, %q", d, c.code, c.why)
				}
			}
		})
	}
}

func TestPolicyErrors(t *testing.T) {
	t.Parallel()
	ok := []string{"a.b"}
	for _, r := range []security.Rule{
		{Principal: "", Deny: ok}, {Principal: "nobody", Deny: ok}, {Principal: "guest:x", Deny: ok}, {Principal: "invite:", Deny: ok},
		{Principal: "user:", Deny: ok}, {Principal: "user", Deny: ok}, {Principal: "user:A", Deny: ok}, {Principal: "role:", Deny: ok},
		{Principal: "peer:abc", Deny: ok}, {Principal: "peer:" + strings.Repeat("1", 32), Deny: ok}, {Principal: "key:CF6785D9", Deny: ok},
		{Principal: "guest"},
		{Principal: "guest", Deny: []string{""}}, {Principal: "guest", Deny: []string{"*"}}, {Principal: "guest", Deny: []string{".*"}},
		{Principal: "guest", Allow: []string{"a*"}}, {Principal: "guest", Allow: []string{"a.*.b"}}, {Principal: "guest", Allow: []string{"a.*.*"}},
	} {
		if p, err := security.NewPolicy(security.Rule{Principal: "guest", Deny: ok}, r); !errors.Is(err, security.ErrRule) ||
			p != nil || !strings.Contains(err.Error(), " 2:") {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
