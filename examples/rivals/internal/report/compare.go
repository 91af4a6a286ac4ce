package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"peermesh/examples/rivals/internal/bench"
	"peermesh/examples/rivals/internal/contender"
)

// Contenders lists who is compared.
func Contenders(r *bench.Results) Table {
	t := Table{Title: "Contenders", Head: []string{"contender", "what it is", "version", "messages are", "protected by"}, Left: 4}
	for _, c := range contender.All() {
		if slices.ContainsFunc(r.Samples, func(s bench.Sample) bool { return s.Contender == c.Name }) {
			t.Rows = append(t.Rows, []string{c.Name, c.About, cmp.Or(r.Versions[c.Name], none), string(c.Wire), cmp.Or(c.Guard, "nothing")})
		}
	}
	return t
}

// Where says where and how the samples were taken.
func Where(r *bench.Results) string {
	where := fmt.Sprintf("%s, %s; medians of %d rounds of %v.", r.Date, r.Machine, r.Rounds, r.Time)
	if r.Note != "" {
		where += " " + r.Note
	}
	return where
}

// Comparison is the table of one workload: best first.
func Comparison(r *bench.Results, w bench.Workload) (Table, bool) {
	best := r.Best(w, func(*contender.Contender) bool { return true })
	by := []string{"sourcegraph", "rawtcp-mux+hmac", "nats", "grpc"}
	t := Table{Title: w.Name + ": " + w.Title, Head: []string{"contender", w.Unit, "min–max"}}
	for _, name := range by {
		t.Head = append(t.Head, "÷ "+name)
	}
	t.Head = append(t.Head, "÷ best library")
	if best != "" {
		t.Notes = append(t.Notes, "The best library is "+best+".")
	}
	by = append(by, best)
	if w.Kind == bench.Seq {
		t.Head = append(t.Head, "p99 µs", "calls/s")
	}
	t.Head = append(t.Head, "CPU µs/op", "allocs/op", "bytes/op")
	type row struct {
		value float64
		cells []string
	}
	var rows []row
	for _, c := range contender.All() {
		samples := r.Of(c.Name, w.Name)
		if len(samples) == 0 {
			continue
		}
		median := func(value func(bench.Sample) float64) float64 {
			v, _ := r.MedianOf(c.Name, w.Name, value)
			return v
		}
		values := slices.Collect(maps.Values(bench.Rounds(samples, bench.Value)))
		cells := []string{c.Name, Number(median(bench.Value)), Number(slices.Min(values)) + "–" + Number(slices.Max(values))}
		for _, name := range by {
			v, ok := r.Ratio(w.Name, c.Name, name)
			cells = append(cells, maybe(v, ok, ratio))
		}
		if w.Kind == bench.Seq {
			cells = append(cells, Number(median(bench.P99)), Number(median(bench.Rate)))
		}
		cells = append(cells, ratio(median(bench.CPU)), Number(median(bench.Allocs)), Number(median(bench.Memory)))
		rows = append(rows, row{median(bench.Value), cells})
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		if w.Lower() {
			return cmp.Compare(a.value, b.value)
		}
		return cmp.Compare(b.value, a.value)
	})
	for _, row := range rows {
		t.Rows = append(t.Rows, row.cells)
	}
	return t, len(rows) > 0
}

// Summary has a row for each contender and a column for each workload.
func Summary(r *bench.Results) Table {
	t := Table{Title: "Summary", Head: []string{"contender"}}
	for _, w := range bench.Workloads {
		t.Head = append(t.Head, w.Name+", "+w.Unit)
	}
	t.Head = append(t.Head, "CPU µs/call", "allocs/call")
	for _, c := range contender.All() {
		row := []string{c.Name}
		some := false
		for _, w := range bench.Workloads {
			v, ok := r.MedianOf(c.Name, w.Name, bench.Value)
			row, some = append(row, maybe(v, ok, Number)), some || ok
		}
		for _, value := range []func(bench.Sample) float64{bench.CPU, bench.Allocs} {
			v, ok := r.MedianOf(c.Name, "conc", value)
			row = append(row, maybe(v, ok, Number))
		}
		if some {
			t.Rows = append(t.Rows, row)
		}
	}
	t.Notes = append(t.Notes, "CPU and allocations are those of conc, both ends together.")
	return t
}

// Mesh is the table of meshes, ours alone.
func Mesh(r *bench.Results) (Table, bool) {
	t := Table{Title: "mesh: N peers in one process, sealed TCP, each linked with each",
		Head: []string{"peers", "links", "linked ms", "min–max", "CPU ms", "links made twice", "KiB an idle link end", "goroutines an end", "broadcast deliveries", "lost"}}
	for _, n := range bench.MeshSizes {
		var ms, cpu, twice, memory, goroutines []float64
		var sent, lost int64
		for _, m := range r.Mesh {
			if m.Peers == n {
				ms, cpu = append(ms, m.Seconds*1e3), append(cpu, m.CPU*1e3)
				twice = append(twice, float64(m.Twice))
				memory, goroutines = append(memory, m.Memory/1024), append(goroutines, m.Goroutines)
				sent, lost = sent+m.Sent, lost+m.Lost
			}
		}
		if len(ms) == 0 {
			continue
		}
		t.Rows = append(t.Rows, []string{fmt.Sprint(n), thousands(int64(n * (n - 1) / 2)), Number(bench.Median(ms)),
			Number(slices.Min(ms)) + "–" + Number(slices.Max(ms)), Number(bench.Median(cpu)), thousands(int64(bench.Median(twice))),
			Number(bench.Median(memory)), Number(bench.Median(goroutines)), thousands(sent), thousands(lost)})
	}
	return t, len(t.Rows) > 0
}

// Growth is the table of one axis: what each contender does, and at what cost.
func Growth(r *bench.Results, axis bench.Axis) (Table, bool) {
	t := Table{Title: axis.Title, Head: []string{axis.Name}}
	var names []string
	for _, c := range contender.All() {
		if slices.ContainsFunc(axis.Workloads, func(w bench.Workload) bool { return len(r.Of(c.Name, w.Name)) > 0 }) {
			names = append(names, c.Name)
			t.Head = append(t.Head, c.Name+" "+axis.Workloads[0].Unit, "CPU µs", "allocs")
		}
	}
	for _, w := range axis.Workloads {
		row, some := []string{w.Title}, false
		for _, name := range names {
			for i, value := range []func(bench.Sample) float64{bench.Value, bench.CPU, bench.Allocs} {
				v, ok := r.MedianOf(name, w.Name, value)
				row, some = append(row, maybe(v, ok, [...]func(float64) string{Number, ratio, Number}[i])), some || ok
			}
		}
		if some {
			t.Rows = append(t.Rows, row)
		}
	}
	return t, len(names) > 0
}
