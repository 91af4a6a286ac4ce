// Package console runs the example programs as a person at some terminals would, over real sockets, and holds the
// READMEs to what happens then. All that a test starts has a home of its own and is killed when the test ends.
package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Patience is how long a test waits for anything.
const Patience = 20 * time.Second

var bin, root string // where Main has put the programs, and where the module is

// Main builds the programs, runs the tests and looks for goroutines that they left. Programs are import paths.
func Main(m *testing.M, programs ...string) {
	dir, err := os.MkdirTemp("", "examples")
	if err == nil {
		bin = dir
		build := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", bin + string(filepath.Separator)}, programs...)...)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		err = build.Run()
	}
	if err == nil {
		var out []byte
		out, err = exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "peermesh").Output()
		root = strings.TrimSpace(string(out))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "console:", err)
		_ = os.RemoveAll(dir)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// Path returns the path of a program that Main has built, by the last element of its import path.
func Path(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(bin, name)
}

// Home is one user of one machine: whom programs run as. Those of two homes do not see each other.
type Home struct {
	t   testing.TB
	Dir string
	env []string
}

// NewHome makes an empty home.
func NewHome(t testing.TB) *Home {
	t.Helper()
	dir, err := os.MkdirTemp("", "home") // short, since the paths of sockets are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &Home{t: t, Dir: dir, env: append(os.Environ(), "HOME="+dir, "USERPROFILE="+dir, "LocalAppData="+dir, "AppData="+dir,
		"PYTHONDONTWRITEBYTECODE=1", "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))}
	for _, name := range []string{"DATA", "CONFIG", "STATE", "RUNTIME"} {
		sub := filepath.Join(dir, strings.ToLower(name))
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		suffix := "_HOME"
		if name == "RUNTIME" {
			suffix = "_DIR"
		}
		h.env = append(h.env, "XDG_"+name+suffix+"="+sub)
	}
	h.env = slices.DeleteFunc(h.env, func(e string) bool { return strings.HasPrefix(e, "PEERCTL_") })
	return h
}

// Program is a running program.
type Program struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when it has ended

	mu      sync.Mutex
	lines   []string
	seen    []bool        // which lines were expected, in any order
	at      int           // the first line that Expect has not passed yet
	changed chan struct{} // closed at the next line
}

// Start starts a program that Main has built, or one of the system, in the current directory.
func (h *Home) Start(name string, args ...string) *Program {
	h.t.Helper()
	cmd := exec.Command(name, args...)
	if path := Path(name); name == filepath.Base(name) {
		if _, err := os.Stat(path); err == nil {
			cmd = exec.Command(path, args...)
		}
	}
	return h.start(strings.Join(append([]string{filepath.Base(name)}, args...), " "), cmd)
}

func (h *Home) start(name string, cmd *exec.Cmd) *Program {
	h.t.Helper()
	p := &Program{t: h.t, name: name, cmd: cmd, done: make(chan struct{}), changed: make(chan struct{})}
	cmd.Env = h.env
	cmd.WaitDelay = time.Second
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		h.t.Fatal(err)
	}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(r); s.Scan(); {
			p.update(func() { p.lines, p.seen = append(p.lines, s.Text()), append(p.seen, false) })
		}
	}()
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		_ = w.Close()
		<-read
		close(p.done)
	}()
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.done
		if h.t.Failed() {
			h.t.Logf("%s\n\t%s", name, strings.Join(p.lines, "\n\t"))
		}
	})
	return p
}

func (p *Program) update(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// Expect waits for a line, of stdout or stderr, after the one that the last Expect found, that matches the whole
// regular expression, and returns its first group, or all of it.
func (p *Program) Expect(expr string) string {
	p.t.Helper()
	found, err := p.expect(expr, func(i int) bool { return i >= p.at })
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

// expect waits for a line that matches and that is among those that may be it.
func (p *Program) expect(expr string, mayBe func(i int) bool) (string, error) {
	re, err := regexp.Compile("^(?:" + expr + ")$")
	if err != nil {
		return "", err
	}
	timeout := time.After(Patience)
	for ended := false; ; {
		p.mu.Lock()
		for i, line := range p.lines {
			if found := re.FindStringSubmatch(line); found != nil && mayBe(i) {
				p.at, p.seen[i] = i+1, true
				p.mu.Unlock()
				return found[min(1, len(found)-1)], nil
			}
		}
		changed := p.changed
		p.mu.Unlock()
		if ended {
			return "", fmt.Errorf("%s: it ended without a line %q", p.name, expr)
		}
		select {
		case <-changed:
		case <-p.done:
			ended = true
		case <-timeout:
			return "", fmt.Errorf("%s: no line %q in %v", p.name, expr, Patience)
		}
	}
}

// Listening waits until the program says where it listens, and returns the address.
func (p *Program) Listening() string {
	p.t.Helper()
	return p.Expect(`listening (\S+)`)
}

// Type writes a line to the program's stdin.
func (p *Program) Type(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// EndInput closes the program's stdin.
func (p *Program) EndInput() { _ = p.in.Close() }

// Interrupt does what Ctrl-C does.
func (p *Program) Interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// Exit waits for the program's end and returns its exit code.
func (p *Program) Exit() int {
	p.t.Helper()
	code, err := p.exit()
	if err != nil {
		p.t.Fatal(err)
	}
	return code
}

func (p *Program) exit() (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(Patience):
		return 0, errors.New(p.name + ": it does not end")
	}
}

// Output returns all that the program has written so far.
func (p *Program) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}
