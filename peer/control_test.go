package peer_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/examples/spec/service"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/peer/tap"
)

// controlled is a peer with a control connection, and another one that serves the specification's examples.
func controlled(t *testing.T) (*peer.Control, *peer.Peer) {
	t.Helper()
	mesh := peertest.New(t)
	desk, server := mesh.Peer("desk"), mesh.Peer("server")
	service.Bind(server)
	mesh.Join(desk, server)
	mine, theirs := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() { desk.ServeControl(context.Background(), theirs) })
	c := peer.NewControl(mine)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	return c, server
}

func TestControl(t *testing.T) {
	t.Parallel()
	c, server := controlled(t)
	m, err := c.Peers(t.Context())
	if err != nil || len(m.Peers) != 2 || !m.Peers[0].Self || m.Peers[1].Name != "server" || m.Peers[1].Protection != "sealed" {
		t.Fatalf("%+v, %v", m, err)
	}
	raw, err := c.Describe(t.Context(), "server")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := api.Parse(raw)
	if m, incoming := doc.Find("subtract"); err != nil || m == nil || !incoming {
		t.Errorf("described as %s, %v", raw, err)
	}
	var records []tap.Record
	seen := make(chan struct{}, 100)
	var mu sync.Mutex
	if err := c.Watch(t.Context(), func(r *tap.Record) {
		mu.Lock()
		records = append(records, *r)
		mu.Unlock()
		seen <- struct{}{}
	}); err != nil {
		t.Fatal(err)
	}
	// The order of members, and numbers beyond the precision of a float, come through as they are.
	const params = `{"z":1,"a":12345678901234567890123,"text":"<&>"}`
	call := func(method, params string, to ...string) (out []peer.CallResult) {
		t.Helper()
		req := peer.CallRequest{Method: method, Params: json.RawMessage(params), To: to, Timeout: 30_000}
		if err := c.Call(t.Context(), req, func(r *peer.CallResult) { out = append(out, *r) }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := call("echo", params, "server"); len(got) != 1 || string(got[0].Result) != params || got[0].HandlerMS <= 0 || got[0].MS < got[0].HandlerMS {
		t.Errorf("echo: %+v", got)
	}
	if got := call("fail", "", "server"); got[0].Error == nil || got[0].Error.Code != api.CodeApplication || !got[0].Error.Remote {
		t.Errorf("fail: %+v", got[0].Error)
	}
	if got := call("echo", "", "nobody"); got[0].Error == nil || !got[0].Error.NotSent || got[0].Error.Remote {
		t.Errorf("nobody: %+v", got[0].Error)
	}
	large := `["` + strings.Repeat(`\"x`, 1<<20) + `"]`
	if got := call("echo", large, "server"); string(got[0].Result) != large {
		t.Errorf("a result of %d bytes came as one of %d: %+v", len(large), len(got[0].Result), got[0].Error)
	}
	rep, err := c.Notify(t.Context(), peer.NotifyRequest{Method: "update", Params: json.RawMessage(`[1]`), To: []string{"server", "nobody"}})
	if err != nil || len(rep.Queued) != 1 || len(rep.Refused) != 1 || rep.Refused[0].Peer != "nobody" {
		t.Errorf("notify: %+v, %v", rep, err)
	}
	if s, err := c.Stats(t.Context()); err != nil || s.Links != 1 {
		t.Errorf("stats: %+v, %v", s, err)
	}
	for range 7 { // two calls with their answers, a large one with its own, a notification
		<-seen
	}
	mu.Lock()
	defer mu.Unlock()
	if r := records[0]; r.Kind != "request" || string(r.Params) != params || r.SeenBy != "desk" {
		t.Errorf("the first record is %+v", r)
	}
	for _, r := range records {
		if len(r.Params)+len(r.Result) > 1<<20 {
			t.Errorf("a record of %d bytes", len(r.Params)+len(r.Result))
		}
	}
	_ = server
}

func TestControlSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	open := func(name string) *peer.Peer {
		p, err := peer.Join(t.Context(), peer.Config{Mesh: "m", Name: name, Throwaway: true, RuntimeDir: dir, Listen: []string{}, NoMDNS: true,
			Control: true, Settle: -1, KeyFile: keyFile(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	if _, err := peer.Controls(t.Context(), dir, "m", ""); !errors.Is(err, peer.ErrNoControl) {
		t.Errorf("nobody runs: %v", err)
	}
	open("a")
	sockets, err := filepath.Glob(filepath.Join(dir, "*.sock"))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("%v, %v", sockets, err)
	}
	if err := os.Chtimes(sockets[0], time.Time{}, time.Now().Add(-time.Hour)); err != nil { // file times are coarse
		t.Fatal(err)
	}
	b := open("b")
	names := func(mesh, name string) (out []string) {
		all, err := peer.Controls(t.Context(), dir, mesh, name)
		if err != nil && !errors.Is(err, peer.ErrNoControl) {
			t.Fatal(err)
		}
		for _, c := range all {
			m, err := c.Peers(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, m.Peers[0].Name)
			_ = c.Close()
		}
		return out
	}
	if got := strings.Join(names("m", ""), " "); got != "a b" {
		t.Errorf("running: %s, want the older one first", got)
	}
	if got := strings.Join(names("m", "b"), " "); got != "b" {
		t.Errorf("b is %s", got)
	}
	if got := names("other", ""); len(got) != 0 {
		t.Errorf("of another mesh: %v", got)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names("m", ""), " "); got != "a" {
		t.Errorf("after b has left: %s", got)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
}

// keyFile writes a key that no other test has.
func keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(strings.Repeat("5a", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
