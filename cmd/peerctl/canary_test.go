package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"peermesh/peer/peertest"
	"peermesh/security"
)

// TestCanary runs every command that touches a secret, at the level of debugging, and looks for keys in whatever they
// print and leave behind: on stdout and stderr, in files that are not meant for keys. Printing the key is what "key
// export" is for, and printing the invite what "invite" is for.
func TestCanary(t *testing.T) {
	dir := t.TempDir()
	runDir := filepath.Join(dir, "run")
	if err := os.Mkdir(runDir, 0o700); err != nil {
		t.Fatal(err)
	}
	secrets := &peertest.Secrets{}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_RUNTIME_DIR", runDir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	t.Setenv("PEERCTL_NO_MDNS", "true")
	machine := func(name string) {
		t.Setenv("XDG_DATA_HOME", filepath.Join(dir, name, "data"))
		t.Setenv("XDG_STATE_HOME", filepath.Join(dir, name, "state"))
	}
	machine("one")
	var said lockedBuffer
	peerctl := func(in string, args ...string) string {
		var out lockedBuffer
		run(t.Context(), append(args, "-vv", "--wait", "200ms", "--timeout", "2s"), strings.NewReader(in), &out, &said)
		return out.text()
	}
	key := peerctl("", "key", "new", "lab")
	exported := strings.TrimSpace(peerctl("", "key", "export", "lab"))
	k, err := security.ParseKey([]byte(exported))
	if err != nil {
		t.Fatal(err)
	}
	secrets.AddKey(k)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	background := func(in string, args ...string) *lockedBuffer {
		out := &lockedBuffer{}
		wg.Go(func() { run(ctx, append(args, "-vv"), strings.NewReader(in), out, &said) })
		return out
	}
	until := func(what string, f func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s", what, said.text())
			}
		}
	}
	host := background("", "join", "--mesh", "lab", "--name", "host", "--listen", "127.0.0.1:0")
	until("the host", func() bool { return strings.Contains(host.text(), "listening") })
	code := strings.TrimSpace(peerctl("", "invite", "--mesh", "lab"))
	inv, err := security.ParseInvite(code)
	if err != nil {
		t.Fatal(err)
	}
	secrets.AddKey(inv.Key)
	secrets.Add("the invite", []byte(regexp.MustCompile(`^pmi1[a-z2-7]+`).FindString(code)))
	machine("two")
	newcomer := background(code, "join", "-", "--name", "newcomer", "--listen", "127.0.0.1:0")
	until("the newcomer", func() bool {
		return strings.Contains(host.text(), "+ newcomer") && strings.Contains(newcomer.text(), "+ host")
	})
	again := peerctl(code, "join", "-", "--name", "thief", "--key-file", filepath.Join(dir, "thief.key"))
	machine("one")
	outputs := []string{key, again}
	saved := filepath.Join(dir, "run.jsonl")
	watch := background("", "watch", "--mesh", "lab", "--name", "host", "--for", "3s", "--save", saved)
	serve := background("", "serve", "lab.echo", "--exec", "cat", "--mesh", "lab", "--name", "ser", "--listen", "127.0.0.1:0")
	until("the server", func() bool { return strings.Contains(serve.text(), "listening") })
	for _, args := range []string{"ls --mesh lab -o json", "ls --mesh lab -o wide", "call lab.echo x=1 --mesh lab --wait 5s", "notify lab.echo x=1 --mesh lab",
		"describe lab --mesh lab -o json", "doctor --mesh lab", "metrics --mesh lab", "peers ls --mesh lab -o json", "policy check newcomer lab.echo --mesh lab -o json",
		"key ls -o json", "config show -o json", "key use lab 00000000", "key new lab", "key import lab", "call lab.nosuch --mesh lab",
		"demo --for 2s -o json"} {
		outputs = append(outputs, peerctl("", strings.Fields(args)...))
	}
	outputs = append(outputs, peerctl(exported[:60], "key", "import", "other"), peerctl(code[:80], "join", "-"))
	stop()
	wg.Wait()
	outputs = append(outputs, host.text(), newcomer.text(), watch.text(), serve.text(), said.text())
	if !strings.Contains(said.text(), "level=DEBUG") {
		t.Error("nothing was logged at the level of debugging")
	}
	kept := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".id") {
			kept++
			hex := regexp.MustCompile(`[0-9a-f]{64}`).Find(text)
			secret, err := security.ParseKey(hex)
			if err != nil {
				return err
			}
			secrets.Add("the identity in "+d.Name(), secret.Secret().Bytes())
		}
		if strings.HasSuffix(path, ".key") || strings.HasSuffix(path, ".id") {
			kept++
			return nil // that is where they belong
		}
		outputs = append(outputs, string(text))
		return nil
	})
	if err != nil || kept < 4 {
		t.Fatalf("%d files of keys, %v", kept, err)
	}
	for _, text := range outputs {
		_, _ = secrets.Write([]byte(text)) // it never fails
	}
	_, _ = secrets.Write(bytes.TrimSpace([]byte(strings.Join(outputs, "\n"))))
	for _, what := range secrets.Found() {
		t.Errorf("the outputs hold %s", what)
	}
	t.Logf("%d outputs, %d bytes", len(outputs), len(strings.Join(outputs, "")))
}
