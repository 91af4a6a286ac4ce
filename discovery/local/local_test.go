package local_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"peermesh/discovery"
	"peermesh/discovery/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// me makes an announcement of a peer with a made-up id.
func me(name string, port int) discovery.Announcement {
	return discovery.Announcement{
		ID: (strings.Repeat(name, 32))[:32], Name: name, Boot: "1767225600000-0a1b2c3d", Port: port,
	}
}

func key(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// node is a set with one local source in it.
type node struct {
	*discovery.Set
	src  *local.Source
	stop func()
}

func start(t *testing.T, cfg local.Config, self discovery.Announcement) *node {
	t.Helper()
	src, err := local.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	set, err := discovery.New(discovery.Config{Self: self}, src)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); set.Run(ctx) }()
	stop := func() { cancel(); <-done }
	t.Cleanup(stop)
	<-set.Asked()
	return &node{set, src, stop}
}

// next returns the next event, which must be there within d.
func (n *node) next(t *testing.T, d time.Duration) discovery.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	ev, err := n.Next(ctx)
	if err != nil {
		t.Fatalf("no event within %v: %v (%+v)", d, err, n.Status())
	}
	return ev
}

// quiet checks that nothing happens for d.
func (n *node) quiet(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if ev, err := n.Next(ctx); err == nil {
		t.Fatalf("unexpected event: %v", ev)
	}
}

func dirFor(t *testing.T) string { return filepath.Join(t.TempDir(), "peerctl") }

func TestMeetUpdateAndLeave(t *testing.T) {
	t.Parallel()
	dir := dirFor(t)
	synctest.Test(t, func(t *testing.T) {
		a := start(t, local.Config{Dir: dir, Mesh: "lab"}, me("a", 7001))
		b := start(t, local.Config{Dir: dir, Mesh: "lab"}, me("b", 7002))

		ev := b.next(t, 0+time.Millisecond) // the first reading is immediate
		if ev.Kind != discovery.Joined || ev.Record.Name != "a" || ev.Record.Source != "local" || ev.Record.Trusted {
			t.Fatalf("b: %+v", ev)
		}
		if want := []string{"127.0.0.1:7001", "[::1]:7001"}; !slices.Equal(ev.Record.Addrs, want) {
			t.Fatalf("addrs %v, want %v", ev.Record.Addrs, want)
		}
		if ev := a.next(t, 600*time.Millisecond); ev.Kind != discovery.Joined || ev.Record.Name != "b" {
			t.Fatalf("a: %+v", ev)
		}

		// The port changes, and with it the file, at once.
		if err := b.Update(me("b", 7003)); err != nil {
			t.Fatal(err)
		}
		ev = a.next(t, 600*time.Millisecond)
		if ev.Kind != discovery.Updated || ev.Record.Addrs[0] != "127.0.0.1:7003" {
			t.Fatalf("a: %+v", ev)
		}
		// No port: nothing to announce any more.
		if err := b.Update(me("b", 0)); err != nil {
			t.Fatal(err)
		}
		if ev = a.next(t, 600*time.Millisecond); ev.Kind != discovery.Left || ev.Reason != discovery.Goodbye {
			t.Fatalf("a: %+v", ev)
		}
		if err := b.Update(me("b", 7003)); err != nil {
			t.Fatal(err)
		}
		if ev = a.next(t, 600*time.Millisecond); ev.Kind != discovery.Joined {
			t.Fatalf("a: %+v", ev)
		}
		a.quiet(t, time.Minute) // heartbeats are no news
		b.stop()
		if ev = a.next(t, 600*time.Millisecond); ev.Kind != discovery.Left || ev.Reason != discovery.Goodbye {
			t.Fatalf("a: %+v", ev)
		}
		a.stop()
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Fatalf("left behind: %v", left)
		}
	})
}

func TestRestartIsAnUpdateAndSurvivesTheOldGoodbye(t *testing.T) {
	t.Parallel()
	dir := dirFor(t)
	synctest.Test(t, func(t *testing.T) {
		a := start(t, local.Config{Dir: dir}, me("a", 7001))
		old := start(t, local.Config{Dir: dir}, me("b", 7002))
		a.next(t, time.Second)

		again := me("b", 7002)
		again.Boot = "1767225699999-0a1b2c3d"
		start(t, local.Config{Dir: dir}, again)
		old.stop() // must not take the newer file away
		prefixOf(t, dir, again.ID)
		ev := a.next(t, time.Second)
		if ev.Kind != discovery.Updated || ev.Record.Boot != again.Boot {
			t.Fatalf("%+v", ev)
		}
		a.quiet(t, time.Minute)
	})
}

