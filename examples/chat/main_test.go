package main_test

import (
	"strings"
	"testing"

	"peermesh/examples/internal/console"
)

func TestMain(m *testing.M) { console.Main(m, "peermesh/examples/chat", "peermesh/cmd/peerctl") }

func TestREADME(t *testing.T) {
	t.Parallel()
	console.README(t, "README.md")
}

// TestKey has three who hold a key, and one who does not, talk over addresses alone.
func TestKey(t *testing.T) {
	t.Parallel()
	home, stranger := console.NewHome(t), console.NewHome(t)
	if p := home.Start("peerctl", "key", "new", "chat"); p.Exit() != 0 {
		t.Fatal(p.Output())
	}
	ann := home.Start("chat", "-name", "ann", "-no-mdns", "-listen", "127.0.0.1:0")
	addr := ann.Listening()
	ann.Expect(`you are ann in chat \(signed\)`)
	bob := home.Start("chat", "-name", "bob", "-no-mdns", "-listen", "127.0.0.1:0", "-peer", addr)
	bob.Expect(`\+ ann`)
	cyn := home.Start("chat", "-name", "cyn", "-no-mdns", "-listen", "127.0.0.1:0", "-peer", addr)
	cyn.Expect(`\+ ann`)
	bob.Expect(`\+ cyn`) // by discovery
	ann.Expect(`\+ cyn`)

	stranger.Start("chat", "-name", "eve", "-no-mdns", "-listen", "127.0.0.1:0", "-peer", addr).Listening() // has tried ann by now

	ann.Type("to all \x1b[2J")
	bob.Expect(`ann: to all ·\[2J`)
	cyn.Expect(`ann: to all ·\[2J`)
	ann.Type("/to bob only you")
	ann.Type("end")
	bob.Expect("ann, to you: only you")
	bob.Expect("ann: end")
	if got := cyn.Expect("ann.*"); got != "ann: end" {
		t.Errorf("cyn heard %q", got)
	}
	ann.EndInput()
	if code := ann.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	bob.Expect("- ann")
	cyn.Expect("- ann")
	if strings.Contains(ann.Output(), "eve") {
		t.Error("who has no key was let in")
	}
}
