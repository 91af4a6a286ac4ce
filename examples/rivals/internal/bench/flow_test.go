package bench

import (
	"slices"
	"testing"
	"time"

	"peermesh/examples/rivals/internal/contender"
)

// TestTally confirms a chunk when the last receiver has it, and counts what is wrong.
func TestTally(t *testing.T) {
	t.Parallel()
	var confirmed []uint64
	tally := newTally(2, 3, 2, func(chunks uint64) { confirmed = append(confirmed, chunks) })
	for n := range 6 {
		tally.got(0, contender.Echo{Text: "mm", N: n})
	}
	if len(confirmed) != 0 {
		t.Errorf("confirmed %v when one receiver had nothing", confirmed)
	}
	for n := range 5 {
		tally.got(1, contender.Echo{Text: "mm", N: n})
	}
	tally.got(1, contender.Echo{Text: "m", N: 5})
	if !slices.Equal(confirmed, []uint64{1, 2}) {
		t.Errorf("confirmed %v", confirmed)
	}
	if got := tally.total(); got != (Tally{Count: 12, Sum: 30, Wrong: 1}) {
		t.Errorf("%+v", got)
	}
}

// TestFlow never lets the sender be more than two chunks ahead of the receiver.
func TestFlow(t *testing.T) {
	t.Parallel()
	far, err := listenAcks()
	if err != nil {
		t.Fatal(err)
	}
	defer far.close()
	near, err := dialAcks(far.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.close()
	const chunk = 10
	tally := newTally(1, chunk, 1, far.confirm)
	queue := make(chan contender.Echo, 2*chunk) // what does not fit fails the test
	go func() {
		for e := range queue {
			time.Sleep(10 * time.Microsecond)
			tally.got(0, e)
		}
	}()
	defer close(queue)
	f := &flow{acks: near, chunk: chunk, text: "m", send: func(e contender.Echo) error {
		select {
		case queue <- e:
		default:
			t.Error("the sender is too far ahead")
		}
		return nil
	}}
	for range 2 {
		n, took, err := f.run(5 * time.Millisecond)
		if err != nil || n == 0 || n%chunk != 0 || took < 5*time.Millisecond {
			t.Fatal(n, took, err)
		}
		if got := tally.total(); got.Count != int64(f.next) || got.Sum != f.sum {
			t.Errorf("%+v have arrived of %d messages, sum %d", got, f.next, f.sum)
		}
	}
}

// TestAcksOvertake takes a later confirmation for an earlier one.
func TestAcksOvertake(t *testing.T) {
	t.Parallel()
	far, err := listenAcks()
	if err != nil {
		t.Fatal(err)
	}
	defer far.close()
	near, err := dialAcks(far.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.close()
	for _, n := range []uint64{2, 1, 3} {
		far.confirm(n)
	}
	for _, want := range []uint64{2, 3} {
		if got, err := near.wait(want); got != want || err != nil {
			t.Errorf("waiting for %d: %d, %v", want, got, err)
		}
	}
}