func TestMeshesAndProofs(t *testing.T) {
	t.Parallel()
	k1, k2 := key("1"), key("2")
	tests := []struct {
		name string
		a, b local.Config
		meet bool
		why  string // counter of a that must have grown
	}{
		{"no keys", local.Config{Mesh: "x"}, local.Config{Mesh: "x"}, true, ""},
		{"same key", local.Config{Mesh: "x", Keys: discovery.FixedKeys(k1)}, local.Config{Mesh: "x", Keys: discovery.FixedKeys(k1)}, true, ""},
		{"key rotated", local.Config{Keys: discovery.FixedKeys(k1, k2)}, local.Config{Keys: discovery.FixedKeys(k2)}, true, ""},
		{"other mesh", local.Config{Mesh: "x"}, local.Config{Mesh: "y"}, false, ""},
		{"other key", local.Config{Keys: discovery.FixedKeys(k1)}, local.Config{Keys: discovery.FixedKeys(k2)}, false, "proof"},
		{"proof missing", local.Config{Keys: discovery.FixedKeys(k1)}, local.Config{}, false, "proof"},
		{"proof of a mesh that is not ours", local.Config{}, local.Config{Keys: discovery.FixedKeys(k1)}, false, "proof"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := dirFor(t)
			synctest.Test(t, func(t *testing.T) {
				tt.a.Dir, tt.b.Dir = dir, dir
				a := start(t, tt.a, me("a", 7001))
				start(t, tt.b, me("b", 7002))
				if !tt.meet {
					a.quiet(t, 5*time.Second)
				} else if ev := a.next(t, time.Second); ev.Record.Name != "b" || ev.Record.Trusted != (len(tt.a.Keys.Load()) > 0) {
					t.Fatalf("%+v", ev)
				}
				if tt.why != "" && a.src.Status().Counters[tt.why] == 0 {
					t.Fatalf("counter %q is 0: %v", tt.why, a.src.Status().Counters)
				}
			})
		})
	}
}

// entry is a file as somebody else might have written it.
func entry(name string, change func(map[string]any)) []byte {
	a := me(name, 7009)
	m := map[string]any{
		"v": 1, "id": a.ID, "name": a.Name, "boot": a.Boot, "port": a.Port, "a": "127.0.0.1", "tls": false,
		"pid": os.Getpid(),
	}
	if pids, err := os.Readlink("/proc/self/ns/pid"); err == nil {
		m["pids"] = pids
	}
	if change != nil {
		change(m)
	}
	b, _ := json.Marshal(m)
	return b
}

// prefixOf finds how the files of a mesh begin, from the file of a node.
func prefixOf(t *testing.T, dir, id string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*-"+id+".json"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	return strings.TrimSuffix(filepath.Base(names[0]), id+".json")
}

