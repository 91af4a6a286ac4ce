package security_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/security"
)

// TestKnownPeersUnwritable: a pin that cannot be written is none.
func TestKnownPeersUnwritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	// A file with no room left: a comment fills it up to the bound.
	if err := os.WriteFile(full, []byte("#"+strings.Repeat("x", 16<<20-100)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	noFolder := filepath.Join(dir, "no", "folder", "known")
	locked := filepath.Join(dir, "locked")
	for path, spoil := range map[string]func() error{
		full:     func() error { return nil },
		noFolder: func() error { return os.WriteFile(filepath.Join(dir, "no"), nil, 0o600) },
		locked:   func() error { return os.Mkdir(locked+".lock", 0o700) },
	} {
		k := openKnown(t, path)
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if first, err := k.Meet("lab", "cam", peerID(1)); first || err == nil {
			t.Error(path, first, err)
		}
		if p, err := k.Revoke("lab", peerID(1)); p.Revoked || err == nil {
			t.Error(path, p, err)
		}
		if list := k.List(""); len(list) != 0 {
			t.Error(path, list)
		}
	}
	if _, err := security.OpenKnownPeers(filepath.Join(dir, "no", "folder")); err == nil {
		t.Error("a file in a file was opened")
	}
}

// TestKnownPeersWait: a change waits for who holds the lock, but not for ever. It runs alone: a process that is being
// started holds the locks of this one for a moment, which real time forgives and a faked clock does not.
func TestKnownPeersWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known_peers")
	synctest.Test(t, func(t *testing.T) {
		k := openKnown(t, path)
		if err := k.Pin("lab", "cam", peerID(1), ""); err != nil {
			t.Fatal(err)
		}
		free, err := security.LockFile(path + ".lock")
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		if _, err := k.Meet("lab", "eye", peerID(2)); err == nil || !strings.Contains(err.Error(), "has held it for 10s") {
			t.Error(err)
		}
		if d := time.Since(started); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("waited %s", d)
		}
		time.AfterFunc(3*time.Second, func() { _ = free() })
		if _, err := k.Meet("lab", "eye", peerID(2)); err != nil {
			t.Error(err)
		}
		if got := briefs(k.List("")); got != "lab/cam b pinned, lab/eye c first use" {
			t.Error(got)
		}
	})
}

const childEnv = "PEERMESH_TEST_KNOWN_PEERS"

// TestKnownPeersChild is not a test but the other process of TestKnownPeersProcesses.
func TestKnownPeersChild(t *testing.T) {
	path, who, ok := strings.Cut(os.Getenv(childEnv), "|")
	if !ok {
		return
	}
	meetMany(t, path, who)
}

const pinsEach = 15

func meetMany(t *testing.T, path, who string) {
	k := openKnown(t, path)
	for i := range pinsEach {
		if _, err := k.Meet("lab", fmt.Sprintf("%s-%d", who, i), peerID(i)); err != nil {
			t.Error(err)
		}
		// All want this name; who is first has it, and all agree.
		_, err := k.Meet("lab", fmt.Sprintf("all-%d", i), peerID(1000+int(who[0])))
		var other *security.PinError
		if err != nil && !errors.As(err, &other) {
			t.Error(err)
		}
	}
}

// TestKnownPeersProcesses: of pins that several goroutines and processes make at once none is lost.
func TestKnownPeersProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "known_peers")
	var wg sync.WaitGroup
	for _, who := range []string{"a", "b"} {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKnownPeersChild$", "-test.count=1")
			cmd.Env = append(os.Environ(), childEnv+"="+path+"|"+who)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	for _, who := range []string{"c", "d"} {
		wg.Go(func() { meetMany(t, path, who) })
	}
	wg.Wait()
	k := openKnown(t, path)
	if got := len(k.List("lab")); got != 5*pinsEach {
		t.Errorf("%d pins, want %d", got, 5*pinsEach)
	}
	for _, who := range []string{"a", "b", "c", "d"} {
		for i := range pinsEach {
			if id, _ := k.Pinned("lab", fmt.Sprintf("%s-%d", who, i)); id != peerID(i) {
				t.Errorf("%s-%d is %q", who, i, id)
			}
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 2 { // the file and its lock
		t.Error(files, err)
	}
}
