package peer_test

import (
	"encoding/json"
	"errors"
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

// TestInvite: a code is exchanged for the key, once; afterwards the newcomer is a member of the role it was given.
func TestInvite(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	host := mesh.Peer("host", func(c *peer.Config) { c.Listen, c.Network, c.Discovery = []string{"127.0.0.1:0"}, nil, nil })
	events := watchEvents(t, host)
	ring := host.Tap()
	if err := host.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	inv, err := host.Invite("admin", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if inv, err = security.ParseInvite(inv.Code()); err != nil {
		t.Fatal(err)
	}
	newcomer := identity(t, "newcomer")
	enroll := func(inv security.Invite, id *security.Identity) (*peer.Enrolment, error) {
		known, err := security.OpenKnownPeers("")
		if err != nil {
			t.Fatal(err)
		}
		return peer.Enroll(t.Context(), peer.Config{Identity: id, KnownPeers: known, Throwaway: true, Policy: &security.Policy{}}, inv)
	}
	e, err := enroll(inv, newcomer)
	if err != nil {
		t.Fatal(err)
	}
	if e.Mesh != "test" || e.Role != security.RoleAdmin || len(e.Keys) != 1 || !e.Keys[0].Equal(mesh.Keys.Entries()[0].Key) || e.Inviter.ID != host.Self().ID {
		t.Errorf("%+v", e)
	}
	if !eventually(func() bool { return slices.Contains(events.events(), "enrolled newcomer") }) {
		t.Errorf("%q", events.events())
	}
	var remote *api.Error
	if _, err := enroll(inv, identity(t, "second")); !errors.As(err, &remote) {
		t.Errorf("used twice: %v", err)
	}
	// It joins with the key, and the host knows what it is.
	keys, err := security.NewKeyring(security.Entry{Key: e.Keys[0], Send: true})
	if err != nil {
		t.Fatal(err)
	}
	p := dialling(mesh, "newcomer", host.Self().Address, func(c *peer.Config) { c.Keys, c.Identity = keys, newcomer })
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	mesh.Linked(host, "newcomer")
	for i := range host.Peers() {
		if i.Role != api.RoleAdmin {
			t.Errorf("%s is %s", i.Name, i.Role)
		}
	}
	key := mesh.Keys.Entries()[0].Key.Export()
	follower := ring.Follow(true)
	defer follower.Close()
	seen, texts, _ := follower.Read(nil, nil, 1000)
	if len(seen) < 4 {
		t.Errorf("the sniffer has %d events", len(seen))
	}
	for i, text := range texts {
		if strings.Contains(string(text), key) {
			t.Errorf("event %d of the sniffer holds the key: %s", seen[i].N, text)
		}
	}

	// What an invite does not do.
	inv, err = host.Invite("", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	wrong := inv
	wrong.Inviter = strings.Repeat("a", 32)
	if _, err := enroll(wrong, identity(t, "third")); err == nil {
		t.Error("another peer than the inviter was believed")
	}
	cfg := handshakeOf(identity(t, "fourth"), &security.Keyring{})
	cfg.Invite = inv.Key
	m, err := shake(dialClient(t, host.Self().Address, codec.NUL), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"rpc.ping", "rpc.discover", "rpc.peers", "get_data"} {
		got, err := m.call(`{"jsonrpc":"2.0","id":1,"method":"` + method + `"}`)
		if err != nil || !strings.Contains(got, "-32601") {
			t.Errorf("%s by invite: %s, %v", method, got, err)
		}
	}
	got, err := m.call(`{"jsonrpc":"2.0","id":2,"method":"rpc.enroll"}`)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Result struct{ Mesh, Role string }
	}
	if json.Unmarshal([]byte(got), &answer) != nil || answer.Result.Mesh != "test" || answer.Result.Role != "member" {
		t.Errorf("rpc.enroll: %s", got)
	}
	m.closed()
	// A name that belongs to somebody else does not spend it.
	if inv, err = host.Invite("", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := enroll(inv, identity(t, "newcomer")); api.CodeOf(err) != api.CodeRefused {
		t.Errorf("a pinned name: %v", err)
	}
	if _, err := enroll(inv, identity(t, "fifth")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestEnrollByMember: rpc.enroll is for invites alone.
func TestEnrollByMember(t *testing.T) {
	t.Parallel()
	p, keys := sessionPeer(t)
	m, err := shake(dialClient(t, p.Self().Address, codec.NUL), handshakeOf(identity(t, "client"), keys))
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.call(`{"jsonrpc":"2.0","id":1,"method":"rpc.enroll"}`)
	if err != nil || !strings.Contains(got, "-32601") {
		t.Errorf("%s, %v", got, err)
	}
}
