package security_test

import (
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"peermesh/security"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"a": true, "0": true, "cam-1_b": true, strings.Repeat("a", 53): true,
		"": false, "-a": false, "_a": false, "A": false, "a.b": false, "ä": false, "a b": false, "a\n": false, "*": false, "../a": false,
		strings.Repeat("a", 54): false,
	} {
		if security.ValidName(name) != ok || security.ValidName([]byte(name)) != ok {
			t.Errorf("%q: %v", name, !ok)
		}
	}
}

func TestVectorsPeerID(t *testing.T) {
	t.Parallel()
	v := loadVectors(t).Sealed
	for private, want := range map[string]string{v.Initiator: v.InitID, v.Responder: v.RespID} {
		raw, _ := hex.DecodeString(private)
		key, err := ecdh.X25519().NewPrivateKey(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := security.PeerID([32]byte(key.PublicKey().Bytes())); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		// The same from a file.
		dir := t.TempDir()
		text := "# comment\npeermesh-identity 1\nx25519=" + private + "\n"
		if err := os.WriteFile(filepath.Join(dir, "bob.id"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := security.OpenIdentity(dir, "bob")
		if err != nil {
			t.Fatal(err)
		}
		if id.ID() != want || hex.EncodeToString(id.PrivateKey().Bytes()) != private || security.PeerID(id.PublicKey()) != want ||
			id.String() != "bob ("+want[:8]+")" {
			t.Errorf("%s: %s", id, id.ID())
		}
		if err := id.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestIdentityLifecycle(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "share", "id")
	first, err := security.OpenIdentity(dir, "cam")
	if err != nil {
		t.Fatal(err)
	}
	second, err := security.OpenIdentity(dir, "cam")
	if err != nil {
		t.Fatal(err)
	}
	third, err := security.OpenIdentity(dir, "cam")
	if err != nil {
		t.Fatal(err)
	}
	if first.Name() != "cam" || second.Name() != "cam-2" || third.Name() != "cam-3" ||
		first.ID() == second.ID() || second.ID() == third.ID() {
		t.Errorf("%s, %s, %s", first, second, third)
	}
	if runtime.GOOS != "windows" {
		for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Dir(dir): 0o700, filepath.Join(dir, "cam.id"): 0o600} {
			if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, fi.Mode(), err)
			}
		}
	}
	for range 2 { // Close twice
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}
	again, err := security.OpenIdentity(dir, "cam")
	if err != nil || again.Name() != "cam-2" || again.ID() != second.ID() {
		t.Errorf("%s, want %s again; %v", again, second, err)
	}
	for _, i := range []*security.Identity{first, third, again} {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}
	if again, err = security.OpenIdentity(dir, "cam"); err != nil || again.ID() != first.ID() {
		t.Errorf("%s, want %s again; %v", again, first, err)
	}
	_ = again.Close()

	memory, err := security.NewIdentity("cam")
	if err != nil || memory.ID() == first.ID() || memory.Name() != "cam" || memory.Close() != nil {
		t.Error(err)
	}
}

// TestIdentityRace: many processes that start at once get as many identities.
func TestIdentityRace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var mu sync.Mutex
	names, ids := make(map[string]bool), make(map[string]bool)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			id, err := security.OpenIdentity(dir, "cam")
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = id.Close() })
			mu.Lock()
			defer mu.Unlock()
			names[id.Name()], ids[id.ID()] = true, true
		})
	}
	wg.Wait()
	if len(names) != 16 || len(ids) != 16 {
		t.Errorf("%d names, %d ids", len(names), len(ids))
	}
}

func TestIdentityErrors(t *testing.T) {
	t.Parallel()
	var nameErr *security.NameError
	for _, f := range []func(string) (*security.Identity, error){
		security.NewIdentity, func(n string) (*security.Identity, error) { return security.OpenIdentity(t.TempDir(), n) },
	} {
		if _, err := f("../x"); !errors.As(err, &nameErr) || !strings.Contains(err.Error(), `"../x"`) {
			t.Error(err)
		}
	}
	const head = "peermesh-identity 1\n"
	for name, text := range map[string]string{
		"comments only": "# x\n", "other version": "peermesh-identity 2\nx25519=" + groupHex, "no key": head,
		"short key": head + "x25519=00", "no digits": head + "x25519=" + strings.Repeat("canary!", 9) + "x",
		"zeros": head + "x25519=" + strings.Repeat("0", 64), "more": head + "x25519=" + groupHex + "\nmore", "a mesh key": groupHex,
		"other field": head + "ed25519" + groupHex,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "cam.id"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := security.OpenIdentity(dir, "cam")
		if !errors.Is(err, security.ErrIdentityForm) || !strings.Contains(err.Error(), "cam.id") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cam.id"), make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := security.OpenIdentity(dir, "cam"); err == nil {
		t.Error("a file of 5,000 bytes")
	}
	// The file that a crash left empty is filled.
	if err := os.WriteFile(filepath.Join(dir, "dog.id"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := security.OpenIdentity(dir, "dog")
	if err != nil || id.Name() != "dog" {
		t.Fatal(id, err)
	}
	_ = id.Close()
	// A name of full length is cut to make room for its number.
	long := strings.Repeat("a", 53)
	a, err1 := security.OpenIdentity(dir, long)
	b, err2 := security.OpenIdentity(dir, long)
	if err1 != nil || err2 != nil || b.Name() != strings.Repeat("a", 51)+"-2" || !security.ValidName(b.Name()) {
		t.Error(b, err1, err2)
	}
	_, _ = a.Close(), b.Close()
	file := filepath.Join(dir, "dog.id")
	if _, err := security.OpenIdentity(file, "cam"); err == nil {
		t.Error("a file as a folder")
	}
}

func TestIdentitiesInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 256 {
		id, err := security.OpenIdentity(dir, "cam")
		if err != nil {
			t.Fatal(err)
		}
		defer id.Close()
	}
	if _, err := security.OpenIdentity(dir, "cam"); !errors.Is(err, security.ErrIdentitiesInUse) {
		t.Error(err)
	}
}
