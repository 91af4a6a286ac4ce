package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"peermesh/api"
	"peermesh/peer"
)

// session is how a command uses the mesh: through a running peer of this user, or as a peer of its own that lives as
// long as the command.
type session struct {
	app  *app
	ctl  *peer.Control
	own  *peer.Peer // nil when a running peer is used
	docs docCache
	wg   sync.WaitGroup
}

// docCache holds what peers said of themselves, by what they bind.
type docCache map[string]api.Document

// connect opens a session: through the running peer that runs for longest (or bears --name), unless --peer says whom
// to dial; else as a peer of its own. What is to be called is not called through a peer that serves one of these
// methods itself, because nobody calls himself.
func (a *app) connect(ctx context.Context, methods ...string) (*session, error) {
	s := &session{app: a, docs: docCache{}}
	if len(a.flags.peers) > 0 {
		return s, s.join(ctx)
	}
	all, err := peer.Controls(ctx, "", a.flags.mesh, a.flags.name)
	if err != nil && !errors.Is(err, peer.ErrNoControl) {
		return nil, err
	}
	for _, c := range all {
		if s.ctl == nil && !servesAny(ctx, c, methods) {
			s.ctl = c
			continue
		}
		_ = c.Close() // one is enough
	}
	if s.ctl != nil {
		return s, nil
	}
	return s, s.join(ctx)
}

// servesAny reports whether the running peer itself handles one of the methods.
func servesAny(ctx context.Context, c *peer.Control, methods []string) bool {
	if len(methods) == 0 {
		return false
	}
	raw, err := c.Describe(ctx, "")
	if err != nil {
		return false
	}
	doc, err := api.Parse(raw)
	return err == nil && slices.ContainsFunc(methods, func(name string) bool {
		m, incoming := doc.Find(name)
		return m != nil && incoming
	})
}

// join makes a peer of the command's own, with an id that nobody will see again.
func (s *session) join(ctx context.Context) error {
	a := s.app
	base := a.flags.name
	if base == "" {
		base = peer.HostName()
	}
	var r [2]byte
	_, _ = rand.Read(r[:]) // it never fails
	p, err := peer.New(a.peerConfig(peer.Config{Name: base + "-" + hex.EncodeToString(r[:]), Throwaway: true, Listen: []string{},
		HearAll: true, Settle: a.flags.wait}))
	if err != nil {
		return err
	}
	if err := p.Join(ctx); err != nil {
		return errors.Join(err, p.Close())
	}
	mine, theirs := net.Pipe()
	s.wg.Go(func() { p.ServeControl(context.Background(), theirs) })
	s.own, s.ctl = p, peer.NewControl(mine)
	return nil
}

// peerConfig fills a peer's configuration from the global flags.
func (a *app) peerConfig(cfg peer.Config) peer.Config {
	cfg.Mesh, cfg.KeyFile = a.flags.mesh, a.flags.keyFile
	if cfg.Name == "" {
		cfg.Name = a.flags.name
	}
	cfg.Peers, cfg.Interfaces = a.flags.peers, a.flags.ifaces
	cfg.NoMDNS, cfg.NoLocal = a.flags.noMDNS, a.flags.noLocal
	cfg.Version = "peerctl/" + version
	cfg.Logger = a.logger()
	return cfg
}

func (s *session) close() {
	_ = s.ctl.Close() // the session is over either way
	if s.own != nil {
		_ = s.own.Close()
	}
	s.wg.Wait()
}

// poll is how often a session looks whether whom it needs is there.
const poll = 20 * time.Millisecond

