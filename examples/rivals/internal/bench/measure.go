package bench

import (
	"errors"
	"fmt"
	"time"

	"peermesh/examples/rivals/internal/contender"
	"peermesh/security"
)

// Sample is what one contender took for one workload in one round.
type Sample struct {
	Contender string  `json:"contender"`
	Workload  string  `json:"workload"`
	Round     int     `json:"round"`
	Value     float64 `json:"value"`        // in the workload's unit
	P99       float64 `json:"p99,omitzero"` // µs, of Seq
	Rate      float64 `json:"rate"`         // operations a second
	CPU       float64 `json:"cpu_us"`       // µs an operation, both processes
	Allocs    float64 `json:"allocs"`       // an operation, both processes
	Bytes     float64 `json:"bytes"`        // allocated an operation, both processes
	Ops       int64   `json:"ops"`
	Seconds   float64 `json:"seconds"`
}

// Settings say how to measure.
type Settings struct {
	Time     time.Duration // of one measurement; a tenth of it goes before to warm up
	MaxChunk int           // when not 0: at most so many messages are confirmed at once
	Embedded bool          // both ends run in this process: for tests
}

// Measure has a contender do a workload once.
func Measure(c *contender.Contender, w Workload, s Settings) (sample Sample, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s, %s: %w", c.Name, w.Name, err)
		}
	}()
	start := func() (*process, error) { return launch(w.OneCPU) }
	if s.Embedded {
		start = func() (*process, error) { return embed(), nil }
	}
	server, err := start()
	if err != nil {
		return sample, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	client, err := start()
	if err != nil {
		return sample, err
	}
	defer func() { err = errors.Join(err, client.stop()) }()

	spec := Spec{Contender: c.Name, Work: w, Chunk: w.chunk(c), Key: security.NewKey().Export()}
	if s.MaxChunk > 0 {
		spec.Chunk = min(spec.Chunk, s.MaxChunk)
	}
	var none struct{}
	var there Started
	if err := server.do("Start", &spec, &there, 0); err != nil {
		return sample, err
	}
	spec.Server, spec.Acks = there.Server, there.Acks
	if err := client.do("Start", &spec, &Started{}, 0); err != nil {
		return sample, err
	}
	worker, receiver := client, server
	if w.Kind == Broadcast {
		worker, receiver = server, client
		if err := server.do("Ready", &none, &struct{}{}, 0); err != nil {
			return sample, err
		}
	}
	warm := s.Time / 10
	if err := worker.do("Run", &warm, &Ran{}, warm); err != nil {
		return sample, err
	}
	ends := []*process{server, client}
	if s.Embedded {
		ends = ends[:1]
	}
	before, err := used(ends)
	if err != nil {
		return sample, err
	}
	var ran Ran
	if err := worker.do("Run", &s.Time, &ran, s.Time); err != nil {
		return sample, err
	}
	after, err := used(ends)
	if err != nil {
		return sample, err
	}
	if w.OneWay() {
		var got Tally
		if err := receiver.do("Tally", &none, &got, 0); err != nil {
			return sample, err
		}
		if n := int64(w.Receivers); got.Count != n*ran.Sent || got.Sum != n*ran.Sum || got.Wrong != 0 {
			return sample, fmt.Errorf("%d × %d were sent, %d have arrived, %d of them wrong", n, ran.Sent, got.Count, got.Wrong)
		}
	}
	return sampleOf(c, w, ran, after.minus(before)), nil
}

func used(ends []*process) (sum Usage, err error) {
	for _, p := range ends {
		var u Usage
		if err := p.do("Usage", &struct{}{}, &u, 0); err != nil {
			return sum, err
		}
		sum = sum.plus(u)
	}
	return sum, nil
}

func sampleOf(c *contender.Contender, w Workload, ran Ran, u Usage) Sample {
	ops := float64(ran.Ops)
	s := Sample{Contender: c.Name, Workload: w.Name, Ops: ran.Ops, Seconds: ran.Seconds, Rate: ops / ran.Seconds, P99: ran.P99,
		CPU: u.CPU * 1e6 / ops, Allocs: float64(u.Allocs) / ops, Bytes: float64(u.Bytes) / ops}
	switch w.Kind {
	case Seq:
		s.Value = ran.P50
	case Bulk:
		s.Value = s.Rate * float64(w.Size) / (1 << 20)
	default:
		s.Value = s.Rate
	}
	return s
}
