package security

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// Errors of reading an invite. None of them quotes it: it is a secret.
var (
	// ErrInviteForm is returned for a text that is no invite.
	ErrInviteForm = errors.New("security: an invite begins with " + invitePrefix)
	// ErrInviteTruncated is returned for an invite of which the end is missing.
	ErrInviteTruncated = errors.New("security: the invite is cut short; copy all of it")
	// ErrInviteDamaged is returned for an invite that was changed on the way, or is of another version.
	ErrInviteDamaged = errors.New("security: the invite is damaged: one of its characters is wrong")
	// ErrInviteAddress is returned for an invite whose address, behind the @, is none.
	ErrInviteAddress = errors.New("security: the address of the invite is neither host:port nor a URL")
)

// MaxInviteTTL is the longest time that an invite can be valid.
const MaxInviteTTL = 30 * 24 * time.Hour

const (
	invitePrefix  = "pmi1"
	inviteVersion = 1
	inviteFixed   = 1 + 4 + KeySize + 20 + 1 // up to and including the length of the mesh's name
	inviteSum     = 4
	maxInviteAddr = 255
)

// Invite lets one peer into a mesh once: who holds it makes the session handshake with the inviter under its one-time
// key and is given the mesh's keys (protocol section 4). Its Code is the secret that is handed over. However else it is
// printed, logged or marshalled, what comes out is a label such as "[invite to lab, kid=cf6785d9]".
type Invite struct {
	Mesh    string
	Inviter string    // peer id: the one to whom it is shown, and nobody else
	Expires time.Time // first moment at which it is of no use, in whole seconds
	Key     *Key      // the one-time key
	Address string    // where the inviter is, host:port or a URL; may be empty. A hint, under no checksum.
}

// NewInvite makes an invite with a key of its own. ttl, from a second to MaxInviteTTL, is rounded up to whole seconds.
// It returns *NameError or ErrPeerID for a mesh or an inviter that is none, and an error for another ttl.
func NewInvite(mesh, inviter string, ttl time.Duration, now time.Time) (Invite, error) {
	switch {
	case !ValidName(mesh):
		return Invite{}, &NameError{mesh}
	case !validPeerID(inviter):
		return Invite{}, fmt.Errorf("%w: %q", ErrPeerID, inviter)
	case ttl < time.Second || ttl > MaxInviteTTL:
		return Invite{}, fmt.Errorf("security: an invite for %s: say 1 s to %s", ttl, MaxInviteTTL)
	}
	expires := now.Add(ttl + time.Second - 1).Truncate(time.Second).UTC()
	if s := expires.Unix(); s < 0 || s > math.MaxUint32 {
		return Invite{}, errors.New("security: an invite ends before the year 2106")
	}
	return Invite{Mesh: mesh, Inviter: inviter, Expires: expires, Key: NewKey()}, nil
}

// ParseInvite reads what Code returns; white space around it is ignored. It returns ErrInviteForm, ErrInviteTruncated,
// ErrInviteDamaged or ErrInviteAddress. An invite that has expired is read as well: see Expired.
func ParseInvite(text string) (Invite, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(text), invitePrefix)
	if !ok {
		return Invite{}, ErrInviteForm
	}
	code, address, addressed := strings.Cut(text, "@")
	raw, err := decodeInvite(code)
	if err != nil {
		return Invite{}, err
	}
	defer clear(raw)
	if addressed && !inviteAddress(address) {
		return Invite{}, ErrInviteAddress
	}
	key, err := KeyFrom(raw[5:][:KeySize])
	if err != nil {
		return Invite{}, ErrInviteDamaged
	}
	return Invite{
		Mesh:    string(raw[inviteFixed : len(raw)-inviteSum]),
		Inviter: peerIDs.EncodeToString(raw[5+KeySize:][:20]),
		Expires: time.Unix(int64(binary.BigEndian.Uint32(raw[1:])), 0).UTC(),
		Key:     key,
		Address: address,
	}, nil
}

