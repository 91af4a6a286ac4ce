package mdns_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"peermesh/discovery"
	"peermesh/discovery/mdns"
)

// Tests with real sockets run in a network of their own: the test starts its own program again in a new user and
// network namespace, which needs neither root nor iproute2, and the child runs the test's body there. Further hosts
// are children of that child, each again in a new network namespace.
const (
	envTest = "PEERMESH_MDNS_TEST" // set in the child that runs a test's body: the test's name
	envHost = "PEERMESH_MDNS_HOST" // set in a host: its hostConfig
)

func TestMain(m *testing.M) {
	if cfg := os.Getenv(envHost); cfg != "" {
		runHost(cfg)
		return
	}
	goleak.VerifyTestMain(m)
}

// inNamespace runs the calling test's body in a namespace. It returns true there, and false in the test that started
// it, which has nothing more to do.
func inNamespace(t *testing.T, flags ...uintptr) bool {
	t.Helper()
	if os.Getenv(envTest) == t.Name() {
		return true
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v", "-test.timeout=50s")
	cmd.Env = append(os.Environ(), envTest+"="+t.Name())
	cmd.SysProcAttr = namespaced(flags...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("skip: needs user and network namespaces: %v", err)
	case err != nil:
		t.Fatalf("in the namespace: %v\n%s", err, out)
	}
	if strings.Contains(string(out), "DATA RACE") { // in a host, whose exit status nobody looks at
		t.Fatalf("%s", out)
	}
	if i := strings.Index(string(out), "skip: needs"); i >= 0 {
		why, _, _ := strings.Cut(string(out[i:]), "\n")
		t.Skip(why)
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
	return false
}

func namespaced(flags ...uintptr) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	user := true
	for _, f := range flags {
		a.Cloneflags |= f
		user = user && f != syscall.CLONE_NEWNS // with mounts of its own, the child has to be root already
	}
	if user {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return a
}

// raiseLoopback does "ip link set lo up".
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// routeMulticast does "ip route add 224.0.0.0/4 dev lo".
func routeMulticast() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var b []byte
	u16 := func(v uint16) { b = append(b, byte(v), byte(v>>8)) }
	u32 := func(v uint32) { b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24)) }
	u32(16 + 12 + 8 + 8)
	u16(unix.RTM_NEWROUTE)
	u16(unix.NLM_F_REQUEST | unix.NLM_F_CREATE | unix.NLM_F_ACK)
	u32(1)
	u32(0)
	b = append(b, unix.AF_INET, 4, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_LINK, unix.RTN_UNICAST)
	u32(0)
	u16(8)
	u16(unix.RTA_DST)
	b = append(b, 224, 0, 0, 0)
	u16(8)
	u16(unix.RTA_OIF)
	u32(1) // lo
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil || n < 20 {
		return fmt.Errorf("netlink: %d bytes, %v", n, err)
	}
	if code := int32(uint32(buf[16]) | uint32(buf[17])<<8 | uint32(buf[18])<<16 | uint32(buf[19])<<24); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// loopbackOnly makes the namespace one with loopback and a multicast route.
func loopbackOnly(t *testing.T) {
	t.Helper()
	if err := errors.Join(raiseLoopback(), routeMulticast()); err != nil {
		t.Fatal(err)
	}
}

// ip runs the command of iproute2 in this namespace.
func ip(t *testing.T, args string) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("skip: needs iproute2")
	}
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		text := string(out)
		if strings.Contains(text, "Unknown device type") || strings.Contains(text, "not supported") {
			t.Skipf("skip: needs a kernel that can %q: %s", args, text)
		}
		t.Fatalf("ip %s: %v: %s", args, err, text)
	}
}

// hostConfig is what a host runs.
type hostConfig struct {
	Self       discovery.Announcement
	Keys       [][]byte
	Interfaces []string
	Wait       bool // for the first line of input before anything is sent
}

// report is a line that a host prints: an event, or its status when asked.
type report struct {
	Kind   string
	Record discovery.Record
	Reason string
	Took   time.Duration
	Status *hostStatus `json:",omitempty"`
}

type hostStatus struct {
	Notes    []string
	Counters map[string]uint64
	Peers    []discovery.Record
}

