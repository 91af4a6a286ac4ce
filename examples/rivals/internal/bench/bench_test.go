package bench_test

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peermesh/examples/rivals/internal/bench"
	"peermesh/examples/rivals/internal/contender"
)

func TestMain(m *testing.M) {
	bench.Child() // the tests start themselves as the two ends of a measurement
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),      // filecoin's: it lives as long as the process
		goleak.IgnoreTopFunction("github.com/lesismal/arpc.(*Client).batchSendLoop"), // arpc does not wait for it when it is closed
	)
}

// quick is enough to notice what is broken, and says nothing about speed.
var quick = bench.Settings{Time: 2 * time.Millisecond, MaxChunk: 50, Embedded: true}

// TestContenders has every contender do every workload that it can do. Measure fails where an answer is not what was
// asked, and where what was sent one way has not all arrived.
func TestContenders(t *testing.T) {
	for _, c := range contender.All() {
		for _, w := range bench.Workloads {
			if !w.Suits(c) || w.OneCPU {
				continue
			}
			t.Run(c.Name+"/"+w.Name, func(t *testing.T) {
				s, err := bench.Measure(c, w, quick)
				if err != nil {
					t.Fatal(err)
				}
				if s.Ops < 1 || s.Value <= 0 || s.Rate <= 0 {
					t.Errorf("it did nothing: %+v", s)
				}
				if w.Kind == bench.Seq && s.P99 < s.Value {
					t.Errorf("p99 %.1f µs is below p50 %.1f µs", s.P99, s.Value)
				}
			})
		}
	}
}

// TestGrow has ours do what shows how cost grows, up to more callers and larger messages than in the comparison.
func TestGrow(t *testing.T) {
	for _, axis := range bench.Grow() {
		for _, w := range axis.Workloads {
			t.Run(w.Name, func(t *testing.T) {
				if _, err := bench.Measure(contender.Find("peermesh-sealed"), w, quick); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// TestProcesses measures with two processes, as it is done outside of tests.
func TestProcesses(t *testing.T) {
	s := bench.Settings{Time: 20 * time.Millisecond}
	for _, name := range []string{"rawtcp", "rawtcp-mux+hmac", "sourcegraph", "peermesh-signed"} {
		for _, w := range bench.Workloads {
			c := contender.Find(name)
			if !w.Suits(c) || w.Name == "bcast32" {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", name, w.Name), func(t *testing.T) {
				if w.OneCPU && bench.NoOneCPU != "" {
					t.Skip("skip: " + bench.NoOneCPU)
				}
				sample, err := bench.Measure(c, w, s)
				if err != nil {
					t.Fatal(err)
				}
				if sample.CPU <= 0 {
					t.Errorf("it took no time of a processor: %+v", sample)
				}
			})
		}
	}
}

func TestMesh(t *testing.T) {
	m, err := bench.MeasureMesh(5, bench.Settings{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	if m.Peers != 5 || m.Sent != 200 || m.Lost != 0 || m.Seconds <= 0 {
		t.Errorf("%+v", m)
	}
}

func TestEndSaysWhatIsWrong(t *testing.T) {
	var e bench.End
	if err := e.Start(&bench.Spec{Contender: "nobody"}, &bench.Started{}); err == nil {
		t.Error("a contender that does not exist was started")
	}
	if err := e.Tally(nil, &bench.Tally{}); err == nil {
		t.Error("an end that receives nothing has a tally")
	}
}