// decodeInvite returns the bytes of an invite whose lengths, mesh and checksum are right.
func decodeInvite(code string) ([]byte, error) {
	for i := range len(code) {
		if c := code[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return nil, ErrInviteDamaged
		}
	}
	whole := len(code) * 5 / 8
	if whole < inviteFixed {
		return nil, ErrInviteTruncated
	}
	raw := make([]byte, whole)
	_, err := peerIDs.Decode(raw, []byte(code)[:(whole*8+4)/5])
	if raw[0] != inviteVersion {
		return nil, ErrInviteDamaged
	}
	switch want := inviteFixed + int(raw[inviteFixed-1]) + inviteSum; {
	case whole < want:
		return nil, ErrInviteTruncated
	case err != nil, whole > want, peerIDs.EncodeToString(raw) != code: // the last character has bits to spare
		return nil, ErrInviteDamaged
	}
	body := raw[:whole-inviteSum]
	if sum := inviteChecksum(body); string(sum[:]) != string(raw[len(body):]) || !ValidName(body[inviteFixed:]) {
		return nil, ErrInviteDamaged
	}
	return raw, nil
}

// inviteChecksum finds mistakes of copying. It protects nothing: the handshake does.
func inviteChecksum(body []byte) [inviteSum]byte {
	h := sha256.New()
	h.Write([]byte("rpc.invite/1"))
	h.Write(body)
	return [inviteSum]byte(h.Sum(nil)[:inviteSum])
}

// inviteAddress reports whether s may stand behind the @ of an invite. What can be dialled, the dialler knows.
func inviteAddress(s string) bool {
	if len(s) > maxInviteAddr {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c >= 0x7f {
			return false
		}
	}
	if _, rest, ok := strings.Cut(s, "://"); ok {
		return rest != ""
	}
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

// Code returns the invite as the text that is handed over: the secret itself. It is empty for an Invite that neither
// NewInvite nor ParseInvite has made and that lacks something.
func (i Invite) Code() string {
	var id [20]byte
	n, err := peerIDs.Decode(id[:], []byte(i.Inviter))
	s := i.Expires.Unix()
	if err != nil || n != len(id) || i.Key == nil || !ValidName(i.Mesh) || s < 0 || s > math.MaxUint32 {
		return ""
	}
	b := append(make([]byte, 0, inviteFixed+MaxName+inviteSum), inviteVersion)
	defer func() { clear(b) }()
	b = binary.BigEndian.AppendUint32(b, uint32(s))
	b = append(b, i.Key.root.view()...)
	b = append(b, id[:]...)
	b = append(b, byte(len(i.Mesh)))
	b = append(b, i.Mesh...)
	sum := inviteChecksum(b)
	b = append(b, sum[:]...)
	code := invitePrefix + peerIDs.EncodeToString(b)
	if i.Address != "" {
		code += "@" + i.Address
	}
	return code
}

// Expired reports whether the invite is of no use any more at now.
func (i Invite) Expired(now time.Time) bool { return !now.Before(i.Expires) }

// String returns a label without the secret: "[invite to lab, kid=cf6785d9]".
func (i Invite) String() string {
	if i.Key == nil {
		return "[no invite]"
	}
	return "[invite to " + i.Mesh + ", kid=" + i.Key.kid + "]"
}

// GoString is String, for %#v.
func (i Invite) GoString() string { return i.String() }

// Format writes String whatever the verb and flags are.
func (i Invite) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, i.String()) }

// MarshalText returns String; the secret leaves through Code alone.
func (i Invite) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// MarshalJSON returns String as a JSON string.
func (i Invite) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, i.String()), nil }

// LogValue returns String to log/slog.
func (i Invite) LogValue() slog.Value { return slog.StringValue(i.String()) }

var (
	_ fmt.Formatter  = Invite{}
	_ fmt.GoStringer = Invite{}
	_ slog.LogValuer = Invite{}
)
