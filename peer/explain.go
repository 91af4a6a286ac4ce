package peer

import (
	"fmt"
	"strings"

	"peermesh/api"
	"peermesh/security"
)

// Explanation is what a policy says of one peer and one method, and why.
type Explanation struct {
	Peer      string `json:"peer"`
	Principal string `json:"principal"`
	Role      string `json:"role"`
	Method    string `json:"method"`
	Minimum   string `json:"minimum"` // role that the method asks for
	Bound     bool   `json:"bound"`   // an API that is bound here has the method; else its minimum is a guess
	Allowed   bool   `json:"allowed"`
	Why       string `json:"why"`
}

// Explain says whether a peer may call (or send) a method here, and what decides it. who is a linked or pinned peer's
// name or id, or a principal in the form of a policy: "peer:ID", "user:NAME", "key:KID", "guest". The error wraps
// api.ErrUnknownPeer.
func (p *Peer) Explain(who, method string) (*Explanation, error) {
	principal, err := p.principalNamed(who)
	if err != nil {
		return nil, err
	}
	policy := p.policy()
	e := &Explanation{Peer: who, Principal: principal.String(), Role: string(policy.RoleOf(principal)), Method: method, Minimum: api.RoleMember}
	if e.Role == "" {
		e.Role = api.RoleGuest
	}
	if _, m := p.lookup([]byte(method)); m != nil {
		e.Bound = true
		if m.MinRole != "" {
			e.Minimum = m.MinRole
		}
	} else if reserved([]byte(method)) {
		e.Bound, e.Minimum = true, string(ownMinimum(method, principal))
	}
	d := policy.Allows(principal, method, security.Role(e.Minimum))
	e.Allowed, e.Why = d.Allowed, d.Why
	return e, nil
}

func (p *Peer) principalNamed(who string) (security.Principal, error) {
	kind, value, _ := strings.Cut(who, ":")
	switch kind {
	case "guest":
		return security.Principal{Role: security.RoleGuest}, nil
	case "key":
		for _, e := range p.cfg.Keys.Entries() {
			if e.Key.ID() == value {
				return security.Principal{Kid: value, Role: e.Role}, nil
			}
		}
		return security.Principal{}, fmt.Errorf("%w: no key %s is held here", api.ErrUnknownPeer, value)
	case "peer", "user":
	default:
		value = who
	}
	for _, l := range *p.members.Load() {
		info := l.info.Load()
		if info.Name != value && info.ID != value {
			continue
		}
		if l.session != nil {
			return p.principalOf(l.session.Remote()), nil
		}
		if kid, ok := strings.CutPrefix(info.Principal, "key:"); ok {
			return security.Principal{Kid: kid, Role: security.Role(info.Role)}, nil
		}
		if user, ok := strings.CutPrefix(info.Principal, "user:"); ok {
			return security.Principal{User: user, Role: security.Role(info.Role)}, nil
		}
		return security.Principal{Role: security.Role(info.Role)}, nil
	}
	id := value
	if pinned, ok := p.pinned(value); ok {
		id = pinned
	}
	if k, ok := p.lookupPeer(id); ok {
		r := security.Principal{PeerID: k.ID, User: k.Name, Role: k.Role}
		if r.Role == "" {
			r.Role = security.RoleMember
		}
		return r, nil
	}
	return security.Principal{}, fmt.Errorf("%w: %s", api.ErrUnknownPeer, who)
}
