package security

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/flynn/noise"
	"github.com/go-json-experiment/json"

	"peermesh/api"
)

// The handshake of protocol section 4: its Noise pattern, the domain of its prologue, and its bounds.
const (
	noiseName    = "XXpsk0_25519_ChaChaPoly_SHA256"
	domainHello  = "rpc.hello/1"
	maxHandshake = 4 << 10 // "frames <= 4 KiB"
	firstMessage = 32 + 16 // bytes of the first Noise message: a public key, the tag of an empty payload
	defaultMax   = 4 << 20
)

// ErrOutOfOrder is returned when the calls of a handshake do not come in their order, or go on after one has failed.
var ErrOutOfOrder = errors.New("security: this is not the next step of the handshake")

// HandshakeConfig configures one end of one handshake, protocol section 4. Identity, Mesh, Boot, and Keys or an invite
// are required; a responder needs Seen too.
type HandshakeConfig struct {
	Identity *Identity // the static key, and (Identity.Name) the user that we say we are
	Mesh     string    // the name of the mesh: both ends must mean the same, it is not sent
	Keys     *Keyring  // an initiator uses the newest key marked for sending that may speak for its name; nil: none

	// To is, at the initiator, the name of the peer that is dialled, where it is known: a device key that lists both
	// names is then preferred, as HMAC.Seal does.
	To string

	// Invite is, at the initiator, the one-time key of an invite, used instead of Keys. Such a session is always sealed.
	Invite *Key
	// Invites returns, at the responder, the one-time key of an open invite by its id, or nil. It is called with no
	// lock held, with ids that strangers made up, and must not block. Nil: no invites.
	Invites func(kid string) *Key

	CB   string // the link's TLS exporter, see ChannelBinding; "" without TLS
	Boot string // this run of the process: Unix ms of its start in 13 digits, "-", 8 hexadecimal digits
	Max  int    // the greatest JSON text that we take, in bytes; default 4 MiB

	// Protection is the least that is used and accepted. Under Sealed, the default, nothing weaker is; under Signed we
	// sign with whoever accepts that, and accept both.
	Protection Protection

	Transient bool   // tell the other end not to remember this name
	Renews    string // at the initiator: id of the session that this one renews; "" none

	Seen *Hellos          // at the responder: shared by all links of the peer
	Now  func() time.Time // the clock; nil: time.Now
}

// Remote is what a handshake has proven or learned about the other end. ID is proven; what is said to be claimed was
// said by the holder of ID, and could not be changed on the way.
type Remote struct {
	ID        string     // peer id: the hash of the static key that finished this handshake
	User      string     // the name it claims, which the key that the handshake ran under may speak for; whether it is pinned to ID is for the caller to check
	Boot      string     // claimed: its run of its process
	Max       int        // claimed: the greatest JSON text that it takes, at least 1
	Transient bool       // claimed: it is not to be remembered
	Renews    string     // at the responder, claimed: id of the session that this one renews, which the caller must know as one with ID; else ""
	Kid       string     // id of the key that the handshake ran under
	Role      Role       // role of that key's entry; empty, a guest, for an invite's
	Invite    bool       // that key was an invite's one-time key
	Use       Protection // the form of the session
	Refuses   string     // at the responder: why the initiator does not accept us, at most 128 printable ASCII characters; "" when it does
}

