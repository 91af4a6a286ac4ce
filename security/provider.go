package security

// Provider protects what leaves on a link and checks what arrives there. A program may bring its own: two methods, and
// no knowledge of links, frames or JSON-RPC.
//
// A Provider is called by one writer and one reader of a link at the same time. It must not keep the slices that it is
// given after the call has returned.
type Provider interface {
	// Seal protects payload, one frame without its delimiter. It appends to dst the params object of the rpc.secinfo
	// frame that goes before it and returns that with the payload to send: payload itself, unless the provider
	// transforms it. An empty secinfo means that none is sent. Call it when the frame is written, not when it is
	// queued: time, nonce and sequence number are set here. On an error nothing may be sent.
	//
	// dst must not overlap payload. Both slices returned may share dst's array, or the larger one that it grew to:
	// appending to secinfo may overwrite sealed. Once both are written, secinfo[:0] serves as the next dst.
	Seal(dst []byte, out Outgoing, payload []byte) (secinfo, sealed []byte, err error)

	// Open checks a payload against the params object of the secinfo frame that came before it (nil: none did) and
	// returns who is proven to have sent it, with the payload to parse: payload itself, unless the provider
	// transforms it. secinfo is only read. Open may overwrite payload, also when it refuses it, and the payload that
	// it returns may be a part of it: whoever shows a frame as it came copies it before.
	//
	// kind says what a payload is. It is called at most once, and only after the signature was verified, for nothing
	// of a payload is parsed before. A nil kind takes every payload for a Request.
	//
	// An error that is a *Refusal says how the frame is to be answered and what becomes of the link. After any other
	// error the link closes.
	Open(secinfo, payload []byte, kind func(payload []byte) Kind) (Verdict, []byte, error)
}

// Outgoing says what a Provider needs to know of a message beside its bytes. Make it of a receiver's name for a
// message of one's own, and with Verdict.Reply or Refusal.Reply for an answer.
type Outgoing struct {
	To  string  // the receiver's name, or "*"
	Sum *Digest // Sum(payload), where the caller has it; nil: computed when needed
	key *Key    // key to sign an answer with: the one that signed the question
}

// Kind is what a payload is, as far as its check depends on it.
type Kind uint8

const (
	Broken       Kind = iota // no JSON or no valid message; checked like a Request
	Notification             // or a batch of them alone
	Request                  // or a batch that holds one, and no response
	Hello                    // the request rpc.hello without m, by itself
	Response                 // or a batch of them alone
	Mixed                    // a batch of responses and others: as strictly as Request and Response together
)

// Verdict is who sent a message, and how far that is proven.
type Verdict struct {
	Principal Principal // what is proven, and the role that comes of it
	User      string    // the name the sender goes by; it is proven only where Principal.User or .PeerID says so
	Verified  bool      // the message was signed by the Principal
	key       *Key
}

// Label is the sender's name for display: User, with a "~" before it when the message was not signed, and the
// Principal when it has no name.
func (v *Verdict) Label() string {
	switch {
	case v.User == "":
		return v.Principal.String()
	case !v.Verified:
		return "~" + v.User
	}
	return v.User
}

// Reply returns the Outgoing for the answer: to the sender, signed with the key that the question was signed with.
func (v *Verdict) Reply() Outgoing { return Outgoing{To: v.User, key: v.key} }

// Null is the provider of a mesh without a key: it signs nothing and proves nothing. Whatever comes unsigned is a
// guest's; a user's name is a claim. What claims to be signed is refused, because it cannot be checked.
type Null struct{}

// Seal returns no secinfo.
func (Null) Seal(dst []byte, _ Outgoing, payload []byte) (secinfo, sealed []byte, err error) {
	return dst, payload, nil
}

// Open returns the guest, or a *Refusal for a secinfo that is more than a claim.
func (Null) Open(secinfo, payload []byte, _ func([]byte) Kind) (Verdict, []byte, error) {
	if secinfo == nil {
		return Verdict{Principal: Principal{Role: RoleGuest}}, payload, nil
	}
	var info SecInfo
	if info.Parse(secinfo) != nil {
		return Verdict{}, nil, malformed()
	}
	user, ok := info.claims()
	if !ok {
		return Verdict{}, nil, unauthenticated(1, ReasonAlg)
	}
	return claim(user), payload, nil
}

// Claim is Null that says who it is: it sends {"user":User} with every message, as quickrpc does. Nothing is proven by
// that; receivers show it as "~User".
type Claim struct {
	Null
	User string // a valid name
}

// Seal appends {"user":User}. It returns a *NameError when User is no name.
func (c Claim) Seal(dst []byte, _ Outgoing, payload []byte) (secinfo, sealed []byte, err error) {
	if !ValidName(c.User) {
		return nil, nil, &NameError{c.User}
	}
	dst = append(dst, `{"user":"`...)
	dst = append(dst, c.User...)
	return append(dst, `"}`...), payload, nil
}

var (
	_ Provider = Null{}
	_ Provider = Claim{}
)

func claim(user []byte) Verdict {
	return Verdict{Principal: Principal{Role: RoleGuest}, User: string(user)}
}
