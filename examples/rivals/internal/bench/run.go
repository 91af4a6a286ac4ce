package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"peermesh/examples/rivals/internal/contender"
)

// Results are all samples of a run, and where they were taken.
type Results struct {
	Date     string            `json:"date"`
	Machine  string            `json:"machine"`
	Versions map[string]string `json:"versions"`       // by contender
	Note     string            `json:"note,omitempty"` // what else is to be known
	Rounds   int               `json:"rounds"`
	Time     time.Duration     `json:"time_ns"`
	Samples  []Sample          `json:"samples"`
	Mesh     []Mesh            `json:"mesh,omitempty"`
	Skipped  []string          `json:"skipped,omitempty"`
}

// NewResults are results without samples, of this machine, today.
func NewResults(rounds int, s Settings) *Results {
	r := &Results{Date: time.Now().Format(time.DateOnly), Machine: machine(), Versions: map[string]string{}, Rounds: rounds, Time: s.Time}
	modules := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			modules[m.Path] = m.Version
		}
	}
	for _, c := range contender.All() {
		switch {
		case c.Module != "":
			r.Versions[c.Name] = modules[c.Module]
		case c.Library():
			r.Versions[c.Name] = runtime.Version()
		}
	}
	return r
}

// machine says what this is.
func machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s/%s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// Run has the contenders take turns at each workload, round after round, and adds the samples to r. A contender that
// fails misses the round; the error names all failures. say is told of each sample.
func (r *Results) Run(contenders []*contender.Contender, workloads []Workload, s Settings, say func(string)) error {
	var errs []error
	total := 0
	for _, w := range workloads {
		total += r.Rounds * len(suitable(contenders, w))
	}
	done := 0
	for _, w := range workloads {
		turn := suitable(contenders, w)
		if w.OneCPU && NoOneCPU != "" {
			r.Skipped = append(r.Skipped, w.Name+": "+NoOneCPU)
			say("skip " + w.Name + ": " + NoOneCPU)
			done += r.Rounds * len(turn)
			continue
		}
		for round := range r.Rounds {
			for _, c := range turn {
				done++
				sample, err := Measure(c, w, s)
				head := fmt.Sprintf("%3d/%d  %-12s round %d  %-18s", done, total, w.Name, round+1, c.Name)
				if err != nil {
					errs = append(errs, err)
					say(head + " FAILED: " + err.Error())
					continue
				}
				sample.Round = round
				r.Samples = append(r.Samples, sample)
				say(fmt.Sprintf("%s %12.1f %s", head, sample.Value, w.Unit))
			}
		}
	}
	return errors.Join(errs...)
}

func suitable(contenders []*contender.Contender, w Workload) (list []*contender.Contender) {
	for _, c := range contenders {
		if w.Suits(c) {
			list = append(list, c)
		}
	}
	return list
}

// RunMesh measures meshes of all sizes.
func (r *Results) RunMesh(s Settings, say func(string)) error {
	var errs []error
	for round := range r.Rounds {
		for _, n := range MeshSizes {
			m, err := MeasureMesh(n, s)
			if err != nil {
				errs = append(errs, err)
				say(fmt.Sprintf("mesh of %d, round %d FAILED: %v", n, round+1, err))
				continue
			}
			m.Round = round
			r.Mesh = append(r.Mesh, m)
			say(fmt.Sprintf("mesh of %2d  round %d  %6.0f ms  %.1f KiB an end  %d lost", n, round+1, m.Seconds*1e3, m.Memory/1024, m.Lost))
		}
	}
	return errors.Join(errs...)
}

// Of returns the samples of a contender for a workload.
func (r *Results) Of(contender, workload string) (list []Sample) {
	for _, s := range r.Samples {
		if s.Contender == contender && s.Workload == workload {
			list = append(list, s)
		}
	}
	return list
}

// Rounds returns a value of each round's sample.
func Rounds(samples []Sample, value func(Sample) float64) map[int]float64 {
	m := make(map[int]float64, len(samples))
	for _, s := range samples {
		m[s.Round] = value(s)
	}
	return m
}

// The values of a sample that are looked at.
var (
	Value  = func(s Sample) float64 { return s.Value }
	P99    = func(s Sample) float64 { return s.P99 }
	Rate   = func(s Sample) float64 { return s.Rate }
	CPU    = func(s Sample) float64 { return s.CPU }
	Allocs = func(s Sample) float64 { return s.Allocs }
	Memory = func(s Sample) float64 { return s.Bytes }
)

// MedianOf returns the median of a value, and whether there are samples.
func (r *Results) MedianOf(contender, workload string, value func(Sample) float64) (float64, bool) {
	return medianOf(r.Of(contender, workload), value)
}

func medianOf(samples []Sample, value func(Sample) float64) (float64, bool) {
	var xs []float64
	for _, s := range samples {
		xs = append(xs, value(s))
	}
	return Median(xs), len(xs) > 0
}

// Ratio returns the median over the rounds of a contender's value divided by that of another one.
func (r *Results) Ratio(workload, contender, by string) (float64, bool) {
	return MedianRatio(Rounds(r.Of(contender, workload), Value), Rounds(r.Of(by, workload), Value))
}

// Best returns the library with the best median for a workload, of those that suit; "" for none.
func (r *Results) Best(w Workload, suits func(*contender.Contender) bool) (best string) {
	var value float64
	for _, c := range contender.All() {
		v, ok := r.MedianOf(c.Name, w.Name, Value)
		if !ok || !c.Library() || !suits(c) {
			continue
		}
		if best == "" || (v < value) == w.Lower() {
			best, value = c.Name, v
		}
	}
	return best
}
