package security

import (
	"errors"
	"fmt"
	"strings"

	"peermesh/api"
)

// ErrRule is returned by NewPolicy for a rule that can never mean anything.
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
}

// Policy decides what comes in: default deny, deny wins (protocol section 5). A method is judged thus, and the first
// that applies decides:
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
type Policy struct{ rules []rule }

type rule struct {
	kind, name  string
	deny, allow []pattern
	override    bool
}

// pattern is a method's name, or a prefix with its dot.
type pattern struct {
	text   string
	prefix bool
	why    string // "rule 2: deny lab.* to user:bob"
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
	// Why names the rule, counted from 1, or the step that decided, for `policy check` and logs. It is not for the
	// one who was denied.
	Why string
	// Code is the error code to answer a request with: 0 when allowed; api.CodeForbidden for members; that of an
	// unknown method for guests and invites, who must not learn which methods exist (give them the same message too).
	Code int
}

// NewPolicy returns the policy of these rules, whose order does not matter. It returns ErrRule, with the rule's number,
// for a principal or pattern that is not of the form Rule demands, and for a rule without patterns.
func NewPolicy(rules ...Rule) (*Policy, error) {
	p := &Policy{rules: make([]rule, 0, len(rules))}
	for i, r := range rules {
		c, err := r.compile(i + 1)
		if err != nil {
			return nil, fmt.Errorf("%w %d: %w", ErrRule, i+1, err)
		}
		p.rules = append(p.rules, c)
	}
	return p, nil
}

func (r *Rule) compile(n int) (c rule, err error) {
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
		return c, fmt.Errorf("principal %q: say peer:<id>, user:<name>, key:<kid>, role:<role>, invite or guest", r.Principal)
	}
	if len(r.Deny)+len(r.Allow) == 0 {
		return c, errors.New("it neither denies nor allows anything")
	}
	c = rule{kind: kind, name: name, override: r.Override}
	if c.deny, err = patterns(r.Deny, fmt.Sprintf("rule %d: deny %%s to %s", n, r.Principal)); err != nil {
		return c, err
	}
	c.allow, err = patterns(r.Allow, fmt.Sprintf("rule %d: allow %%s to %s", n, r.Principal))
	return c, err
}

func patterns(texts []string, why string) ([]pattern, error) {
	out := make([]pattern, 0, len(texts))
	for _, t := range texts {
		head, prefix := strings.CutSuffix(t, ".*")
		if head == "" || strings.Contains(head, "*") {
			return nil, fmt.Errorf("pattern %q: say a method's name or prefix.*", t)
		}
		p := pattern{text: head, prefix: prefix, why: fmt.Sprintf(why, t)}
		if prefix {
			p.text += "."
		}
		out = append(out, p)
	}
	return out, nil
}

// Allows decides whether who may send method, whose minimum role is min (empty: member). It does not allocate.
func (p *Policy) Allows(who Principal, method string, min Role) Decision {
	if who.Invite {
		if method == MethodEnroll {
			return Decision{Allowed: true, Why: whyInvite}
		}
		return deny(who, whyInvite)
	}
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
