package examples_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"peermesh/examples/internal/console"
)

func TestMain(m *testing.M) {
	console.Main(m, "peermesh/cmd/peerctl", "peermesh/examples/chat", "peermesh/examples/lab/camera", "peermesh/examples/lab/viewer",
		"peermesh/examples/dashboard", "peermesh/examples/dashboard/spectrometer", "peermesh/examples/spec", "peermesh/examples/python/bench")
}

func readmes(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if d.IsDir() && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if d.Name() == "README.md" {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	return files
}

var (
	goCommand = regexp.MustCompile(`go (run|test) (\./[\w./-]+)([^|;&<>)` + "`" + `]*)`)
	peerctl   = regexp.MustCompile(`(?:\$ |^|[|;&] ?|ssh other |` + "`" + `)peerctl ([^|;&<>)` + "`" + `]*)`)
)

// TestCommands: the programs and flags that the READMEs name exist.
func TestCommands(t *testing.T) {
	for _, file := range readmes(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.SplitSeq(string(text), "\n") {
			for _, m := range goCommand.FindAllStringSubmatch(line, -1) {
				n++
				checkGo(t, file, m[1], m[2], strings.Fields(m[3]))
			}
			for _, m := range peerctl.FindAllStringSubmatch(line, -1) {
				n++
				checkPeerctl(t, file, strings.Fields(m[1]))
			}
		}
		t.Logf("%s: %d commands", file, n)
	}
}

func checkGo(t *testing.T, file, verb, pkg string, args []string) {
	dir, inside := strings.CutPrefix(pkg, "./examples/")
	if verb == "test" || !inside {
		return // in a folder of the reader's own
	}
	if _, err := os.Stat(filepath.Join(dir, "main.go")); err != nil {
		t.Errorf("%s: go run %s: %v", file, pkg, err)
		return
	}
	help := console.Help(console.Path(path.Base(dir)))
	for _, a := range args {
		if len(a) > 1 && a[0] == '-' && !strings.Contains(help, "\n  "+a) {
			t.Errorf("%s: %s has no flag %s", file, pkg, a)
		}
	}
}

func checkPeerctl(t *testing.T, file string, args []string) {
	out, err := exec.Command(console.Path("peerctl"), append(args, "--help")...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "peerctl [command]") { // the help of no command in particular
		t.Errorf("%s: peerctl %s: %v\n%s", file, strings.Join(args, " "), err, out)
	}
}

// TestLinks: what the READMEs link to exists.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, file := range readmes(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// files returns the Go blocks of the README, each of which begins with the name of its file.
func files(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, b := range console.Blocks(t, "README.md") {
		if b.Lang == "go" {
			files[strings.TrimPrefix(b.Lines[0], "// ")] = strings.Join(b.Lines[1:], "\n") + "\n"
		}
	}
	return files
}

// TestGoBlocks: no Go code stands where no test compiles it. TestNewModule compiles that of README.md.
func TestGoBlocks(t *testing.T) {
	for _, file := range readmes(t) {
		for _, b := range console.Blocks(t, file) {
			switch {
			case b.Lang != "go":
			case file != "README.md":
				t.Errorf("%s:%d: this is compiled by no test", file, b.Line)
			case !strings.HasPrefix(b.Lines[0], "// ") || !strings.HasSuffix(b.Lines[0], ".go"):
				t.Errorf("%s:%d: it does not begin with the name of a file", file, b.Line)
			}
		}
	}
}
