package peer_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

func refusedPair(t *testing.T, mesh *peertest.Mesh, a, b *peer.Peer, atA, atB string) {
	t.Helper()
	ha, hb := watchEvents(t, a), watchEvents(t, b)
	for _, p := range []*peer.Peer{a, b} {
		if err := p.Join(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	said := func(h *history, want string) bool {
		return slices.ContainsFunc(h.events(), func(e string) bool { return strings.HasPrefix(e, "refused") && strings.Contains(e, want) })
	}
	if !eventually(func() bool { return said(ha, atA) && said(hb, atB) }) {
		t.Fatalf("%s: %q, want %q; %s: %q, want %q", a.Self().Name, ha.events(), atA, b.Self().Name, hb.events(), atB)
	}
	for _, h := range []*history{ha, hb} {
		for _, e := range h.events() {
			if strings.HasPrefix(e, "joined") {
				t.Errorf("somebody joined: %q", e)
			}
		}
	}
}

// TestPinnedName: a second id under a name that is pinned is refused, whoever dials, and both sides say so.
func TestPinnedName(t *testing.T) {
	t.Parallel()
	other := strings.Repeat("a", 32)
	for _, dials := range []string{"alice", "bob"} {
		t.Run(dials+" dials", func(t *testing.T) {
			t.Parallel()
			mesh := peertest.New(t)
			known, err := security.OpenKnownPeers(filepath.Join(t.TempDir(), "known_peers"))
			if err != nil {
				t.Fatal(err)
			}
			if err := known.Pin("test", "bob", other, ""); err != nil {
				t.Fatal(err)
			}
			listens := func(name string) func(*peer.Config) {
				return func(c *peer.Config) {
					if name == dials {
						c.Listen = []string{}
					}
				}
			}
			alice := mesh.Peer("alice", listens("alice"), func(c *peer.Config) { c.KnownPeers = known })
			bob := mesh.Peer("bob", listens("bob"))
			refusedPair(t, mesh, alice, bob, "the name bob belongs to the peer aaaaaaaa", "the name bob belongs to the peer aaaaaaaa")
		})
	}
}

// TestFirstUsePins: the first peer of a name has it, on disk; another id is refused afterwards, also by other means.
func TestFirstUsePins(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "known_peers")
	known, err := security.OpenKnownPeers(file)
	if err != nil {
		t.Fatal(err)
	}
	p, keys := sessionPeer(t, func(c *peer.Config) {
		c.KnownPeers, c.Throwaway, c.Identity, c.Accept = known, false, identity(t, "server"), security.AcceptHMAC
	})
	try := func(id *security.Identity) error {
		cfg := handshakeOf(id, keys)
		cfg.Transient = false
		_, err := shake(dialClient(t, p.Self().Address, codec.NUL), cfg)
		return err
	}
	alice := identity(t, "alice")
	if err := try(alice); err != nil {
		t.Fatal(err)
	}
	if err := try(alice); err != nil {
		t.Errorf("again: %v", err)
	}
	again, err := security.OpenKnownPeers(file)
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := again.Pinned("test", "alice"); !ok || id != alice.ID() {
		t.Errorf("alice is pinned to %q", id)
	}
	var refused *api.Error
	if err := try(identity(t, "alice")); !errors.As(err, &refused) || refused.Code != api.CodeRefused || !strings.Contains(string(refused.Data), "the name alice belongs to") {
		t.Errorf("another alice: %v", err)
	}
	// A name that is pinned cannot be borrowed with the group key either.
	s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "alice", keys)
	s.send(s.pair("server", getData)...)
	if got := s.answer(); !strings.HasPrefix(got, `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32042,`) {
		t.Errorf("a single message as alice: %s", got)
	}
	// Nor can the id in a plain hello.
	s = newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "mallory", keys)
	s.send(s.pair("server", fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"rpc.hello","params":{"v":"1","id":%q,"name":"mallory","boot":%q}}`, alice.ID(), clientBoot))...)
	if got := s.answer(); !strings.HasPrefix(got, `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32042,`) {
		t.Errorf("alice's id: %s", got)
	}
}

// TestSelf: a peer does not talk to its own key, whatever the name.
func TestSelf(t *testing.T) {
	t.Parallel()
	id := identity(t, "server")
	p, keys := sessionPeer(t, func(c *peer.Config) { c.Identity = id })
	_, err := shake(dialClient(t, p.Self().Address, codec.NUL), handshakeOf(id, keys))
	if err == nil {
		t.Fatal("the handshake with one's own key succeeded")
	}
	// Its own name with another key neither.
	_, err = shake(dialClient(t, p.Self().Address, codec.NUL), handshakeOf(identity(t, "server"), keys))
	if api.CodeOf(err) != api.CodeRefused {
		t.Errorf("its own name: %v", err)
	}
}

// TestRevoked: a link to a peer that is revoked is cut within a second, and it does not come back.
func TestRevoked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "known_peers")
	known, err := security.OpenKnownPeers(file)
	if err != nil {
		t.Fatal(err)
	}
	mesh := peertest.New(t)
	a := mesh.Peer("a", func(c *peer.Config) { c.KnownPeers, c.Throwaway, c.Identity = known, false, identity(t, "a") })
	b := mesh.Peer("b", func(c *peer.Config) { c.Throwaway, c.Identity = false, identity(t, "b") })
	mesh.Join(a, b)
	ha, hb := watchEvents(t, a), watchEvents(t, b)
	if !eventually(func() bool {
		return slices.Contains(ha.events(), "joined b") && slices.Contains(hb.events(), "joined a")
	}) {
		t.Fatalf("%q, %q", ha.events(), hb.events())
	}
	// Another process of the same user revokes it.
	other, err := security.OpenKnownPeers(file)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if _, err := other.Revoke("test", "b"); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return slices.Contains(ha.events(), "left b revoked") }) {
		t.Fatalf("%q", ha.events())
	}
	if d := time.Since(started); d > time.Second {
		t.Errorf("the link was cut after %s", d)
	} else {
		t.Logf("cut after %s", d)
	}
	if !eventually(func() bool {
		return slices.ContainsFunc(hb.events(), func(e string) bool {
			return strings.Contains(e, "refused: it is revoked") || strings.Contains(e, "refuses us: it is revoked")
		})
	}) {
		t.Errorf("b does not learn why: %q", hb.events())
	}
}