// await returns the mesh once enough holds for it, or as it is when --wait is over.
func (s *session) await(ctx context.Context, enough func(*peer.MeshStatus) bool) (*peer.MeshStatus, error) {
	deadline := time.Now().Add(s.app.flags.wait)
	for {
		m, err := s.ctl.Peers(ctx)
		if err != nil || enough(m) || time.Now().After(deadline) {
			return m, err
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// provider is a peer that handles a method.
type provider struct {
	peer   peer.Status
	doc    api.Document
	method *api.DocumentMethod
}

// document returns what a peer lets us call. Peers that bind the same APIs are asked once.
func (s *session) document(ctx context.Context, p *peer.Status) (api.Document, error) {
	var key strings.Builder
	for _, name := range sortedKeys(p.APIs) {
		fmt.Fprintf(&key, "%s %s %s;", name, p.APIs[name].Side, p.APIs[name].Hash)
	}
	if d, ok := s.docs[key.String()]; ok {
		return d, nil
	}
	name := p.ID
	if p.Self {
		name = ""
	} else if name == "" {
		name = p.Name
	}
	raw, err := s.ctl.Describe(ctx, name)
	if err != nil {
		return api.Document{}, err
	}
	d, err := api.Parse(raw)
	if err != nil {
		return api.Document{}, fmt.Errorf("what %s says of itself: %w", p.Name, err)
	}
	s.docs[key.String()] = d
	return d, nil
}

// apiOf returns the API's name within a method's.
func apiOf(method string) string {
	if i := strings.LastIndexByte(method, '.'); i >= 0 {
		return method[:i]
	}
	return ""
}

// providers returns the peers that handle a method, and all other names of methods that were seen.
func (s *session) providers(ctx context.Context, m *peer.MeshStatus, method string) (found []provider, names []string) {
	for i := range m.Peers {
		p := &m.Peers[i]
		if p.Self || len(p.APIs) == 0 {
			continue
		}
		d, err := s.document(ctx, p)
		if err != nil {
			s.app.logger().Info("describe", "peer", p.Name, "error", err)
			continue
		}
		if dm, incoming := d.Find(method); dm != nil && incoming {
			found = append(found, provider{*p, d, dm})
		}
		for _, dm := range d.Methods {
			names = append(names, dm.Name)
		}
	}
	slices.Sort(names)
	return found, slices.Compact(names)
}

// find waits for somebody who handles a method; of the named ones, for all of them.
func (s *session) find(ctx context.Context, method string, to []string) ([]provider, *peer.MeshStatus, error) {
	var found []provider
	var names []string
	m, err := s.await(ctx, func(m *peer.MeshStatus) bool {
		for _, name := range to {
			if lookupPeer(m, name) == nil {
				return false
			}
		}
		if !slices.ContainsFunc(m.Peers, func(p peer.Status) bool { _, ok := p.APIs[apiOf(method)]; return ok && !p.Self }) {
			return false
		}
		found, names = s.providers(ctx, m, method)
		return len(found) > 0
	})
	if err != nil {
		return nil, nil, err
	}
	if len(found) == 0 {
		if found, names = s.providers(ctx, m, method); len(found) == 0 && len(to) == 0 {
			hint := didYouMean(method, names)
			if len(m.Peers) <= 1 {
				hint = fmt.Sprintf("; nobody else is in the mesh %q (peerctl doctor)", m.Mesh)
			}
			return nil, m, notFound("no peer serves %s%s", method, hint)
		}
	}
	return found, m, nil
}

// lookupPeer finds a peer by name or id.
func lookupPeer(m *peer.MeshStatus, name string) *peer.Status {
	for i := range m.Peers {
		if p := &m.Peers[i]; p.Name == name || p.ID != "" && p.ID == name {
			return p
		}
	}
	return nil
}

// splitNames takes repeated flags whose values may be lists.
func splitNames(values []string) []string {
	var names []string
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func peerNames(m *peer.MeshStatus) (names []string) {
	for _, p := range m.Peers {
		if !p.Self {
			names = append(names, p.Name)
		}
	}
	return names
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// asError makes an error of a failed call.
func asError(f *peer.CallFailure, who, method string) error {
	e := &exitError{code: exitFailure, peer: who, method: method, err: errors.New(f.Message)}
	switch {
	case f.Remote:
		remote := &api.Error{Code: f.Code, Message: f.Message, Data: f.Data}
		e.err = fmt.Errorf("%s answered: %w", who, remote)
		e.code = exitCode(remote)
	case f.Timeout:
		e.code, e.err = exitTimeout, fmt.Errorf("%s: no answer in time", who)
	case strings.HasPrefix(f.Message, api.ErrNotSent.Error()) && strings.Contains(f.Message, api.ErrUnknownPeer.Error()):
		e.code = exitNotFound
	}
	return e
}
