package peertest

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"peermesh/discovery"
	"peermesh/peer"
	"peermesh/security"
)

// Mesh is a mesh in memory.
type Mesh struct {
	Net  *Network
	Keys *security.Keyring // one fresh key, shared by all peers

	// Secrets reads what the peers log, at the level of debugging: a test fails in which a key of the mesh or of a peer
	// is among it.
	Secrets *Secrets

	t  testing.TB
	mu sync.Mutex
	// announced holds who can be found, and feeds who looks.
	announced map[string]discovery.Record
	feeds     map[*discovery.Feed]struct{}
}

// New makes a mesh for a test. Its peers are closed when the test ends.
func New(t testing.TB) *Mesh {
	keys, err := security.NewKeyring(security.Entry{Key: security.NewKey(), Send: true})
	if err != nil {
		t.Fatalf("peertest: %v", err)
	}
	m := &Mesh{Net: NewNetwork(), Keys: keys, Secrets: &Secrets{}, t: t, announced: map[string]discovery.Record{}, feeds: map[*discovery.Feed]struct{}{}}
	m.Secrets.AddKey(keys.Entries()[0].Key)
	t.Cleanup(func() {
		for _, what := range m.Secrets.Found() {
			t.Errorf("peertest: a log holds %s", what)
		}
	})
	return m
}

// Config returns the configuration of a peer of the mesh, on a host of its own name: a throw-away identity, one
// listener, discovery in memory.
func (m *Mesh) Config(name string) peer.Config {
	known, err := security.OpenKnownPeers("") // not the user's
	if err != nil {
		m.t.Fatalf("peertest: %v", err)
	}
	id, err := security.NewIdentity(name)
	if err != nil {
		m.t.Fatalf("peertest: %v", err)
	}
	m.Secrets.Add("the identity of "+name, id.PrivateKey().Bytes())
	log := slog.New(slog.NewTextHandler(m.Secrets, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return peer.Config{Mesh: "test", Identity: id, Logger: log, Name: name, Keys: m.Keys, Throwaway: true, KnownPeers: known, Policy: &security.Policy{}, Listen: []string{"10.99.0.0:0"},
		Network: m.Net.Host(name), NoMDNS: true, NoLocal: true, Discovery: []discovery.Source{&source{mesh: m}}}
}

// Peer makes a peer that has not joined yet; change, if given, changes its configuration.
func (m *Mesh) Peer(name string, change ...func(*peer.Config)) *peer.Peer {
	m.t.Helper()
	cfg := m.Config(name)
	for _, f := range change {
		f(&cfg)
	}
	p, err := peer.New(cfg)
	if err != nil {
		m.t.Fatalf("peertest: %s: %v", name, err)
	}
	m.t.Cleanup(func() {
		if err := p.Close(); err != nil {
			m.t.Errorf("peertest: close %s: %v", name, err)
		}
	})
	return p
}

// Join joins the peers and waits until each of them is linked with all the others.
func (m *Mesh) Join(peers ...*peer.Peer) {
	m.t.Helper()
	var wg sync.WaitGroup
	for _, p := range peers {
		wg.Go(func() {
			if err := p.Join(context.Background()); err != nil {
				m.t.Errorf("peertest: join %s: %v", p.Self().Name, err)
			}
		})
	}
	wg.Wait()
	for _, p := range peers {
		for _, other := range peers {
			if other != p {
				m.Linked(p, other.Self().Name)
			}
		}
	}
}

// patience is how long helpers wait for what must happen.
const patience = 10 * time.Second

// Linked waits until p is linked with the named peers.
func (m *Mesh) Linked(p *peer.Peer, names ...string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	missing := map[string]bool{}
	for _, n := range names {
		missing[n] = true
	}
	for ev := range p.Events(ctx) {
		switch ev.Kind {
		case peer.Joined:
			delete(missing, ev.Peer.Name)
		}
		if len(missing) == 0 {
			return
		}
	}
	m.t.Fatalf("peertest: %s is not linked with %v after %s", p.Self().Name, missing, patience)
}

// Gone waits until p has no link with a peer of that name any more. One that comes back at once may be missed: wait for
// the record of its departure instead.
func (m *Mesh) Gone(p *peer.Peer, name string) {
	m.t.Helper()
	linked := func() bool {
		for i := range p.Peers() {
			if i.Name == name {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(3 * patience); linked(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("peertest: %s is still linked with %s after %s", p.Self().Name, name, 3*patience)
		}
	}
}

// source is discovery in memory: everybody sees everybody at once.
type source struct{ mesh *Mesh }

func (s *source) Name() string                   { return "memory" }
func (s *source) Status() discovery.SourceStatus { return discovery.SourceStatus{} }

func (s *source) Run(ctx context.Context, feed *discovery.Feed) error {
	m := s.mesh
	m.mu.Lock()
	m.feeds[feed] = struct{}{}
	for _, r := range m.announced {
		feed.Report(discovery.Event{Kind: discovery.Joined, Record: r})
	}
	m.mu.Unlock()
	feed.Asked()
	id := ""
	for {
		if self := feed.Self(); self.Announces() {
			id = self.ID
			m.announce(self)
		}
		select {
		case <-feed.SelfChanged():
		case <-feed.Refresh():
		case <-ctx.Done():
			m.mu.Lock()
			delete(m.feeds, feed)
			m.mu.Unlock()
			m.retract(id)
			return nil
		}
	}
}

func (m *Mesh) announce(self discovery.Announcement) {
	r := discovery.Record{ID: self.ID, Name: self.Name, Boot: self.Boot, Source: "memory", Trusted: true}
	for _, a := range self.Addrs {
		r.Addrs = append(r.Addrs, a+":"+strconv.Itoa(self.Port))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.announced[self.ID] = r
	for f := range m.feeds {
		f.Report(discovery.Event{Kind: discovery.Joined, Record: r})
	}
}

func (m *Mesh) retract(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.announced[id]
	if !ok {
		return
	}
	delete(m.announced, id)
	for f := range m.feeds {
		f.Report(discovery.Event{Kind: discovery.Left, Record: r, Reason: discovery.Goodbye})
	}
}
