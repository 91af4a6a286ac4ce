package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"peermesh/examples/internal/console"
)

// TestNewModule makes the module that the README shows, as a user would, and runs its programs. It needs no network:
// what peermesh needs is in the module cache.
func TestNewModule(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range files(t) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o644); err != nil {
		t.Fatal(err)
	}
	goTool := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOPROXY=off", "GONOSUMDB=*", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	goTool("mod", "init", "example.com/thermo")
	goTool("mod", "edit", "-require", "peermesh@v0.0.0", "-replace", "peermesh="+root)
	goTool("vet", "./...")
	programs := filepath.Join(dir, "bin") + string(filepath.Separator)
	goTool("build", "-o", programs, "./sensor", "./ask")

	for pkg := range strings.FieldsSeq(goTool("list", "-deps", "./thermo")) {
		if strings.HasPrefix(pkg, "peermesh/") && pkg != "peermesh/api" || pkg == "net" {
			t.Errorf("the definition depends on %s", pkg)
		}
	}
	if out, err := exec.Command("gofmt", "-l", dir).CombinedOutput(); err == nil && len(out) > 0 {
		t.Errorf("not formatted as by gofmt: %s", out)
	}

	home := console.NewHome(t)
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	ask := home.Start(programs + "ask" + suffix) // before there is anybody
	sensor := home.Start(programs + "sensor" + suffix)
	sensor.Expect("read by desk")
	ask.Expect("21.5 °C")
	if code := ask.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if runtime.GOOS == "windows" {
		return
	}
	sensor.Interrupt()
	if code := sensor.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
