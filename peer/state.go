package peer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"peermesh/security"
)

// openFiles reads what the peer knows of others: pins, open invites, the policy.
func (p *Peer) openFiles() (err error) {
	if p.met, err = security.OpenKnownPeers(""); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	if p.known = p.cfg.KnownPeers; p.known == nil {
		path, err := KnownPeersFile()
		if err != nil {
			path = "" // no home: names are pinned until the process ends
		}
		if p.known, err = security.OpenKnownPeers(path); err != nil {
			return fmt.Errorf("peer: %w", err)
		}
	}
	if p.ownsID && !p.cfg.Throwaway {
		if dir, err := IdentityDir(); err == nil {
			p.invitesPath = filepath.Join(dir, p.id.Name()+".invites")
		}
		if path := p.known.Path(); path != "" {
			_ = os.MkdirAll(filepath.Dir(path), 0o700) // so that it can be watched; the first pin tells what is wrong
		}
	}
	if p.invites, err = security.OpenInvites(p.invitesPath); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	return p.loadPolicy()
}

// loadPolicy reads the policy's file, where the Config names none itself.
func (p *Peer) loadPolicy() error {
	p.rules.Store(p.cfg.Policy)
	if p.cfg.Policy != nil {
		return nil
	}
	path, must := p.policyPath()
	if path == "" {
		return nil
	}
	policy, err := security.ReadPolicyFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !must:
		return nil
	case err != nil:
		return fmt.Errorf("peer: %w", err)
	}
	p.rules.Store(policy)
	return nil
}

// policyPath returns where the policy is read from, and whether it must be there.
func (p *Peer) policyPath() (path string, must bool) {
	if p.cfg.PolicyFile != "" {
		return p.cfg.PolicyFile, true
	}
	path, err := PolicyFile(p.cfg.Mesh)
	if err != nil {
		return "", false
	}
	return path, false
}
