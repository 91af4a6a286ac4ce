package peer_test

import (
	"errors"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer"
	"peermesh/security"
)

// TestExplain: what Explain says is what happens.
func TestExplain(t *testing.T) {
	t.Parallel()
	policy, err := security.ParsePolicyFile([]byte("user:alice deny get_data\nuser:bob role admin\n"))
	if err != nil {
		t.Fatal(err)
	}
	known, err := security.OpenKnownPeers("")
	if err != nil {
		t.Fatal(err)
	}
	p, keys := sessionPeer(t, func(c *peer.Config) { c.Policy, c.KnownPeers = policy, known })
	for name, want := range map[string]string{"alice": "-32043", "bob": `"result"`} {
		cfg := handshakeOf(identity(t, name), keys)
		cfg.Transient = false
		m, err := shake(dialClient(t, p.Self().Address, codec.NUL), cfg)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.call(getData)
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
		for _, who := range []string{name, cfg.Identity.ID(), "peer:" + cfg.Identity.ID(), "user:" + name} {
			e, err := p.Explain(who, "get_data")
			if err != nil {
				t.Fatal(err)
			}
			if e.Allowed != (name == "bob") || !e.Bound || e.Minimum != "guest" || e.Principal != "peer:"+cfg.Identity.ID() {
				t.Errorf("%s: %+v", who, e)
			}
			if name == "alice" && !strings.Contains(e.Why, "line 1") {
				t.Errorf("why: %q", e.Why)
			}
			if name == "bob" && e.Role != "admin" {
				t.Errorf("bob is %s", e.Role)
			}
		}
	}
	for _, c := range []struct {
		who, method string
		allowed     bool
	}{
		{"guest", "get_data", true}, {"guest", "nosuch", false}, {"guest", "rpc.ping", true}, {"guest", "rpc.peers", false},
		{"key:" + keys.Entries()[0].Key.ID(), "get_data", true}, {"key:" + keys.Entries()[0].Key.ID(), "nosuch", true},
	} {
		e, err := p.Explain(c.who, c.method)
		if err != nil || e.Allowed != c.allowed || e.Why == "" {
			t.Errorf("%s %s: %+v, %v", c.who, c.method, e, err)
		}
	}
	for _, who := range []string{"nobody", "peer:nobody", "key:00000000"} {
		if _, err := p.Explain(who, "get_data"); !errors.Is(err, api.ErrUnknownPeer) {
			t.Errorf("%s: %v", who, err)
		}
	}
}

// TestMetrics: what is counted is there, under its name.
func TestMetrics(t *testing.T) {
	t.Parallel()
	p, keys := sessionPeer(t)
	if _, err := shake(dialClient(t, p.Self().Address, codec.NUL), handshakeOf(identity(t, "client"), keys)); err != nil {
		t.Fatal(err)
	}
	c := dialClient(t, p.Self().Address, codec.NUL)
	c.sendText(getData)
	c.want(`{"jsonrpc":"2.0","id":7,"error":{"code":-32040}}`)
	text := func() string {
		var b strings.Builder
		if err := p.WriteMetrics(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, want := range []string{"# TYPE peermesh_links gauge\npeermesh_links 2\n", "\npeermesh_sessions 1\n",
		"# TYPE peermesh_refused_total counter\npeermesh_refused_total{reason=\"unsigned\"} 1\n",
		`peermesh_peer_up{peer="client",protection="sealed",state="linked"} 1`} {
		if !eventually(func() bool { return strings.Contains(text(), want) }) {
			t.Errorf("no %q in:\n%s", want, text())
		}
	}
}
