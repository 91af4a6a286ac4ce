package security

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Errors of identities.
var (
	// ErrIdentityForm is returned for an identity file that is damaged or of another version.
	ErrIdentityForm = errors.New("security: no usable identity file")
	// ErrIdentitiesInUse is returned when a name and all its numbered forms are in use by running processes.
	ErrIdentitiesInUse = errors.New("security: every identity of that name is in use")
)

// maxIdentities bounds how many processes share a name: NAME, NAME-2 … NAME-256.
const maxIdentities = 256

// ShortID is how many characters of a peer id are enough for display. They are never enough for a decision.
const ShortID = 8

var peerIDs = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// PeerID returns the peer id of an X25519 public key: 32 characters a-z 2-7, protocol section 4.
func PeerID(public [32]byte) string {
	h := sha256.New()
	h.Write([]byte("rpc.peerid/1"))
	h.Write(public[:])
	return peerIDs.EncodeToString(h.Sum(nil)[:20])
}

func validPeerID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// Identity is what makes a process the same peer each time it runs: a name and an X25519 key, whose hash is the peer
// id. It is safe for concurrent use, and prints as name and short id.
type Identity struct {
	name    string
	id      string
	public  [32]byte
	private Secret

	mu   sync.Mutex
	file *os.File // holds the lock; nil for an identity in memory, and after Close
}

// NewIdentity makes a throw-away identity that lives in memory alone. It returns a *NameError when name is none.
func NewIdentity(name string) (*Identity, error) {
	if !ValidName(name) {
		return nil, &NameError{name}
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("security: make an identity: %w", err)
	}
	return identityOf(name, key), nil
}

// OpenIdentity opens the identity NAME.id in dir and locks it until Close or the process's end. The file, and dir, are
// made on first use, readable by the user alone. While another process (or this one) has it open, the caller gets
// NAME-2 with a key of its own, then NAME-3, and so on; Name says which.
//
// It returns a *NameError when name is none, ErrInsecureFile for files and folders that others could read or change,
// ErrIdentityForm for a damaged file, and ErrIdentitiesInUse beyond 256.
func OpenIdentity(dir, name string) (*Identity, error) {
	if !ValidName(name) {
		return nil, &NameError{name}
	}
	if err := ensureDir(dir); err != nil {
		return nil, err
	}
	for n := range maxIdentities {
		numbered := name
		if n > 0 {
			suffix := "-" + strconv.Itoa(n+1)
			numbered = name[:min(len(name), MaxName-len(suffix))] + suffix
		}
		path := filepath.Join(dir, numbered+".id")
		f, err := openLocked(path)
		if errors.Is(err, errInUse) {
			continue
		}
		if err != nil {
			return nil, err
		}
		key, err := loadIdentity(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
		}
		id := identityOf(numbered, key)
		id.file = f
		return id, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrIdentitiesInUse, name)
}

func identityOf(name string, key *ecdh.PrivateKey) *Identity {
	id := &Identity{name: name, public: [32]byte(key.PublicKey().Bytes())}
	id.id = PeerID(id.public)
	id.private = newSecret("identity="+id.id[:ShortID], key.Bytes())
	return id
}

// Name returns the name, which is not the one asked for when that was in use.
func (i *Identity) Name() string { return i.name }

// ID returns the peer id.
func (i *Identity) ID() string { return i.id }

// PublicKey returns the X25519 public key.
func (i *Identity) PublicKey() [32]byte { return i.public }

// PrivateKey returns the X25519 private key.
func (i *Identity) PrivateKey() Secret { return i.private }

// String returns the name and the short id.
func (i *Identity) String() string { return i.name + " (" + i.id[:ShortID] + ")" }

// Close lets go of the lock. The identity in memory stays usable; closing it again does nothing.
func (i *Identity) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.file == nil {
		return nil
	}
	f := i.file
	i.file = nil
	return f.Close()
}

const (
	identityVersion = "peermesh-identity 1"
	identityKey     = "x25519="
	identityHead    = `# The identity of one peer of a mesh. Whoever reads this file can pose as that peer: keep it to yourself (mode 0600).
# It is made on first use and never changes; without it the peer is a stranger to those who know it.
`
)

// loadIdentity reads the identity in f, which the caller has locked, and makes one when f is empty: a file that was
// just made, or one whose maker died before it wrote.
func loadIdentity(f *os.File) (*ecdh.PrivateKey, error) {
	data, err := readAll(f, 4096)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	if len(data) > 0 {
		return parseIdentity(data)
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	text := []byte(identityHead + identityVersion + "\n" + identityKey + hex.EncodeToString(key.Bytes()) + "\n")
	defer clear(text)
	if _, err := f.WriteAt(text, 0); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return key, syncDir(filepath.Dir(f.Name()))
}

func parseIdentity(data []byte) (*ecdh.PrivateKey, error) {
	var lines []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 || lines[0] != identityVersion {
		return nil, fmt.Errorf("%w: the first line is not %q", ErrIdentityForm, identityVersion)
	}
	if len(lines) != 2 || len(lines[1]) != len(identityKey)+64 || !strings.HasPrefix(lines[1], identityKey) {
		return nil, fmt.Errorf("%w: the second line is not %s and 64 hexadecimal digits", ErrIdentityForm, identityKey)
	}
	raw, err := hex.DecodeString(lines[1][len(identityKey):])
	if err != nil || bytes.Count(raw, []byte{0}) == len(raw) {
		return nil, fmt.Errorf("%w: the second line holds no key", ErrIdentityForm)
	}
	key, err := ecdh.X25519().NewPrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: the second line holds no key", ErrIdentityForm)
	}
	return key, nil
}