// runHost is the program of a host. Lines on its standard input are commands: "sh …", "status", "refresh", "update …".
// It stops, with a goodbye, when its input ends.
func runHost(config string) {
	var cfg hostConfig
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		panic(err)
	}
	_ = raiseLoopback()
	src, err := mdns.New(mdns.Config{Keys: discovery.FixedKeys(cfg.Keys...), Interfaces: cfg.Interfaces})
	if err != nil {
		panic(err)
	}
	src.SetTiming(300*time.Millisecond, 200*time.Millisecond)
	set, err := discovery.New(discovery.Config{Self: cfg.Self}, src)
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	enc := json.NewEncoder(os.Stdout)
	say := func(r report) { mu.Lock(); defer mu.Unlock(); _ = enc.Encode(r) }
	say(report{Kind: "up"})

	in := bufio.NewScanner(os.Stdin)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	started := time.Now()
	start := func() {
		started = time.Now()
		wg.Go(func() { _ = set.Run(ctx) })
		wg.Go(func() {
			for {
				ev, err := set.Next(ctx)
				if err != nil {
					return
				}
				say(report{Kind: ev.Kind.String(), Record: ev.Record, Reason: ev.Reason, Took: time.Since(started)})
			}
		})
	}
	if !cfg.Wait {
		start()
	}
	for in.Scan() {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "sh":
			out, err := exec.Command("sh", "-ec", rest).CombinedOutput()
			r := report{Kind: "done"}
			if err != nil {
				r.Reason = fmt.Sprintf("%v: %s", err, out)
			}
			say(r)
		case "start":
			start()
			say(report{Kind: "done"})
		case "refresh":
			set.Refresh()
			say(report{Kind: "done"})
		case "update":
			var a discovery.Announcement
			if err := errors.Join(json.Unmarshal([]byte(rest), &a), set.Update(a)); err != nil {
				panic(err)
			}
			say(report{Kind: "done"})
		case "status":
			st := set.Status().Sources[0]
			say(report{Kind: "done", Status: &hostStatus{st.Notes, st.Counters, set.Peers()}})
		}
	}
	cancel()
	wg.Wait()
}

// host is a process that runs a peer, in a network namespace of its own or in that of the test.
type host struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.WriteCloser
	events chan report
	done   chan report
	seen   []report // events that nobody has asked for yet
}

// startHost starts a host. It is killed when the test ends, if it is still there.
func startHost(t *testing.T, cfg hostConfig, ownNetwork bool) *host {
	t.Helper()
	raw, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, cmd: exec.Command("/proc/self/exe"), events: make(chan report, 4096), done: make(chan report, 16)}
	h.cmd.Env = append(os.Environ(), envHost+"="+string(raw))
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if ownNetwork {
		h.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
	h.cmd.Stderr = os.Stderr
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		dec := json.NewDecoder(out)
		for {
			var r report
			if err := dec.Decode(&r); err != nil {
				close(h.events)
				return
			}
			if r.Kind == "done" || r.Kind == "up" {
				h.done <- r
			} else {
				h.events <- r
			}
		}
	}()
	t.Cleanup(func() { h.cmd.Process.Kill(); <-read; h.cmd.Wait() })
	h.answer()
	return h
}

func (h *host) answer() report {
	h.t.Helper()
	select {
	case r := <-h.done:
		if r.Reason != "" {
			h.t.Fatal(r.Reason)
		}
		return r
	case <-time.After(10 * time.Second):
		h.t.Fatal("a host does not answer")
	}
	panic("unreachable")
}

// do gives the host a command and waits until it is done.
func (h *host) do(command string) report {
	h.t.Helper()
	if _, err := io.WriteString(h.in, command+"\n"); err != nil {
		h.t.Fatal(err)
	}
	return h.answer()
}

func (h *host) status() *hostStatus { h.t.Helper(); return h.do("status").Status }

// ready waits until the host hears what is sent.
func (h *host) ready() {
	h.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for h.status().Counters["announced"] == 0 {
		if time.Now().After(deadline) {
			h.t.Fatalf("a host does not announce itself: %+v", h.status())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// stop lets the host say goodbye.
func (h *host) stop() { h.in.Close() }

// kill does not.
func (h *host) kill() { h.cmd.Process.Kill() }

// expect waits for an event of a kind about a peer. Others before it are kept for later.
func (h *host) expect(kind discovery.Kind, name string, within time.Duration) report {
	h.t.Helper()
	timeout := time.After(within)
	for {
		if i := slices.IndexFunc(h.seen, func(r report) bool {
			return r.Kind == kind.String() && r.Record.Name == name
		}); i >= 0 {
			r := h.seen[i]
			h.seen = slices.Delete(h.seen, i, i+1)
			return r
		}
		select {
		case r, ok := <-h.events:
			if !ok {
				h.t.Fatalf("the host is gone; seen: %+v", h.seen)
			}
			h.seen = append(h.seen, r)
		case <-timeout:
			h.t.Fatalf("%s %s was not seen within %v, but %+v; %+v", kind, name, within, h.seen, h.status())
		}
	}
}
