package local_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/discovery"
	"peermesh/discovery/local"
)

// TestRotation: what is announced is signed anew when the keys change.
func TestRotation(t *testing.T) {
	t.Parallel()
	dir := dirFor(t)
	old, next := key("1"), key("2")
	synctest.Test(t, func(t *testing.T) {
		var keys atomic.Pointer[[][]byte]
		use := func(k ...[]byte) {
			keys.Store(&k)
			time.Sleep(10 * time.Second)
		}
		keys.Store(&[][]byte{old})
		start(t, local.Config{Dir: dir, Keys: func() [][]byte { return *keys.Load() }}, me("a", 7001))
		use(old, next)
		use(next, old)
		late := start(t, local.Config{Dir: dir, Keys: discovery.FixedKeys(next)}, me("b", 7002))
		if ev := late.next(t, time.Second); ev.Record.Name != "a" || !ev.Record.Trusted {
			t.Errorf("%+v", ev)
		}
		use(next)
		start(t, local.Config{Dir: dir, Keys: discovery.FixedKeys(old)}, me("c", 7003)).quiet(t, 5*time.Second)
	})
}
