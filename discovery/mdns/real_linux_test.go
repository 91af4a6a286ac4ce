package mdns_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"peermesh/discovery"
)

func peer(name string, port int) discovery.Announcement {
	return discovery.Announcement{
		ID: strings.Repeat(name, 32)[:32], Name: name, Boot: "1767225600000-0a1b2c3d", Port: port,
	}
}

func key(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// Processes on one machine find each other over loopback, and see each other go at once.
func TestLoopback(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	loopbackOnly(t)
	keys := [][]byte{key("1")}
	a := startHost(t, hostConfig{Self: peer("a", 7001), Keys: keys}, false)
	b := startHost(t, hostConfig{Self: peer("b", 7002), Keys: keys}, false)
	ev := a.expect(discovery.Joined, "b", 5*time.Second)
	if ev.Record.Addrs[0] != "127.0.0.1:7002" || !ev.Record.Trusted {
		t.Errorf("%+v", ev)
	}
	t.Logf("took %v; %+v", b.expect(discovery.Joined, "a", 5*time.Second).Took, b.status())
	b.stop()
	if ev := a.expect(discovery.Left, "b", 5*time.Second); ev.Reason != discovery.Goodbye {
		t.Errorf("%+v", ev)
	}
	t.Logf("%+v", a.status())
}
