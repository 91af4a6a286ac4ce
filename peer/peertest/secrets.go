package peertest

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"sync"

	"peermesh/security"
)

// Secrets looks for secrets where none may be: in logs, and in whatever else a test gives it. It is an io.Writer for
// that, safe for concurrent use.
type Secrets struct {
	mu    sync.Mutex
	forms map[string][]byte // by what it is
	found map[string]bool
}

// Add has it look for a secret from now on: as it is, in hexadecimal digits, base64 and base32.
func (s *Secrets) Add(what string, secret []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forms == nil {
		s.forms, s.found = map[string][]byte{}, map[string]bool{}
	}
	std, url := base64.RawStdEncoding, base64.RawURLEncoding
	b32 := base32.StdEncoding.WithPadding(base32.NoPadding)
	for form, text := range map[string]string{"raw": string(secret), "hex": hex.EncodeToString(secret), "HEX": fmt.Sprintf("%X", secret),
		"base64": std.EncodeToString(secret), "base64url": url.EncodeToString(secret), "base32": b32.EncodeToString(secret),
		"decimal": fmt.Sprint(secret), "base32 lower": string(bytes.ToLower([]byte(b32.EncodeToString(secret))))} {
		s.forms[what+", "+form] = []byte(text)
	}
}

// AddKey has it look for a mesh's key and everything that is derived of it.
func (s *Secrets) AddKey(k *security.Key) {
	what := "the key " + k.ID()
	root := k.Secret().Bytes()
	s.Add(what, root)
	s.Add("the handshake's key of "+k.ID(), k.NoisePSK().Bytes())
	s.Add("the discovery key of "+k.ID(), k.MDNSKey().Bytes())
	if mac, err := hkdf.Expand(sha256.New, root, "rpc.secinfo/1 hmac", 32); err == nil {
		s.Add("the signing key of "+k.ID(), mac)
	}
}

// Write looks at p. It never fails.
func (s *Secrets) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, form := range s.forms {
		if bytes.Contains(p, form) {
			s.found[what] = true
		}
	}
	return len(p), nil
}

// Found returns what was found, and in which form.
func (s *Secrets) Found() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for what := range s.found {
		list = append(list, what)
	}
	return list
}
