package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const doorDocument = `{"openrpc":"1.3.2","info":{"title":"door","version":"1"},"methods":[{"name":"door.open",
	"params":[{"name":"number","schema":{"type":"string","writeOnly":true}}],"result":{"name":"r","schema":{"type":"boolean"}}}]}`

// TestWatchNewcomer: what the schema of a peer calls secret that joins while the mesh is watched is hidden, too.
func TestWatchNewcomer(t *testing.T) {
	dir := t.TempDir()
	runDir := filepath.Join(dir, "run")
	if err := os.Mkdir(runDir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_RUNTIME_DIR", runDir)
	t.Setenv("PEERCTL_NO_MDNS", "true")
	document := filepath.Join(dir, "door.json")
	if err := os.WriteFile(document, []byte(doorDocument), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	background := func(args ...string) *lockedBuffer {
		out := &lockedBuffer{}
		wg.Go(func() { run(ctx, args, strings.NewReader(""), out, out) })
		return out
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	until := func(what string, f func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !f(); <-tick.C {
			if time.Now().After(deadline) {
				t.Fatal("in vain waited for ", what)
			}
		}
	}
	host := background("join", "--name", "host", "--listen", "127.0.0.1:0")
	until("the host", func() bool { return strings.Contains(host.text(), "listening") })
	watch := background("watch", "--name", "host", "-o", "json")
	_, rest, _ := strings.Cut(host.text(), "listening ")
	address, _, _ := strings.Cut(rest, "\n")
	until("the watch", func() bool { // until it sees somebody come and go
		run(ctx, []string{"ls", "--peer", address}, strings.NewReader(""), io.Discard, io.Discard)
		return strings.Contains(watch.text(), `"kind":"peer"`)
	})
	mock := background("mock", document, "--name", "front", "--listen", "127.0.0.1:0")
	until("the door", func() bool {
		return strings.Contains(mock.text(), "listening") && strings.Contains(host.text(), "+ front")
	})
	until("a call without its secret", func() bool {
		run(ctx, []string{"call", "door.open", "number=4711", "--name", "host"}, strings.NewReader(""), io.Discard, io.Discard)
		return strings.Contains(watch.text(), `"params":{"number":"•••"}`)
	})
}
