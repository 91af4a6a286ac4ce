package page

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"peermesh/api"
	"peermesh/peer"
	"peermesh/peer/tap"
)

// maxDocuments is how many different documents are kept.
const maxDocuments = 200

// catalog holds what the peers say of themselves. Those that bind the same APIs are asked once.
type catalog struct {
	mu     sync.Mutex
	n      uint64
	docs   map[string]*document // by what is bound
	peers  map[string]string    // which of them, by the peer's name
	secret *tap.Redactor
}

type document struct {
	raw    json.RawMessage
	parsed api.Document
}

func newCatalog() *catalog {
	return &catalog{n: 1, docs: map[string]*document{}, peers: map[string]string{}, secret: tap.NewRedactor()}
}

func (c *catalog) version() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// redactor knows what these documents call secret.
func (c *catalog) redactor() *tap.Redactor {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.secret
}

// key says what a peer binds; empty: nothing.
func key(p *peer.Status) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.APIs)) {
		fmt.Fprintf(&b, "%s %s %s;", name, p.APIs[name].Side, p.APIs[name].Hash)
	}
	return b.String()
}

// update asks peers that bind what is not known yet, and forgets what nobody binds any more.
func (c *catalog) update(ctx context.Context, m Mesh, mesh *peer.MeshStatus) {
	peers, docs := map[string]string{}, map[string]*document{}
	c.mu.Lock()
	known, before := c.docs, c.peers
	c.mu.Unlock()
	changed := false
	for i := range mesh.Peers {
		p := &mesh.Peers[i]
		k := key(p)
		if k == "" {
			continue
		}
		if docs[k] == nil {
			docs[k] = known[k]
		}
		if docs[k] == nil && len(docs) <= maxDocuments {
			if docs[k] = describe(ctx, m, p); docs[k] != nil {
				changed = true
			}
		}
		if docs[k] == nil {
			delete(docs, k) // the next peer that binds this is asked
			continue
		}
		peers[p.Name] = k
	}
	if !changed && maps.Equal(peers, before) {
		return
	}
	var all []api.Document
	for _, d := range docs {
		all = append(all, d.parsed)
	}
	secret := tap.NewRedactor(all...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	c.docs, c.peers, c.secret = docs, peers, secret
}

// describe asks a peer for its document; nil when it does not answer with one.
func describe(ctx context.Context, m Mesh, p *peer.Status) *document {
	name := p.ID
	if p.Self {
		name = ""
	} else if name == "" {
		name = p.Name
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	raw, err := m.Describe(ctx, name)
	if err != nil {
		return nil
	}
	d, err := api.Parse(raw)
	if err != nil {
		return nil
	}
	return &document{raw, d}
}

// text returns all documents as JSON.
func (c *catalog) text() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	docs := map[string]json.RawMessage{}
	for k, d := range c.docs {
		docs[k] = d.raw
	}
	return json.Marshal(map[string]any{"version": c.n, "docs": docs, "peers": c.peers})
}

// method returns what a peer says of a method that it handles; nil when it does not say.
func (c *catalog) method(who, method string) (api.Document, *api.DocumentMethod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.docs[c.peers[who]]
	if d == nil {
		return api.Document{}, nil
	}
	m, incoming := d.parsed.Find(method)
	if !incoming {
		return api.Document{}, nil
	}
	return d.parsed, m
}
