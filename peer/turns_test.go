package peer

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns: there are fewer turns after slow handshakes, never none, and all of them again after quick ones; what does
// not answer counts for a second.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		all := func() (taken []*turn) {
			for len(turns.free) > 0 {
				u, err := turns.take(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				u.connected()
				taken = append(taken, u)
			}
			return taken
		}
		for want := mostTurns; want > 1; want-- {
			taken := all()
			if len(taken) != want {
				t.Fatalf("%d turns, want %d", len(taken), want)
			}
			for i, u := range taken {
				if i == 0 {
					u.shook(2 * slowShake)
				}
				u.leave()
			}
		}
		last := all()
		if len(last) != 1 {
			t.Fatalf("%d turns at the end", len(last))
		}
		last[0].shook(2 * slowShake)
		for i := range mostTurns {
			taken := all()
			if want := i + 1; len(taken) != want {
				t.Fatalf("%d turns after %d quick handshakes", len(taken), i)
			}
			for i, u := range taken {
				if i == 0 {
					u.shook(0)
				}
				u.leave()
			}
		}
		for range mostTurns {
			if _, err := turns.take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		if _, err := turns.take(t.Context()); err != nil || time.Since(begun) != slowAnswer {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		time.Sleep(slowAnswer)
	})
}
