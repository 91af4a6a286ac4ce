package report

import (
	"math"

	"peermesh/examples/rivals/internal/bench"
	"peermesh/examples/rivals/internal/contender"
)

// Goal is something that this project wants to measure up to.
type Goal struct {
	Name        string
	Want, Reach float64 // 0: there is none
	Less        bool    // the smaller the better
	Measure     func(*bench.Results) (float64, bool)
}

const (
	signed   = "peermesh-signed"
	sealed   = "peermesh-sealed"
	wsSigned = "peermesh-ws-signed"
)

// Goals are all of them.
func Goals() []Goal {
	goals := []Goal{
		by("conc", "sourcegraph", 6, 10),
		by("conc", "nats", 2.5, 0),
		by("conc", "grpc", 2.5, 0),
		byBest("conc", "the fastest library", 2, (*contender.Contender).Library),
		by("conc", "rawtcp-mux+hmac", 0.5, 0.75),
		{Name: "seq1cpu p50 ÷ rawtcp", Want: 1.3, Less: true, Measure: ratioTo("seq1cpu", signed, "rawtcp")},
		{Name: "seq1cpu p50 ÷ fastest that speaks JSON", Want: 1, Less: true, Measure: ratioToBest("seq1cpu", (*contender.Contender).JSON)},
		by("notify", "sourcegraph", 8, 0),
		by("notify", "nats", 1, 1.3),
		by("bcast8", "sourcegraph", 10, 0),
		by("bcast8", "nats", 1, 1.3),
		by("bcast32", "sourcegraph", 10, 0),
		by("bcast32", "nats", 1, 1.3),
		byBest("big", "the fastest that speaks JSON", 2, (*contender.Contender).JSON),
		by("big", "sourcegraph", 10, 0),
		by("big", "grpc", 0, 1),
		allocs("conc", "a call", 8, 4),
		allocs("notify", "a notification", 4, 2),
		allocs("bcast8", "a delivery to 8", 3, 2),
		allocs("bcast32", "a delivery to 32", 3, 2),
	}
	for _, w := range []string{"conc", "notify", "bcast8", "bcast32", "big"} {
		goals = append(goals,
			Goal{Name: w + ": sealed ÷ signed", Want: 0.75, Measure: ratioTo(w, sealed, signed)},
			Goal{Name: w + ": WebSocket ÷ TCP, signed", Want: 0.7, Measure: ratioTo(w, wsSigned, signed)})
	}
	return append(goals,
		Goal{Name: "idle link end, KiB (mesh of 32)", Want: 48, Reach: 24, Less: true,
			Measure: ofMesh(32, func(m bench.Mesh) float64 { return m.Memory / 1024 })},
		Goal{Name: "idle link end, goroutines (mesh of 32)", Want: 2, Less: true,
			Measure: ofMesh(32, func(m bench.Mesh) float64 { return m.Goroutines })},
		Goal{Name: "64 peers in one process linked, s", Want: 3, Less: true,
			Measure: ofMesh(64, func(m bench.Mesh) float64 { return m.Seconds })},
		Goal{Name: "64 peers: broadcasts lost, at most", Less: true, Measure: func(r *bench.Results) (lost float64, ok bool) {
			for _, m := range r.Mesh {
				if m.Peers == 64 {
					lost, ok = lost+float64(m.Lost), true
				}
			}
			return lost, ok
		}})
}

// by is a goal of what we do one-way or in parallel, as a multiple of what somebody else does.
func by(work, other string, want, reach float64) Goal {
	return Goal{Name: work + " ÷ " + other, Want: want, Reach: reach, Measure: ratioTo(work, signed, other)}
}

func byBest(work, whom string, want float64, suits func(*contender.Contender) bool) Goal {
	return Goal{Name: work + " ÷ " + whom, Want: want, Measure: ratioToBest(work, suits)}
}

func ratioTo(work, ours, other string) func(*bench.Results) (float64, bool) {
	return func(r *bench.Results) (float64, bool) { return r.Ratio(work, ours, other) }
}

// ratioToBest divides by the library that has the best median of those that suit.
func ratioToBest(work string, suits func(*contender.Contender) bool) func(*bench.Results) (float64, bool) {
	return func(r *bench.Results) (float64, bool) {
		for _, w := range bench.Workloads {
			if w.Name == work {
				return r.Ratio(work, signed, r.Best(w, suits))
			}
		}
		return 0, false
	}
}

func allocs(work, what string, want, reach float64) Goal {
	return Goal{Name: "allocations " + what + ", both ends", Want: want, Reach: reach, Less: true,
		Measure: func(r *bench.Results) (float64, bool) { return r.MedianOf(signed, work, bench.Allocs) }}
}

func ofMesh(n int, value func(bench.Mesh) float64) func(*bench.Results) (float64, bool) {
	return func(r *bench.Results) (float64, bool) {
		var xs []float64
		for _, m := range r.Mesh {
			if m.Peers == n {
				xs = append(xs, value(m))
			}
		}
		return bench.Median(xs), len(xs) > 0
	}
}

// GoalTable says which goals are met.
func GoalTable(r *bench.Results) Table {
	t := Table{Title: "Goals (" + signed + " where nothing else is said)", Head: []string{"goal", "measured", "wanted", "", "reach", ""}}
	for _, g := range Goals() {
		v, ok := g.Measure(r)
		v = math.Round(v*100) / 100 // as it is shown
		want, met := g.held(v, g.Want, ok)
		reach, reached := g.held(v, g.Reach, ok)
		if g.Want == 0 && g.Less { // none at all
			want, met = "0", verdict(v == 0, ok)
		}
		t.Rows = append(t.Rows, []string{g.Name, maybe(v, ok, ratio), want, met, reach, reached})
	}
	return t
}

// held holds a value against a bound.
func (g Goal) held(v, bound float64, ok bool) (text, met string) {
	if bound == 0 {
		return none, ""
	}
	if g.Less {
		return "≤ " + ratio(bound), verdict(v <= bound, ok)
	}
	return "≥ " + ratio(bound), verdict(v >= bound, ok)
}

func verdict(met, measured bool) string {
	switch {
	case !measured:
		return none
	case met:
		return "pass"
	}
	return "FAIL"
}
