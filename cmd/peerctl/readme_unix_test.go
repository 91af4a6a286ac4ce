//go:build !windows

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// block is one fenced block of a Markdown file.
type block struct {
	lang, arg string // ```lang arg
	text      string
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*) ?([^\n]*)\n(.*?)^```$")

func readBlocks(t *testing.T, path string) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, block{m[1], m[2], m[3]})
	}
	return blocks
}

// TestReadme does what the README says, block by block, as a newcomer would: it builds the programs from the text, runs
// each command, and leaves those that run for ever running until the end.
func TestReadme(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	bench := filepath.Join(home, "bench")
	run := filepath.Join(home, "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, filepath.Join(home, "peermesh")); err != nil {
		t.Skipf("skip: needs symbolic links: %v", err)
	}
	env := append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home+"/data", "XDG_CONFIG_HOME="+home+"/config", "XDG_STATE_HOME="+home+"/state", "XDG_RUNTIME_DIR="+run,
		"GOBIN="+home+"/bin", "PATH="+home+"/bin:"+os.Getenv("PATH"), "PEERCTL_NO_MDNS=true", "GOFLAGS=-mod=mod",
		"GOPATH="+goEnv(t, "GOPATH"), "GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	lines := 0
	for _, b := range readBlocks(t, "../../README.md") {
		switch b.lang {
		case "go":
			path := filepath.Join(bench, strings.TrimPrefix(b.arg, "file="))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
		case "sh":
			dir := root
			if strings.HasPrefix(b.arg, "dir=") {
				dir = bench
			}
			for line := range strings.Lines(b.text) {
				in := dir
				if strings.HasPrefix(line, "peerctl ") {
					in = home // where it may leave files
				}
				runLine(t, ctx, env, in, strings.TrimSpace(line))
				lines++
			}
		}
	}
	if lines < 10 {
		t.Errorf("only %d commands were found in the README", lines)
	}
	// The camera runs; the other program of the text calls it without any wait of its own.
	out := command(ctx, env, bench, "go run ./viewer")
	text, err := out.CombinedOutput()
	if err != nil || !bytes.Contains(text, []byte("picture: {640 480} <nil>")) || !bytes.Contains(text, []byte("frame: ")) {
		t.Errorf("the viewer: %v\n%s", err, text)
	}
	watched := command(ctx, env, root, "peerctl watch bench.camera.frame --mesh lab --count 1 --for 20s")
	if text, err := watched.CombinedOutput(); err != nil || !bytes.Contains(text, []byte("cam1")) {
		t.Errorf("watch shows nothing of the app's broadcasts: %v\n%s", err, text)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// command runs a line in a shell, in a process group of its own that ends with ctx.
func command(ctx context.Context, env []string, dir, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env = dir, env
	killGroup(cmd)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// runLine runs one command of the README. One that stays is started, and has to say something.
func runLine(t *testing.T, ctx context.Context, env []string, dir, line string) {
	t.Helper()
	cmd := command(ctx, env, dir, line)
	stays := regexp.MustCompile(`^(peerctl (join|serve)|go run \./camera)`).MatchString(line)
	if !stays {
		if strings.HasPrefix(line, "peerctl call") || strings.HasPrefix(line, "peerctl describe") {
			cmd = command(ctx, env, dir, line+" --wait 10s")
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		return
	}
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
	})
	if strings.HasPrefix(line, "peerctl") {
		for i := 0; !out.contains("listening "); i++ {
			if i > 1000 {
				t.Fatalf("%s says:\n%s", line, out.text())
			}
			time.Sleep(10 * time.Millisecond) // between two looks
		}
	}
}
