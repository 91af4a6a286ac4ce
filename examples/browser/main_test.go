package main_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"peermesh/examples/internal/console"
)

func TestMain(m *testing.M) { console.Main(m, "peermesh/examples/browser", "peermesh/cmd/peerctl") }

func TestREADME(t *testing.T) {
	t.Parallel()
	console.README(t, "README.md")
}

// TestProgram has the program with a key, and others of the mesh at it. What it does for pages is tested in chromium.
func TestProgram(t *testing.T) {
	t.Parallel()
	home := console.NewHome(t)
	if p := home.Start("peerctl", "key", "new", "bench"); p.Exit() != 0 {
		t.Fatal(p.Output())
	}
	bath := home.Start("browser", "-listen", "127.0.0.1:0", "-every", "10ms")
	bath.Expect(`open http://127\.0\.0\.1:\d+/#[\w-]{43}`)
	watch := home.Start("peerctl", "--mesh", "bench", "watch", "lab.bath.reading", "--count", "3")
	if code := watch.Exit(); code != 0 {
		t.Errorf("watching: exit code %d", code)
	}
	for _, c := range []struct{ celsius, says string }{
		{"40", `.*"target":40.*`},
		{"80", `.*above 60 °C somebody at a page must confirm: .*`}, // there is none at peerctl
		{"99", `.*celsius is greater than 95.*`},
	} {
		p := home.Start("peerctl", "--mesh", "bench", "-o", "json", "call", "lab.bath.set", "celsius="+c.celsius, "--to", "bath")
		p.Expect(c.says)
		if code := p.Exit(); (code == 0) != (c.celsius == "40") {
			t.Errorf("%s °C: exit code %d", c.celsius, code)
		}
	}
	bath.Expect(`40 °C, says .*`)
	if runtime.GOOS == "windows" {
		return
	}
	bath.Interrupt()
	if code := bath.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestRefuses: it does not begin with what it should not.
func TestRefuses(t *testing.T) {
	t.Parallel()
	home := console.NewHome(t)
	refuses := func(says string, args ...string) {
		t.Helper()
		p := home.Start("browser", args...)
		p.Expect(says)
		if code := p.Exit(); code != 1 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
	refuses(`browser: page: 0\.0\.0\.0:0 is not for this machine alone.*`, "-listen", "0.0.0.0:0")
	refuses(`browser: listen tcp: .*`, "-listen", "nowhere")
	refuses(`browser: .*name.*`, "-listen", "127.0.0.1:0", "-name", "no name")
	if p := home.Start("peerctl", "key", "new", "bench"); p.Exit() != 0 {
		t.Fatal(p.Output())
	}
	if runtime.GOOS == "windows" {
		return
	}
	keys, err := filepath.Glob(filepath.Join(home.Dir, "*", "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range keys {
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	refuses(`browser: .*0644.*`, "-listen", "127.0.0.1:0")
}