func TestBadFilesAreIgnoredAndCounted(t *testing.T) {
	t.Parallel()
	bad := map[string][]byte{
		"a": []byte("not JSON"),
		"c": entry("c", func(m map[string]any) { m["v"] = 2 }),
		"d": entry("d", func(m map[string]any) { m["port"] = 70000 }),
		"e": entry("e", func(m map[string]any) { m["name"] = "../e" }),
		"f": entry("f", func(m map[string]any) { m["id"] = me("b", 1).ID }),
		"g": entry("g", func(m map[string]any) { m["a"] = "example.org" }),
		"h": entry("h", func(m map[string]any) { m["a"] = "0.0.0.0" }),
		"i": entry("i", func(m map[string]any) { m["x"] = strings.Repeat("x", 5000) }),
		"j": {},
		"k": entry("k", func(m map[string]any) { m["a"] = "fe80::1" }),
		"l": entry("l", func(m map[string]any) { m["port"] = "7" }),
	}
	dir := dirFor(t)
	synctest.Test(t, func(t *testing.T) {
		z := start(t, local.Config{Dir: dir}, me("z", 7001))
		prefix := prefixOf(t, dir, me("z", 1).ID)
		for name, data := range bad {
			if err := os.WriteFile(filepath.Join(dir, prefix+me(name, 1).ID+".json"), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		// Neither a link to a good file nor a directory is read; a good one is.
		good := filepath.Join(dir, "good")
		os.WriteFile(good, entry("m", nil), 0o600)
		os.Symlink(good, filepath.Join(dir, prefix+me("m", 1).ID+".json"))
		os.Mkdir(filepath.Join(dir, prefix+me("n", 1).ID+".json"), 0o700)
		os.WriteFile(filepath.Join(dir, prefix+me("o", 1).ID+".json"), entry("o", nil), 0o600)

		if ev := z.next(t, time.Second); ev.Record.Name != "o" {
			t.Fatalf("%+v", ev)
		}
		z.quiet(t, 5*time.Second)
		if got := z.src.Status().Counters["malformed"]; got < uint64(len(bad))+2 {
			t.Fatalf("malformed: %d, want at least %d", got, len(bad)+2)
		}
	})
}

func TestFileReadableByOthersIsIgnored(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("skip: needs permission bits")
	}
	dir := dirFor(t)
	synctest.Test(t, func(t *testing.T) {
		z := start(t, local.Config{Dir: dir}, me("z", 7001))
		name := filepath.Join(dir, prefixOf(t, dir, me("z", 1).ID)+me("o", 1).ID+".json")
		os.WriteFile(name, entry("o", nil), 0o600)
		os.Chmod(name, 0o666)
		z.quiet(t, 2*time.Second)
	})
}

func TestDeadProcessIsSweptAway(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("skip: needs process ids that can be asked for")
	}
	const nobody = 1<<30 - 1 // beyond any pid_max
	dir := dirFor(t)
	synctest.Test(t, func(t *testing.T) {
		z := start(t, local.Config{Dir: dir}, me("z", 7001))
		prefix := prefixOf(t, dir, me("z", 1).ID)
		dead := filepath.Join(dir, prefix+me("o", 1).ID+".json")
		os.WriteFile(dead, entry("o", func(m map[string]any) { m["pid"] = nobody }), 0o600)
		// Its process id is from elsewhere and proves nothing: the heartbeat decides.
		other := filepath.Join(dir, prefix+me("p", 1).ID+".json")
		os.WriteFile(other, entry("p", func(m map[string]any) { m["pid"], m["pids"] = nobody, "pid:[1]" }), 0o600)
		now := time.Now()
		os.Chtimes(other, now, now)
		// A remainder of somebody who died while writing.
		tmp := filepath.Join(dir, prefix+"x.tmp")
		os.WriteFile(tmp, nil, 0o600)
		os.Chtimes(tmp, now, now)

		if ev := z.next(t, time.Second); ev.Record.Name != "p" {
			t.Fatalf("%+v", ev)
		}
		if _, err := os.Lstat(dead); !os.IsNotExist(err) {
			t.Fatalf("still there: %v", err)
		}
		z.quiet(t, 29*time.Second)
		if ev := z.next(t, 2*time.Second); ev.Kind != discovery.Left || ev.Reason != discovery.Expired {
			t.Fatalf("%+v", ev)
		}
		for _, f := range []string{other, tmp} {
			if _, err := os.Lstat(f); !os.IsNotExist(err) {
				t.Fatalf("still there: %v", err)
			}
		}
		if got := z.src.Status().Counters["swept"]; got != 3 {
			t.Fatalf("swept %d", got)
		}
	})
}

// A process that slept, or whose directory was cleaned, comes back by itself.
func TestOwnFileIsWrittenAnew(t *testing.T) {
	t.Parallel()
	dir := dirFor(t)
	synctest.Test(t, func(t *testing.T) {
		a := start(t, local.Config{Dir: dir}, me("a", 7001))
		b := start(t, local.Config{Dir: dir}, me("b", 7002))
		a.next(t, time.Second)
		b.next(t, time.Second)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if got := len(a.Peers()) + len(b.Peers()); got != 2 {
			t.Fatalf("%d of 2 know the other", got)
		}
	})
}

