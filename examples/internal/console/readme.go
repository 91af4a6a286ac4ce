package console

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Block is a fenced block of a README.
type Block struct {
	File  string
	Line  int // of its first line of text
	Lang  string
	Lines []string
}

// Blocks returns the fenced blocks of a file.
func Blocks(t testing.TB, file string) (blocks []Block) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for i, line := range strings.Split(string(text), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !inside:
			blocks = append(blocks, Block{File: file, Line: i + 2, Lang: fence})
			inside = true
		case isFence:
			inside = false
		case inside:
			last := &blocks[len(blocks)-1]
			if n := len(last.Lines) - 1; n >= 0 && strings.HasSuffix(last.Lines[n], "\\") { // goes on
				last.Lines[n] = strings.TrimSuffix(last.Lines[n], "\\") + strings.TrimSpace(line)
				continue
			}
			last.Lines = append(last.Lines, line)
		}
	}
	return blocks
}

// Commands returns what stands after the prompts of a console block.
func (b Block) Commands() (commands []string) {
	for _, line := range b.Lines {
		if c, ok := strings.CutPrefix(line, "$ "); ok {
			commands = append(commands, c)
		}
	}
	return commands
}

// GoRun matches the start of a command that runs one of the examples.
var GoRun = regexp.MustCompile(`go run \./(examples/\S+)`)

// README runs the console blocks of a file, each as a terminal of its own, in one home and in the folder of the module.
// A block begins once the last command of the one before it has shown its first line. Within a block
//
//	$ is a command, which must succeed before the next one of the block begins,
//	> is a line that is typed,
//	^C is an interrupt, after which the program must end well,
//
// and all else are lines that must be printed, among others; … in them stands for anything. An address of this machine
// stands for the one that comes in its place when it is first printed: the programs listen on any port.
func README(t *testing.T, file string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("skip: needs a Unix shell")
	}
	h := NewHome(t)
	s := &session{home: h, addrs: map[string]string{}}
	var terminals sync.WaitGroup
	defer terminals.Wait()
	for _, b := range Blocks(t, file) {
		if b.Lang != "console" {
			continue
		}
		shown := make(chan struct{})
		terminals.Go(func() {
			once := sync.OnceFunc(func() { close(shown) })
			defer once()
			if err := s.terminal(b, once); err != nil {
				t.Error(err)
			}
		})
		<-shown
	}
}

// session is what the terminals of a README have in common.
type session struct {
	home  *Home
	mu    sync.Mutex
	addrs map[string]string // as in the README → as it came
}

func (s *session) terminal(b Block, shown func()) error {
	var p *Program
	commands := len(b.Commands())
	for i, line := range b.Lines {
		var err error
		switch {
		case strings.HasPrefix(line, "$ "):
			if err = succeeded(p); err == nil {
				p = s.run(strings.TrimPrefix(line, "$ "))
				commands--
			}
		case p == nil:
			err = fmt.Errorf("%q is before any command", line)
		case strings.HasPrefix(line, "> "):
			_, err = fmt.Fprintln(p.in, s.actual(strings.TrimPrefix(line, "> ")))
		case line == "^C":
			if err = p.cmd.Process.Signal(os.Interrupt); err == nil {
				err, p = succeeded(p), nil
			}
		default:
			err = s.expect(p, line)
			if commands == 0 {
				shown()
			}
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", b.File, b.Line+i, err)
		}
	}
	return nil
}

func succeeded(p *Program) error {
	if p == nil {
		return nil
	}
	code, err := p.exit()
	if err == nil && code != 0 {
		err = fmt.Errorf("%s: exit code %d", p.name, code)
	}
	return err
}

// run starts a command line. The examples listen on any port and stay away from the network.
func (s *session) run(line string) *Program {
	cmd := GoRun.ReplaceAllStringFunc(s.actual(line), func(run string) string {
		program := Path(path.Base(run))
		help := Help(program)
		for _, f := range []struct{ name, value string }{{"-listen", " 127.0.0.1:0"}, {"-no-mdns", ""}} {
			if strings.Contains(help, f.name) && !strings.Contains(line, f.name) {
				program += " " + f.name + f.value
			}
		}
		return program
	})
	bash := exec.Command("bash", "-c", cmd)
	bash.Dir = root
	return s.home.start(line, bash)
}

var (
	address  = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	anywhere = regexp.MustCompile(`(127\.0\.0\.1)([:/ ])(\d+)`) // as commands want it
)

// actual puts the addresses that are known by now into a text.
func (s *session) actual(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return anywhere.ReplaceAllStringFunc(text, func(a string) string {
		m := anywhere.FindStringSubmatch(a)
		if now, ok := s.addrs[m[1]+":"+m[3]]; ok {
			return strings.Replace(now, ":", m[2], 1)
		}
		return a
	})
}

func (s *session) expect(p *Program, line string) error {
	expr := strings.ReplaceAll(regexp.QuoteMeta(s.actual(line)), "…", ".*")
	named := address.FindString(line)
	unseen := func(i int) bool { return !p.seen[i] }
	s.mu.Lock()
	_, known := s.addrs[named]
	s.mu.Unlock()
	if named == "" || known {
		_, err := p.expect(expr, unseen)
		return err
	}
	now, err := p.expect(strings.Replace(expr, regexp.QuoteMeta(named), `(127\.0\.0\.1:\d+)`, 1), unseen)
	s.mu.Lock()
	s.addrs[named] = now
	s.mu.Unlock()
	return err
}

// Help returns what a program prints for -h.
func Help(program string) string {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	text, _ := exec.CommandContext(ctx, program, "-h").CombinedOutput() // it need not succeed
	return string(text)
}
