package security

// Role is what a principal is to a mesh. The built-in roles are ranked: guest below member below admin. Any other
// valid name is a role of the users' own that ranks as member does.
type Role string

// The built-in roles, protocol section 5.
const (
	RoleGuest  Role = "guest"
	RoleMember Role = "member"
	RoleAdmin  Role = "admin"
)

// Covers reports whether a holder of role r may do what asks for min: everybody covers guest, all but guests cover
// member, admin covers all, and a role of the users' own is covered by itself and admin. The empty min means member,
// the default of a method; the empty r means guest.
func (r Role) Covers(min Role) bool {
	if min == "" {
		min = RoleMember
	}
	switch {
	case min == RoleGuest, r == RoleAdmin:
		return true
	case r == "" || r == RoleGuest:
		return false
	default:
		return min == RoleMember || r == min
	}
}

// Principal is who the receiver of a message has proof that sent it (protocol, "Words"). What is not proven is empty.
// The zero Principal is the guest. Principals compare with Same; == compares the role and the way of proof too.
type Principal struct {
	PeerID string // proven by a session handshake
	User   string // a proven name: listed in the device key that signed, or pinned to PeerID; never a mere claim
	Kid    string // the id of the key that signed, or that the handshake ran under
	Role   Role   // empty means guest
	Invite bool   // a handshake under an invite's one-time key
}

// String names the strongest proof in the form of a policy's principals: "peer:<id>", "user:<name>", "key:<kid>",
// "invite" or "guest".
func (p Principal) String() string {
	switch {
	case p.Invite:
		return "invite"
	case p.PeerID != "":
		return "peer:" + p.PeerID
	case p.User != "":
		return "user:" + p.User
	case p.Kid != "":
		return "key:" + p.Kid
	}
	return "guest"
}

// Same reports whether the strongest proofs of p and q are of the same kind and value, that is, whether p.String() ==
// q.String(). It does not allocate.
func (p Principal) Same(q Principal) bool {
	switch {
	case p.Invite || q.Invite:
		return p.Invite == q.Invite
	case p.PeerID != "" || q.PeerID != "":
		return p.PeerID == q.PeerID
	case p.User != "" || q.User != "":
		return p.User == q.User
	}
	return p.Kid == q.Kid
}
