package mdns_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"peermesh/discovery"
)

// avahi runs a message bus and an avahi daemon in the test's namespace, and returns how to browse with it.
func avahi(t *testing.T, iface string) func() string {
	t.Helper()
	// With mounts of our own, nothing of the machine's bus or daemon is seen or touched.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bus := "unix:path=/run/bus"
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	busConfig := write("bus.conf", `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>`+bus+`</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>`)
	config := write("avahi.conf", `[server]
host-name=tester
use-ipv4=yes
use-ipv6=no
allow-interfaces=`+iface+`
[publish]
publish-hinfo=no
publish-workstation=no
`)
	env := append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+bus)
	start := func(name string, args ...string) {
		cmd := exec.Command(name, args...)
		cmd.Env = env
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Skipf("skip: needs %s: %v", name, err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	}
	start("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+busConfig)
	for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat("/run/bus"); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Skip("skip: needs a dbus-daemon that starts")
		}
	}
	start("avahi-daemon", "--no-rlimits", "--no-chroot", "--no-drop-root", "-f", config)
	browse := func() string {
		cmd := exec.Command("avahi-browse", "-rpt", "_peermesh._tcp")
		cmd.Env = env
		out, err := cmd.Output()
		if err != nil {
			return ""
		}
		return string(out)
	}
	for deadline := time.Now().Add(soon); ; time.Sleep(20 * time.Millisecond) {
		cmd := exec.Command("avahi-browse", "-at")
		cmd.Env = env
		if cmd.Run() == nil {
			return browse
		}
		if time.Now().After(deadline) {
			t.Skip("skip: needs an avahi-daemon that starts")
		}
	}
}

// avahi sees peers join and leave at once, those of other machines and those of its own, where it had port 5353 first.
func TestAvahi(t *testing.T) {
	for _, tool := range []string{"avahi-daemon", "avahi-browse", "dbus-daemon"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("skip: needs %s", tool)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("skip: needs root, for a message bus of its own")
	}
	if !inNamespace(t, syscall.CLONE_NEWNS) {
		return
	}
	if err := raiseLoopback(); err != nil {
		t.Fatal(err)
	}
	c := newCable(t, "br0")
	ip(t, "addr add 10.99.0.254/24 dev br0")
	browse := avahi(t, "br0")

	near := startHost(t, hostConfig{Self: peer("n", 7001), Interfaces: []string{"br0"}}, false)
	near.ready()
	far := startHostOn(t, c, "f", "10.99.0.1/24")
	far.ready()
	near.expect(discovery.Joined, "f", soon)

	expect := func(what string, ok func(string) bool) {
		t.Helper()
		began := time.Now()
		for {
			out := browse()
			if ok(out) {
				t.Logf("%s: after %v", what, time.Since(began))
				return
			}
			if time.Since(began) > soon {
				t.Fatalf("%s: not seen:\n%s", what, out)
			}
		}
	}
	const (
		isNear = ";n-nnnnnnnn;_peermesh._tcp;local;nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn.local;10.99.0.254;7001;"
		isFar  = ";f-ffffffff;_peermesh._tcp;local;ffffffffffffffffffffffffffffffff.local;10.99.0.1;7001;"
	)
	expect("both", func(s string) bool {
		return strings.Contains(s, isNear) && strings.Contains(s, isFar) && strings.Contains(s, `"a=10.99.0.1,`)
	})
	far.stop()
	expect("leave", func(s string) bool { return !strings.Contains(s, "f-ffffffff") && strings.Contains(s, isNear) })
	near.stop()
	expect("leave of its own host", func(s string) bool { return !strings.Contains(s, "n-nnnnnnnn") })

	// What avahi publishes for somebody else is found like any peer.
	p := peer("p", 7009)
	publish := exec.Command("avahi-publish", "-s", "p-pppppppp", "_peermesh._tcp", "7009", "v=1", "id="+p.ID, "boot="+p.Boot, "a=10.99.0.254")
	publish.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/bus")
	publish.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	g := startHostOn(t, c, "g", "10.99.0.2/24")
	g.ready()
	if err := publish.Start(); err != nil {
		t.Fatal(err)
	}
	g.expect(discovery.Joined, "p", soon)
	// One that starts later has to ask for it.
	h := startHostOn(t, c, "h", "10.99.0.3/24")
	h.expect(discovery.Joined, "p", soon)
	publish.Process.Signal(syscall.SIGTERM)
	publish.Wait()
	g.expect(discovery.Left, "p", soon)
	h.expect(discovery.Left, "p", soon)
}
