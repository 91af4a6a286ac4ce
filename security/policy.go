package security

import (
	"errors"
	"fmt"
	"strings"

	"peermesh/api"
)

// ErrRule is returned by NewPolicy for a rule that can never mean anything, and for two that give one principal a role.
var ErrRule = errors.New("security: unusable rule")

// MethodEnroll is the one method that the principal "invite" may call.
const MethodEnroll = "rpc.enroll"

// Rule says what one principal may or may not send to us.
//
// Principal is "peer:<id>", "user:<name>" (a proven name), "key:<kid>", "role:<role>", "invite" or "guest". Patterns
// are a method's name, or "prefix.*" for all methods whose names begin with "prefix.".
type Rule struct {
	Principal string
	Deny      []string // never, whatever else allows it
	Allow     []string // once a rule of a principal allows something, only what such rules allow; see Policy
	Override  bool     // what Allow names is allowed below the method's minimum role too
	Role      Role     // what a "peer:", "user:" or "key:" is, in place of the role it comes with; empty: no change
}

// Policy decides what comes in: default deny, deny wins (protocol section 5). A principal's role is that of RoleOf. A
// method is judged thus, and the first that applies decides:
//
//  1. an invite may call rpc.enroll and nothing else;
//  2. a Deny pattern of any rule that names the principal: denied;
//  3. an Allow pattern of a rule with Override that names the principal: allowed;
//  4. the principal's role does not cover the method's minimum role: denied;
//  5. rules with Allow name the principal, and no pattern of them matches: denied. The protocol's own methods (rpc.*
//     and $/*) are exempt from this, so that an allow list of an application's methods does not cut off its ping;
//  6. otherwise the method's minimum role has allowed it.
//
// The zero Policy, and a nil one, has no rules: guests may send what guests may, members what members may. A Policy is
// immutable and safe for concurrent use; to change the rules, use another.
type Policy struct {
	rules []rule
	roles []rule // those that assign one
}

type rule struct {
	kind, name  string
	deny, allow []pattern
	override    bool
	role        Role
}

// pattern is a method's name, or a prefix with its dot.
type pattern struct {
	text   string
	prefix bool
	why    string // "rule 2: deny lab.* to user:bob", "line 7: deny lab.* to user:bob" from a file
}

// Why a decision was made that no rule made.
const (
	whyInvite   = "an invite may call " + MethodEnroll + " only"
	whyRole     = "minimum role"
	whyNotAmong = "not among what the principal's rules allow"
)

// Decision is what a Policy decided and why.
type Decision struct {
	Allowed bool
	// Why names the rule, counted from 1, or the line of the policy file, or the step that decided, for `policy check`
	// and logs. It is not for the one who was denied.
	Why string
	// Code is the error code to answer a request with: 0 when allowed; api.CodeForbidden for members; that of an
	// unknown method for guests and invites, who must not learn which methods exist (give them the same message too).
	Code int
}

// NewPolicy returns the policy of these rules, whose order does not matter. It returns ErrRule, with the rule's number,
// for a principal, pattern or role that is not of the form Rule demands, for a rule without any pattern or role, and
// for a second role of a principal.
func NewPolicy(rules ...Rule) (*Policy, error) {
	p := &Policy{rules: make([]rule, 0, len(rules))}
	for i := range rules {
		if err := p.add(&rules[i], fmt.Sprintf("rule %d", i+1)); err != nil {
			return nil, fmt.Errorf("%w %d: %w", ErrRule, i+1, err)
		}
	}
	return p, nil
}

// add compiles a rule, which label names. Only a policy that nobody has yet may be added to.
func (p *Policy) add(r *Rule, label string) error {
	c, err := r.compile(label)
	if err != nil {
		return err
	}
	if c.role != "" {
		for _, other := range p.roles {
			if other.kind == c.kind && other.name == c.name {
				return fmt.Errorf("%s has been given the role %s already", r.Principal, other.role)
			}
		}
		p.roles = append(p.roles, c)
	}
	if len(c.deny)+len(c.allow) > 0 {
		p.rules = append(p.rules, c)
	}
	return nil
}