func TestAtMost256FilesAreRead(t *testing.T) {
	t.Parallel()
	dir := dirFor(t)
	synctest.Test(t, func(t *testing.T) {
		z := start(t, local.Config{Dir: dir}, me("z", 7001))
		prefix := prefixOf(t, dir, me("z", 1).ID)
		for i := range 300 {
			n := fmt.Sprintf("%c%c%c", 'a'+i%26, 'a'+i/26%26, 'b'+i/676)
			id := me(n, 1).ID
			os.WriteFile(filepath.Join(dir, prefix+id+".json"), entry(n, nil), 0o600)
		}
		z.Refresh()
		synctest.Wait()
		time.Sleep(time.Second)
		if n := len(z.Peers()); n != 256 {
			t.Fatalf("%d peers", n)
		}
		if z.src.Status().Counters["overflow"] == 0 {
			t.Fatal("overflow is not counted")
		}
	})
}

func TestDirectoryMustBeOursAlone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("skip: needs permission bits and links")
	}
	base := t.TempDir()
	open := filepath.Join(base, "open")
	os.Mkdir(open, 0o755)
	os.Chmod(open, 0o755)
	good := filepath.Join(base, "good")
	os.Mkdir(good, 0o700)
	link := filepath.Join(base, "link")
	os.Symlink(good, link)
	file := filepath.Join(base, "file")
	os.WriteFile(file, nil, 0o600)
	foreign := filepath.Join(base, "foreign")
	os.Mkdir(foreign, 0o700)

	tests := []struct{ dir, err string }{
		{open, "open to others"},
		{link, "symbolic link"},
		{file, "not a directory"},
	}
	if os.Geteuid() == 0 && os.Chown(foreign, 12345, 12345) == nil {
		tests = append(tests, struct{ dir, err string }{foreign, "belongs to user 12345"})
	}
	for _, tt := range tests {
		t.Run(filepath.Base(tt.dir), func(t *testing.T) {
			t.Parallel()
			n := start(t, local.Config{Dir: tt.dir}, me("a", 7001))
			deadline := time.Now().Add(5 * time.Second)
			for n.Status().Sources[0].State != "failed" && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
			}
			if st := n.Status().Sources[0]; st.Err == nil || !strings.Contains(st.Err.Error(), tt.err) {
				t.Fatalf("%+v, want an error with %q", st, tt.err)
			}
		})
	}
}

func TestFileModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("skip: needs permission bits")
	}
	dir := filepath.Join(dirFor(t), "deep", "er")
	start(t, local.Config{Dir: dir}, me("a", 7001))
	fi, err := os.Stat(dir)
	if err != nil || fi.Mode().Perm() != 0o700 {
		t.Fatalf("%v, %v", fi, err)
	}
	fi, err = os.Stat(filepath.Join(dir, prefixOf(t, dir, me("a", 1).ID)+me("a", 1).ID+".json"))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", fi, err)
	}
}

// Not parallel: it changes the environment.
func TestDefaultDir(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skip: needs XDG_RUNTIME_DIR")
	}
	x, tmp := t.TempDir(), t.TempDir()
	t.Setenv("HOME", "")
	t.Setenv("TMPDIR", tmp)
	fallback := filepath.Join(tmp, fmt.Sprintf("peerctl-%d", os.Geteuid()))

	for _, tt := range []struct{ xdg, want string }{
		{x, filepath.Join(x, "peerctl")},
		{"", fallback},
		{"relative", fallback},
		{filepath.Join(x, "absent"), fallback},
	} {
		t.Setenv("XDG_RUNTIME_DIR", tt.xdg)
		if got := local.DefaultDir(); got != tt.want {
			t.Errorf("XDG_RUNTIME_DIR=%q: %s, want %s", tt.xdg, got, tt.want)
		}
	}
	// And it works there.
	t.Setenv("XDG_RUNTIME_DIR", "")
	a := start(t, local.Config{}, me("a", 7001))
	start(t, local.Config{}, me("b", 7002))
	a.next(t, 5*time.Second)
}

func TestKeyLength(t *testing.T) {
	t.Parallel()
	if _, err := local.New(local.Config{Keys: discovery.FixedKeys([]byte("short"))}); err == nil {
		t.Fatal("a short key was taken")
	}
}

func TestNothingIsLeftOver200Rounds(t *testing.T) {
	dir := dirFor(t)
	before := openFiles(t)
	for range 200 {
		n := start(t, local.Config{Dir: dir}, me("a", 7001))
		n.stop()
	}
	if after := openFiles(t); after > before+2 {
		t.Fatalf("%d open files before, %d after", before, after)
	}
}

func openFiles(t *testing.T) int {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("skip: needs /proc to count open files")
	}
	return len(fds)
}
