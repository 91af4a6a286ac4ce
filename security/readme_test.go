package security_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"peermesh/security"
)

// TestReadme: the tests and fuzz targets that the README names are there, and its examples of files can be read.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(source, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(string(text), -1)
	if len(named) < 40 {
		t.Errorf("it names %d tests", len(named))
	}
	for _, name := range named {
		if !there[name] {
			t.Errorf("there is no %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`([a-z]+\*?\.go)`).FindAllStringSubmatch(string(text), -1) {
		if files, err := filepath.Glob(name[1]); err != nil || len(files) == 0 {
			t.Errorf("there is no %s", name[1])
		}
	}
	var known, policy bool
	for _, block := range regexp.MustCompile("(?s)\n```\n(.*?\n)```").FindAllStringSubmatch(string(text), -1) {
		switch {
		case strings.HasPrefix(block[1], "peermesh-known-peers"):
			path := filepath.Join(t.TempDir(), "known_peers")
			if err := os.WriteFile(path, []byte(block[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			k, err := security.OpenKnownPeers(path)
			if err != nil {
				t.Error(err)
			} else if known = len(k.List("lab")) == 2; !known {
				t.Errorf("%+v", k.List(""))
			}
		case strings.HasPrefix(block[1], "role:"):
			_, err := security.ParsePolicyFile([]byte(block[1]))
			policy = err == nil
			if err != nil {
				t.Error(err)
			}
		}
	}
	if !known || !policy {
		t.Error("an example is missing")
	}
}
