package page_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestScripts runs the tests of the page's pure functions, which are in testdata, in node.
func TestScripts(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("skip: needs node")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("web/js")); err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob("testdata/*_test.mjs")
	if err != nil || len(tests) == 0 {
		t.Fatal("no tests: ", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(filepath.Base(test), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(test)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, filepath.Base(test))
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), node, file)
			cmd.Env = append(os.Environ(), "TZ=UTC")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
