package peer

import (
	"context"
	"sync"
	"time"
)

// turns bounds how many peers are dialled at one time. Where a whole mesh meets at one moment, handshakes that all run
// beside each other all take too long, and none is ever done. So there are fewer turns as soon as handshakes are slow,
// and more again when they are quick.
type turns struct {
	free chan struct{} // a turn each
	mu   sync.Mutex
	held int // turns that are not given out, for the time being
}

const (
	mostTurns  = 8
	slowShake  = time.Second // a handshake that takes longer is slow
	slowAnswer = time.Second // an address that does not answer for so long holds up nobody else
)

func newTurns() *turns {
	t := &turns{free: make(chan struct{}, mostTurns)}
	for range mostTurns {
		t.free <- struct{}{}
	}
	return t
}

// turn is one that was taken. It counts until the first call of leave or shook, or slowAnswer unless connected is
// called before.
type turn struct {
	t    *turns
	slow *time.Timer
	once sync.Once
}

// take waits for a turn.
func (t *turns) take(ctx context.Context) (*turn, error) {
	select {
	case <-t.free:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	u := &turn{t: t}
	u.slow = time.AfterFunc(slowAnswer, u.leave)
	return u, nil
}

// connected notes that the other end has answered: from now on it is a handshake that takes its time.
func (u *turn) connected() { u.slow.Stop() }

// leave gives the turn back.
func (u *turn) leave() {
	u.once.Do(func() { u.t.free <- struct{}{} })
}

// shook gives the turn back after a handshake that took d, whether it led to a link or not.
func (u *turn) shook(d time.Duration) {
	u.once.Do(func() {
		t := u.t
		t.mu.Lock()
		defer t.mu.Unlock()
		switch {
		case d > slowShake && t.held < mostTurns-1:
			t.held++
			return
		case d <= slowShake && t.held > 0:
			t.held--
			t.free <- struct{}{}
		}
		t.free <- struct{}{}
	})
}
