package bench

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"peermesh/examples/rivals/internal/contender"
)

// calls has callers call until the time is over. Each answer is held against the question.
func (e *End) calls(d time.Duration) (Ran, error) {
	client, text := e.clients[0], text(e.spec.Work.Size)
	if e.spec.Work.Kind != Calls {
		return sequence(client, text, d)
	}
	var (
		stop atomic.Bool
		wg   sync.WaitGroup
		mu   sync.Mutex
		ops  int64
		errs []error
	)
	begin := time.Now()
	for i := range e.spec.Work.Callers {
		wg.Go(func() {
			var err error
			n := int64(0)
			for n == 0 || !stop.Load() && err == nil { // each at least once
				err = call(client, contender.Echo{Text: text, N: i*1_000_000 + int(n)})
				n++
			}
			mu.Lock()
			defer mu.Unlock()
			ops += n
			errs = append(errs, err)
		})
	}
	time.AfterFunc(d, func() { stop.Store(true) })
	wg.Wait()
	return Ran{Ops: ops, Seconds: time.Since(begin).Seconds()}, errors.Join(errs...)
}

// sequence makes one call after the other and takes the time of each.
func sequence(client contender.Client, text string, d time.Duration) (Ran, error) {
	times := make([]time.Duration, 0, 1<<17)
	begin := time.Now()
	for last := begin; len(times) == 0 || last.Sub(begin) < d; {
		if err := call(client, contender.Echo{Text: text, N: len(times)}); err != nil {
			return Ran{}, err
		}
		now := time.Now()
		times = append(times, now.Sub(last))
		last = now
	}
	ran := Ran{Ops: int64(len(times)), Seconds: time.Since(begin).Seconds()}
	slices.Sort(times)
	ran.P50, ran.P99 = micros(Percentile(times, 50)), micros(Percentile(times, 99))
	return ran, nil
}

func call(client contender.Client, e contender.Echo) error {
	answer, err := client.Call(e)
	if err == nil && (answer.N != e.N || len(answer.Text) != len(e.Text)) {
		err = fmt.Errorf("asked with n=%d and %d bytes, answered with n=%d and %d", e.N, len(e.Text), answer.N, len(answer.Text))
	}
	return err
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
