package peer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"path/filepath"

	"peermesh/discovery/local"
	"peermesh/security"
)

// Two programs of one user on one machine can prove to each other that they are that: they share a file that nobody else
// can read. It makes no difference for what may be called, but such a program may see everything in a tap.

// userKey returns the secret that the user's programs on this machine share; nil where there can be no such file.
func (p *Peer) userKey() *security.Key {
	if p.cfg.NoLocal {
		return nil
	}
	dir := p.cfg.RuntimeDir
	if dir == "" {
		dir = local.DefaultDir()
	}
	if local.EnsureDir(dir) != nil {
		return nil
	}
	path := filepath.Join(dir, "user.key")
	entries, err := security.ReadKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = security.CreateKeyFile(path, []security.Entry{{Key: security.NewKey()}})
		if err == nil || errors.Is(err, fs.ErrExist) {
			entries, err = security.ReadKeyFile(path)
		}
	}
	if err != nil || len(entries) == 0 {
		p.log.Debug("programs of the same user are not recognized", "error", err)
		return nil
	}
	return entries[0].Key
}

// userProof is what only the user's programs can say in a session: from is the id of the one that says it.
func (p *Peer) userProof(session, from string) string {
	key := p.userKey()
	if key == nil {
		return ""
	}
	mac := hmac.New(sha256.New, key.Secret().Bytes())
	mac.Write([]byte("rpc.tap/1 " + session + " " + from))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// sameUser proves to a peer that we are a program of this user; "" where that cannot be.
func (p *Peer) sameUser(id string) string {
	p.mu.Lock()
	l := p.byID[id]
	p.mu.Unlock()
	if l == nil || l.session == nil {
		return ""
	}
	return p.userProof(l.session.ID(), p.id.ID())
}

// provesSameUser checks the other end's proof.
func (p *Peer) provesSameUser(s *security.Session, proof string) bool {
	if proof == "" {
		return false
	}
	want := p.userProof(s.ID(), s.Remote().ID)
	return want != "" && hmac.Equal([]byte(want), []byte(proof))
}
