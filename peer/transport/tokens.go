package transport

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"sync"
	"time"
)

// Bounds of Tokens.
const (
	MaxTokens = 64               // open at a time
	TokenTTL  = 60 * time.Second // of each
)

// ErrTooManyTokens is returned by Tokens.New when MaxTokens are open.
var ErrTooManyTokens = errors.New("transport: too many tokens for web pages are open; they expire in a minute")

// Tokens lets web pages in: a page of a listed origin may open one WebSocket with a token that its user has given it
// (protocol section 5). A token is of use once, for TokenTTL, and for one origin. Who is handed a token can open a
// connection, no more: what may be done there is a matter of the messages' signatures and the policy.
//
// Tokens is safe for concurrent use. It is shared by all listeners of a peer.
type Tokens struct {
	mu   sync.Mutex
	open map[[sha256.Size]byte]openToken // by hash, so that looking one up tells nothing about another
}

type openToken struct {
	origin  string
	expires time.Time
}

// NewTokens returns Tokens of which none is open.
func NewTokens() *Tokens { return &Tokens{open: map[[sha256.Size]byte]openToken{}} }

// New opens a token for pages of origin. The page offers it as the subprotocol "auth.<token>" beside Subprotocol:
//
//	new WebSocket(url, ["jsonrpc.mesh.v1", "auth." + token])
//
// It returns ErrOrigin for a text that is no origin, and ErrTooManyTokens.
func (t *Tokens) New(origin string, now time.Time) (string, error) {
	if err := checkOrigin(origin); err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for h, o := range t.open {
		if !now.Before(o.expires) {
			delete(t.open, h)
		}
	}
	if len(t.open) >= MaxTokens {
		return "", ErrTooManyTokens
	}
	var b [32]byte
	rand.Read(b[:])
	token := base64.RawURLEncoding.EncodeToString(b[:])
	t.open[sha256.Sum256([]byte(token))] = openToken{origin, now.Add(TokenTTL)}
	return token, nil
}

// take uses a token and reports whether it was of use. One that comes from another origin is used up too: it has got
// into wrong hands.
func (t *Tokens) take(token, origin string, now time.Time) bool {
	h := sha256.Sum256([]byte(token))
	t.mu.Lock()
	defer t.mu.Unlock()
	o, ok := t.open[h]
	delete(t.open, h)
	return ok && o.origin == origin && now.Before(o.expires)
}