// check fills in the defaults and returns what is wrong with a configuration of our own.
func (c *HandshakeConfig) check() error {
	switch {
	case c.Identity == nil:
		return errors.New("security: HandshakeConfig.Identity is nil")
	case !ValidName(c.Mesh):
		return fmt.Errorf("security: HandshakeConfig.Mesh: %w", &NameError{c.Mesh})
	case !validBoot(c.Boot):
		return errors.New("security: HandshakeConfig.Boot is not 13 digits, -, 8 hexadecimal digits")
	case c.Protection > Signed:
		return errors.New("security: HandshakeConfig.Protection is neither Sealed nor Signed")
	case c.Renews != "" && !lowerHex([]byte(c.Renews), sidLen):
		return errors.New("security: HandshakeConfig.Renews is no session's id")
	case c.CB != "" && !validBinding(c.CB):
		return errors.New("security: HandshakeConfig.CB is no base64url")
	}
	if c.Max <= 0 {
		c.Max = defaultMax
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// ring returns the state of the keyring, empty without one.
func (c *HandshakeConfig) ring() *ring {
	if c.Keys == nil {
		return &ring{}
	}
	return c.Keys.load()
}

// stage is how far a handshake has come.
type stage uint8

const (
	unmade   stage = iota // the zero value, and whatever failed: nothing more is possible
	fresh                 // nothing was sent or read
	greeted               // message 1 is through
	answered              // the initiator has read message 2
	finished
)

// handshake is what both ends have in common.
type handshake struct {
	cfg    HandshakeConfig
	stage  stage
	noise  *noise.HandshakeState
	entry  *Entry // of the key that it runs under
	invite bool
	random io.Reader // nil: crypto/rand; tests fix it
}

// start returns a Noise state that runs under the psk of a key.
func (h *handshake) start(kid string, psk []byte, initiator bool) (*noise.HandshakeState, error) {
	private, public := h.cfg.Identity.private.view(), h.cfg.Identity.public
	return noise.NewHandshakeState(noise.Config{
		CipherSuite:   noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256),
		Random:        h.random,
		Pattern:       noise.HandshakeXX,
		Initiator:     initiator,
		Prologue:      prologue(h.cfg.CB, kid, h.cfg.Mesh),
		PresharedKey:  psk,
		StaticKeypair: noise.DHKey{Private: private, Public: public[:]},
	})
}

// prologue is "the rendering of 3.1 up to and including the empty line, with the first line rpc.hello/1 and the fields
// cb (empty when absent), kid, mesh, noise, v".
func prologue(cb, kid, mesh string) []byte {
	b := append(make([]byte, 0, 128), domainHello+"\n"...)
	b = appendField(b, "cb", cb)
	b = appendField(b, "kid", kid)
	b = appendField(b, "mesh", mesh)
	b = appendField(b, "noise", noiseName)
	b = appendField(b, "v", version1)
	return append(b, '\n')
}

// remote returns what is known of the other end once its static key is proven, and g was read from its payload.
func (h *handshake) remote(g *greeting) Remote {
	r := Remote{
		ID: PeerID([32]byte(h.noise.PeerStatic())), Boot: g.Boot, Max: g.max(), Transient: g.Transient, Renews: g.Renews,
		Kid: h.entry.Key.kid, Role: h.entry.Role, Invite: h.invite,
	}
	if ValidName(g.User) {
		r.User = g.User
	}
	return r
}

// objection returns why we do not talk to a proven peer that is otherwise what it says, or "".
func (h *handshake) objection(r *Remote) Reason {
	switch {
	case bytes.Equal(h.noise.PeerStatic(), h.cfg.Identity.public[:]):
		return ReasonSelf // "the static key is not mine": my own frames must not come back as somebody else's
	case r.User == "":
		return ReasonUser
	case h.entry.Users != nil:
		if !h.entry.speaksFor(r.User) {
			return ReasonUser
		}
	case len(h.cfg.ring().byUser[r.User]) > 0: // a group key, or an invite's: it does not speak for a device's name
		return ReasonUser
	}
	return ""
}

// greeting returns our own payload but for accept and use.
func (h *handshake) greeting() greeting {
	return greeting{User: h.cfg.Identity.name, Boot: h.cfg.Boot, Max: int64(h.cfg.Max), Transient: h.cfg.Transient}
}

// strict64 is base64url without padding and without spare bits: one spelling alone for any bytes.
var strict64 = base64.RawURLEncoding.Strict()

// appendMessage appends a Noise message as base64url.
func appendMessage(dst, m []byte) []byte { return strict64.AppendEncode(dst, m) }

// readMessage is the inverse of appendMessage. The decoder by itself skips line breaks.
func readMessage(s string) ([]byte, bool) {
	m, err := strict64.DecodeString(s)
	return m, err == nil && strict64.EncodedLen(len(m)) == len(s)
}

// messageIn returns the Noise message in {"m":"…"}, the params of rpc.auth or the result of rpc.hello. Other members
// are ignored.
func messageIn(object []byte) ([]byte, bool) {
	if len(object) > maxHandshake {
		return nil, false
	}
	var o struct {
		M string `json:"m"`
	}
	if json.Unmarshal(object, &o) != nil {
		return nil, false
	}
	return readMessage(o.M)
}

func validBoot(s string) bool {
	if len(s) != 13+1+8 || s[13] != '-' {
		return false
	}
	for i := range 13 {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return lowerHex([]byte(s[14:]), 8)
}

func validBinding(s string) bool {
	_, ok := readMessage(s)
	return ok && len(s) <= maxValue
}

// randomKey stands in for the psk of an unknown kid: "unknown kid runs with a random psk", so that it takes as long as a
// known one and is refused alike.
func randomKey() []byte {
	b := make([]byte, KeySize)
	rand.Read(b)
	return b
}

// failed is "hello or auth fails before both keys exist": a stranger is not told what was wrong.
func failed(why Reason) *Refusal {
	return &Refusal{Code: api.CodeUnauthenticated, Reason: why, Answer: AnswerUnsigned, Close: true, Failure: true}
}

// objects is "proven, but … refuses".
func objects(why Reason, r *Remote) *Refusal {
	return &Refusal{Code: api.CodeRefused, Reason: why, Answer: AnswerSigned, Close: true, Kid: r.Kid, User: r.User}
}
