package bench_test

import (
	"testing"

	"peermesh/examples/rivals/internal/bench"
	"peermesh/examples/rivals/internal/contender"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		xs   []float64
		want float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := bench.Median(test.xs); got != test.want {
			t.Errorf("Median(%v) = %v, want %v", test.xs, got, test.want)
		}
	}
	xs := []float64{3, 1, 2}
	if bench.Median(xs); xs[0] != 3 {
		t.Error("the argument was sorted")
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, test := range []struct {
		xs      []int
		p, want int
	}{
		{nil, 50, 0},
		{[]int{7}, 50, 7},
		{[]int{7}, 99, 7},
		{[]int{1, 2}, 50, 1},
		{[]int{1, 2, 3}, 50, 2},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred[:10], 99, 10},
	} {
		if got := bench.Percentile(test.xs, test.p); got != test.want {
			t.Errorf("Percentile of %d values, %d = %v, want %v", len(test.xs), test.p, got, test.want)
		}
	}
}

// TestMedianRatio divides within rounds: a machine that was slow for both in one of them changes nothing.
func TestMedianRatio(t *testing.T) {
	t.Parallel()
	a := map[int]float64{0: 20, 1: 2, 2: 30, 3: 5}
	b := map[int]float64{0: 10, 1: 1, 2: 10, 4: 1}
	if got, ok := bench.MedianRatio(a, b); got != 2 || !ok {
		t.Errorf("got %v, %v", got, ok)
	}
	if _, ok := bench.MedianRatio(a, nil); ok {
		t.Error("a ratio to nothing")
	}
	if _, ok := bench.MedianRatio(a, map[int]float64{0: 0}); ok {
		t.Error("a ratio to zero")
	}
}

func TestBest(t *testing.T) {
	t.Parallel()
	r := &bench.Results{}
	for name, value := range map[string]float64{"rawtcp": 1, "sourcegraph": 5, "rpc2": 3, "nats": 4, "peermesh-signed": 2} {
		for _, w := range []string{"seq", "conc"} {
			r.Samples = append(r.Samples, bench.Sample{Contender: name, Workload: w, Value: value})
		}
	}
	anyone := func(*contender.Contender) bool { return true }
	for _, test := range []struct {
		work  string
		suits func(*contender.Contender) bool
		want  string
	}{
		{"seq", anyone, "rpc2"},
		{"seq", (*contender.Contender).JSON, "nats"},
		{"conc", anyone, "sourcegraph"},
		{"notify", anyone, ""},
	} {
		for _, w := range bench.Workloads {
			if w.Name == test.work {
				if got := r.Best(w, test.suits); got != test.want {
					t.Errorf("best of %s: %q, want %q", test.work, got, test.want)
				}
			}
		}
	}
	if v, ok := r.Ratio("seq", "peermesh-signed", "nats"); v != 0.5 || !ok {
		t.Errorf("ratio %v, %v", v, ok)
	}
}
