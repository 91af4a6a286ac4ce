package page_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVendor: the libraries are what their authors published, each with its licence. vendor.sh writes the list.
func TestVendor(t *testing.T) {
	t.Parallel()
	list, err := os.Open("web/vendor/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	want := map[string]string{}
	for s := bufio.NewScanner(list); s.Scan(); {
		sum, name, ok := strings.Cut(s.Text(), "  ./")
		if !ok {
			t.Fatalf("the line %q", s.Text())
		}
		want[name] = sum
	}
	err = filepath.WalkDir("web/vendor", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "LICENSE")); err != nil && path != filepath.Join("web", "vendor") {
				t.Error(err)
			}
			return nil
		}
		name, _ := filepath.Rel(filepath.Join("web", "vendor"), path)
		name = filepath.ToSlash(name)
		text, err := os.ReadFile(path)
		if err != nil || name == "SHA256SUMS" {
			return err
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != want[name] {
			t.Errorf("%s is not as it was published", name)
		}
		delete(want, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}