func (r *Rule) compile(label string) (c rule, err error) {
	kind, name, named := strings.Cut(r.Principal, ":")
	ok := false
	switch kind {
	case "guest", "invite":
		ok = !named
	case "user", "role":
		ok = ValidName(name)
	case "peer":
		ok = validPeerID(name)
	case "key":
		ok = lowerHex([]byte(name), 8)
	}
	if !ok {
		return c, fmt.Errorf("principal %.60q: say peer:<id>, user:<name>, key:<kid>, role:<role>, invite or guest", r.Principal)
	}
	switch {
	case r.Role == "" && len(r.Deny)+len(r.Allow) == 0:
		return c, errors.New("it neither denies nor allows anything, and gives no role")
	case r.Role != "" && strength(kind) == 0:
		return c, fmt.Errorf("%s cannot be given a role: only peer:<id>, user:<name> and key:<kid> can", r.Principal)
	case r.Role != "" && !ValidName(r.Role):
		return c, fmt.Errorf("role: %w", &NameError{string(r.Role)})
	}
	c = rule{kind: kind, name: name, override: r.Override, role: r.Role}
	if c.deny, err = patterns(r.Deny, label+": deny ", r.Principal); err != nil {
		return c, err
	}
	c.allow, err = patterns(r.Allow, label+": allow ", r.Principal)
	return c, err
}

func patterns(texts []string, why, principal string) ([]pattern, error) {
	out := make([]pattern, 0, len(texts))
	for _, t := range texts {
		head, prefix := strings.CutSuffix(t, ".*")
		if head == "" || strings.Contains(head, "*") {
			return nil, fmt.Errorf("pattern %.60q: say a method's name or prefix.*", t)
		}
		p := pattern{text: head, prefix: prefix, why: why + t + " to " + principal}
		if prefix {
			p.text += "."
		}
		out = append(out, p)
	}
	return out, nil
}

// RoleOf returns the role of a principal: the one that a rule gives to its peer id, else to its name, else to its key,
// else the one it comes with. An invite has none to be given. It does not allocate.
func (p *Policy) RoleOf(who Principal) Role {
	if p == nil || who.Invite {
		return who.Role
	}
	role, best := who.Role, 0
	for i := range p.roles {
		if r := &p.roles[i]; strength(r.kind) > best && r.names(who) {
			role, best = r.role, strength(r.kind)
		}
	}
	return role
}

// strength ranks the kinds of principals that a role can be given to; 0 for the others.
func strength(kind string) int {
	switch kind {
	case "peer":
		return 3
	case "user":
		return 2
	case "key":
		return 1
	}
	return 0
}

// Allows decides whether who may send method, whose minimum role is min (empty: member). It does not allocate.
func (p *Policy) Allows(who Principal, method string, min Role) Decision {
	if who.Invite {
		if method == MethodEnroll {
			return Decision{Allowed: true, Why: whyInvite}
		}
		return deny(who, whyInvite)
	}
	who.Role = p.RoleOf(who)
	listed, why, override := false, "", ""
	if p != nil {
		for i := range p.rules {
			r := &p.rules[i]
			if !r.names(who) {
				continue
			}
			if m := match(r.deny, method); m != nil {
				return deny(who, m.why)
			}
			if len(r.allow) == 0 {
				continue
			}
			listed = true
			switch m := match(r.allow, method); {
			case m == nil:
			case r.override:
				override = m.why
			default:
				why = m.why
			}
		}
	}
	switch {
	case override != "":
		return Decision{Allowed: true, Why: override}
	case !who.Role.Covers(min):
		return deny(who, whyRole)
	case why != "":
		return Decision{Allowed: true, Why: why}
	case listed && !strings.HasPrefix(method, "rpc.") && !strings.HasPrefix(method, "$/"):
		return deny(who, whyNotAmong)
	}
	return Decision{Allowed: true, Why: whyRole}
}

func deny(who Principal, why string) Decision {
	d := Decision{Why: why, Code: api.CodeForbidden}
	if who.Invite || !who.Role.Covers(RoleMember) {
		d.Code = api.CodeMethodNotFound
	}
	return d
}

// names reports whether r is about who. An empty proof of who matches no rule, because no rule has an empty name.
func (r *rule) names(who Principal) bool {
	switch r.kind {
	case "peer":
		return who.PeerID == r.name
	case "user":
		return who.User == r.name
	case "key":
		return who.Kid == r.name
	case "role":
		return string(who.Role) == r.name || who.Role == "" && r.name == string(RoleGuest)
	case "guest":
		return who == Principal{} || who == Principal{Role: RoleGuest}
	}
	return false // an invite's rights are fixed
}

func match(patterns []pattern, method string) *pattern {
	for i := range patterns {
		p := &patterns[i]
		if p.prefix && strings.HasPrefix(method, p.text) || !p.prefix && method == p.text {
			return p
		}
	}
	return nil
}
