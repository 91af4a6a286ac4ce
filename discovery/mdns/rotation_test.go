package mdns

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/discovery"
)

// TestRotation: what is announced is signed anew when the keys change.
func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var keys atomic.Pointer[[][]byte]
		use := func(k ...[]byte) {
			keys.Store(&k)
			time.Sleep(10 * time.Second)
		}
		n := &lan{}
		old, next := keyOf("1"), keyOf("2")
		keys.Store(&[][]byte{old})
		n.host(nic(2, "eth0", "192.168.1.1/24")).start(t, Config{Keys: func() [][]byte { return *keys.Load() }}, peerNamed("a", 7001))
		use(old, next)
		use(next, old)
		late := n.host(nic(2, "eth0", "192.168.1.2/24")).start(t, Config{Keys: discovery.FixedKeys(next)}, peerNamed("b", 7002))
		time.Sleep(5 * time.Second)
		if got := late.Peers(); len(got) != 1 || got[0].Name != "a" || !got[0].Trusted {
			t.Errorf("%+v", got)
		}
		use(next)
		gone := n.host(nic(2, "eth0", "192.168.1.3/24")).start(t, Config{Keys: discovery.FixedKeys(old)}, peerNamed("c", 7003))
		time.Sleep(time.Minute)
		if got := gone.Peers(); len(got) != 0 {
			t.Errorf("with the old key: %+v", got)
		}
	})
}
