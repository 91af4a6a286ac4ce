package report_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peermesh/examples/rivals/internal/bench"
	"peermesh/examples/rivals/internal/report"
)

// results are made up: in the second round the machine was half as fast.
func results() *bench.Results {
	r := &bench.Results{Date: "2026-01-02", Machine: "a machine", Rounds: 2, Time: time.Second}
	for round, speed := range []float64{1, 0.5} {
		for name, value := range map[string]float64{"rawtcp-mux+hmac": 400_000, "sourcegraph": 30_000, "nats": 80_000, "peermesh-signed": 240_000} {
			r.Samples = append(r.Samples, bench.Sample{Contender: name, Workload: "conc", Round: round, Value: value * speed,
				CPU: 1e6 / value, Allocs: 9, Bytes: 1234})
		}
		r.Mesh = append(r.Mesh, bench.Mesh{Peers: 64, Round: round, Seconds: 2 / speed, Lost: int64(round)})
	}
	return r
}

func work(name string) bench.Workload {
	for _, w := range bench.Workloads {
		if w.Name == name {
			return w
		}
	}
	panic(name)
}

func TestComparison(t *testing.T) {
	t.Parallel()
	table, ok := report.Comparison(results(), work("conc"))
	if !ok {
		t.Fatal("no table")
	}
	var b strings.Builder
	table.Plain(&b)
	want := `
conc: 64 callers on one connection
contender        calls/s          min–max  ÷ sourcegraph  ÷ rawtcp-mux+hmac  ÷ nats  ÷ grpc  ÷ best library  CPU µs/op  allocs/op  bytes/op
---------------  -------  ---------------  -------------  -----------------  ------  ------  --------------  ---------  ---------  --------
rawtcp-mux+hmac  300,000  200,000–400,000          13.33               1.00    5.00       –            5.00       2.50        9.0     1,234
peermesh-signed  180,000  120,000–240,000           8.00               0.60    3.00       –            3.00       4.17        9.0     1,234
nats              60,000    40,000–80,000           2.67               0.20    1.00       –            1.00      12.50        9.0     1,234
sourcegraph       22,500    15,000–30,000           1.00               0.07    0.38       –            0.38      33.33        9.0     1,234
The best library is nats.
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if _, ok := report.Comparison(results(), work("seq")); ok {
		t.Error("a table of what was not measured")
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	got := map[string][]string{}
	for _, row := range report.GoalTable(results()).Rows {
		got[row[0]] = row[1:]
	}
	for name, want := range map[string]string{
		"conc ÷ sourcegraph":                 "8.00 ≥ 6.00 pass ≥ 10.00 FAIL",
		"conc ÷ nats":                        "3.00 ≥ 2.50 pass – ",
		"conc ÷ grpc":                        "– ≥ 2.50 – – ",
		"conc ÷ the fastest library":         "3.00 ≥ 2.00 pass – ",
		"allocations a call, both ends":      "9.00 ≤ 8.00 FAIL ≤ 4.00 FAIL",
		"64 peers in one process linked, s":  "3.00 ≤ 3.00 pass – ",
		"64 peers: broadcasts lost, at most": "1.00 0 FAIL – ",
	} {
		if row := strings.Join(got[name], " "); row != want {
			t.Errorf("%s: %q, want %q", name, row, want)
		}
	}
}

func TestGrowth(t *testing.T) {
	t.Parallel()
	axis := bench.Grow()[0]
	r := &bench.Results{}
	for _, w := range axis.Workloads[:2] {
		r.Samples = append(r.Samples, bench.Sample{Contender: "peermesh-sealed", Workload: w.Name, Value: 5, CPU: 2, Allocs: 1})
	}
	table, ok := report.Growth(r, axis)
	if !ok || len(table.Rows) != 2 || strings.Join(table.Rows[1], " ") != "1KiB 5.0 2.00 1.0" {
		t.Errorf("%+v", table)
	}
	if _, ok := report.Growth(&bench.Results{}, axis); ok {
		t.Error("a table of nothing")
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "README.md")
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	grown := &bench.Results{Samples: []bench.Sample{{Contender: "peermesh-sealed", Workload: bench.Grow()[1].Workloads[0].Name, Value: 77_777}}}
	for range 2 { // the second time it replaces what the first one wrote
		if err := os.WriteFile(file, readme, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(report.Update(file, results()), report.Update(file, grown)); err != nil {
			t.Fatal(err)
		}
		if readme, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if text := string(readme); strings.Count(text, "\n2026-01-02, a machine; medians of 2 rounds of 1s.") != 1 ||
		strings.Count(text, "| peermesh-signed | –") != 1 || strings.Count(text, "77,777") != 1 || !strings.Contains(text, "mesh: N peers") {
		t.Errorf("%s", text)
	}
	if err := os.WriteFile(file, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if report.Update(file, results()) == nil {
		t.Error("a file without marks was changed")
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0.0", 0.04: "0.0", 12.34: "12.3", 123.4: "123", 999.9: "1000", 1234567.8: "1,234,568"} {
		if got := report.Number(v); got != want {
			t.Errorf("Number(%v) = %s, want %s", v, got, want)
		}
	}
}
