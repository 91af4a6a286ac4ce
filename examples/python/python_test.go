// Package python_test has the Python peers talk to Go peers.
package python_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/examples/internal/console"
	"peermesh/peer"
	"peermesh/security"
)

func TestMain(m *testing.M) {
	console.Main(m, "peermesh/examples/python/bench", "peermesh/examples/lab/camera", "peermesh/cmd/peerctl")
}

func needsPython(t *testing.T) {
	t.Helper()
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("skip: needs python3")
	}
	if err := exec.Command("python3", "-c", "import sys; sys.exit(sys.version_info < (3, 8))").Run(); err != nil {
		t.Skip("skip: needs python3, 3.8 or newer")
	}
}

func TestREADME(t *testing.T) {
	needsPython(t)
	console.README(t, "README.md")
}

func TestProvider(t *testing.T) {
	needsPython(t)
	p := console.NewHome(t).Start("python3", "-m", "unittest")
	if code := p.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestCamera has the Python peer at the camera of the lab: a real picture, many frames, and the end.
func TestCamera(t *testing.T) {
	needsPython(t)
	home := console.NewHome(t)
	if p := home.Start("peerctl", "key", "new", "bench"); p.Exit() != 0 {
		t.Fatal(p.Output())
	}
	key := filepath.Join(home.Dir, "bench.key")
	export := home.Start("peerctl", "key", "export", "bench")
	hex := export.Expect("[0-9a-f]{64}")
	if err := os.WriteFile(key, []byte(hex+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cam := home.Start("camera", "-name", "cam1", "-no-mdns", "-listen", "127.0.0.1:0", "-every", "10ms", "-accept", "hmac")
	addr := cam.Listening()
	py := home.Start("python3", "peer.py", key, addr, "cam1")
	py.Expect("cam1: a picture, 320 x 240")
	for range 20 {
		py.Expect(`cam1: frame \d+, mean 0\.\d\d`)
	}
	stranger := filepath.Join(home.Dir, "other.key")
	if err := os.WriteFile(stranger, []byte(security.NewKey().Export()), 0o600); err != nil {
		t.Fatal(err)
	}
	eve := home.Start("python3", "peer.py", stranger, addr, "cam1")
	eve.Expect(`not signed: .*-32040.*`)
	wrong := home.Start("python3", "peer.py", key, addr, "cam2") // signs for somebody who is not there
	wrong.Expect("not believed: signed by cam1")
	cam.Interrupt()
	py.Expect("the link ended")
	if code := py.Exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// TestCalledBack has a Go program call the Python peer in all the ways that can go wrong.
func TestCalledBack(t *testing.T) {
	needsPython(t)
	p, key := member(t, nil)
	py := console.NewHome(t).Start("python3", "peer.py", key, p.Self().Address, "cam1")
	py.Expect("cam1 answers: .*-32601.*") // nobody serves snap here
	if code := py.Exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}

	cam, key := member(t, func(p *peer.Peer) {
		port := api.Bind(p, snaps)
		snap.Handle(port, func(context.Context, json.RawMessage) (size, error) { return size{1, 2}, nil })
	})
	console.NewHome(t).Start("python3", "peer.py", key, cam.Self().Address, "cam1").Expect("cam1: a picture, 1 x 2")
	joined(t, cam, "py")
	link := cam.JSONRPC2("py")
	for _, c := range []struct {
		method, params string
		code           int
	}{
		{"py.stats", `{"values":[1,2,6]}`, 0},
		{"py.stats", `{"values":[]}`, api.CodeInvalidParams},
		{"py.stats", `{"numbers":[1]}`, api.CodeInvalidParams},
		{"py.nothing", `{}`, api.CodeMethodNotFound},
		{"rpc.ping", `{}`, 0},
	} {
		if c.method == "py.stats" && c.code == 0 {
			var got struct{ Mean, Median float64 }
			if err := link.Call(t.Context(), c.method, json.RawMessage(c.params), &got); err != nil || got.Mean != 3 || got.Median != 2 {
				t.Errorf("%s: %v, %v", c.params, got, err)
			}
			continue
		}
		_, err := cam.Request(t.Context(), nil, c.method, api.To("py"), []byte(c.params), nil)
		if api.CodeOf(err) != c.code {
			t.Errorf("%s %s: %v, want code %d", c.method, c.params, err, c.code)
		}
	}
}

// A definition of its own that answers to lab.camera.snap, and the API that quickrpc programs can use: without a name.
type (
	server struct{}
	client struct{}
	size   struct {
		Width  int `json:"width"`
		Height int `json:"height"`
	}
)

var (
	snaps = api.Define[server, client]("lab.camera", "1", "Pictures.")
	snap  = api.IncomingCall[json.RawMessage, size](snaps, "snap", "Take one.")

	bare = api.Define[server, client]("", "1", "For quickrpc.")
	say  = api.Incoming[map[string]string](bare, "say", "Say.")
	echo = api.IncomingCall[map[string]string, string](bare, "echo", "Echo.")
	put  = api.IncomingCall[json.RawMessage, json.RawMessage](bare, "put", "Anything, back again.")
	hear = api.Outgoing[map[string]string](bare, "hear", "Hear.")
)

// member is a Go peer with a fresh key, which is also in a file.
func member(t *testing.T, bind func(*peer.Peer)) (p *peer.Peer, keyFile string) {
	t.Helper()
	key := security.NewKey()
	keys, err := security.NewKeyring(security.Entry{Key: key, Send: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err = peer.New(peer.Config{Mesh: "bench", Name: "cam1", Keys: keys, Throwaway: true, Listen: []string{"127.0.0.1:0"}, NoMDNS: true, NoLocal: true, Accept: security.AcceptHMAC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if bind != nil {
		bind(p)
	}
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	keyFile = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(key.Export()), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, keyFile
}

// joined waits until a peer is linked.
func joined(t *testing.T, p *peer.Peer, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), console.Patience)
	defer cancel()
	for e := range p.Events(ctx) {
		if e.Kind == peer.Joined && e.Peer.Name == name {
			if !e.Peer.Verified || e.Peer.ID != "" {
				t.Errorf("%s: verified %v, id %q", name, e.Peer.Verified, e.Peer.ID)
			}
			return
		}
	}
	t.Fatalf("%s did not come", name)
}

// TestQuickrpc has what a quickrpc program sends accepted, and the answers verified by the provider.
func TestQuickrpc(t *testing.T) {
	needsPython(t)
	said := make(chan string, 1)
	var port *api.Port[server, client]
	p, key := member(t, func(p *peer.Peer) {
		port = api.Bind(p, bare)
		say.Handle(port, func(ctx context.Context, in map[string]string) error {
			said <- fmt.Sprint(api.Sender(ctx).Name, " ", api.Sender(ctx).Verified, " ", in["text"])
			return nil
		})
		echo.Handle(port, func(_ context.Context, in map[string]string) (string, error) { return in["text"], nil })
		put.Handle(port, func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	})
	qr := console.NewHome(t).Start("python3", "testdata/standin.py", key, p.Self().Address, "cam1")
	select {
	case got := <-said:
		if got != "qr true hi" {
			t.Errorf("said: %q", got)
		}
	case <-time.After(console.Patience):
		t.Fatal("the notification did not arrive")
	}
	answers := map[string]bool{}
	for range 3 { // errors may overtake results
		answers[qr.Expect(`signed (.*"id".*)`)] = true
	}
	for _, want := range []string{
		`{"jsonrpc": "2.0", "id": 7, "result": "hi"}`,
		`{"jsonrpc": "2.0", "id": 8, "result": {"b": {"__bytes": "AAH/"}, "u": "ä\n", "n": null, "f": 1.5, "t": true}}`,
		`{"jsonrpc": "2.0", "id": 9, "error": {"code": -32601, "message": "method not found"}}`,
	} {
		if !answers[want] {
			t.Errorf("no answer %s", want)
		}
	}
	joined(t, p, "qr")
	if _, err := hear.Send(t.Context(), port, api.All, map[string]string{"text": "to all"}); err != nil {
		t.Error(err)
	}
	qr.Expect(`signed \{"jsonrpc": "2\.0", "method": "hear", "params": \{"text": "to all"\}\}`)
	var answer string
	if err := p.JSONRPC2("qr").Call(t.Context(), "ask", map[string]int{"n": 1}, &answer); err != nil || answer != "the answer" {
		t.Errorf("called back: %q, %v", answer, err)
	}
	if err := p.JSONRPC2("qr").Call(t.Context(), "other", nil, nil); err == nil {
		t.Error("a method that is not there was answered")
	}
}
