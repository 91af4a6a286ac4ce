package bench

import (
	"fmt"
	"strconv"
)

// The axes along which cost grows.
var (
	growSizes     = []int{64, 1 << 10, 16 << 10, 256 << 10}
	growCallers   = []int{1, 4, 16, 64, 256}
	growReceivers = []int{1, 2, 8, 32}
)

// sizeCallers is how many callers messages of growing size have: so few that what waits fits into the queues.
const sizeCallers = 16

// Axis is a row of workloads that differ in one thing.
type Axis struct {
	Name, Title string
	Workloads   []Workload
}

// Grow are the workloads that show how cost grows.
func Grow() []Axis {
	sizes := Axis{Name: "size", Title: fmt.Sprintf("size of the text, %d callers", sizeCallers)}
	for _, n := range growSizes {
		sizes.Workloads = append(sizes.Workloads, Workload{Name: "size-" + Bytes(n), Title: Bytes(n), Kind: Calls, Unit: "calls/s",
			Size: n, Callers: sizeCallers})
	}
	callers := Axis{Name: "callers", Title: "callers on one connection, 64 B"}
	for _, n := range growCallers {
		callers.Workloads = append(callers.Workloads, Workload{Name: "callers-" + strconv.Itoa(n), Title: plural(n, "caller"),
			Kind: Calls, Unit: "calls/s", Size: smallText, Callers: n})
	}
	receivers := Axis{Name: "receivers", Title: "receivers of a broadcast, 64 B"}
	for _, n := range growReceivers {
		w := broadcast("receivers-"+strconv.Itoa(n), n)
		w.Title = plural(n, "receiver")
		receivers.Workloads = append(receivers.Workloads, w)
	}
	return []Axis{sizes, callers, receivers}
}

// Bytes writes a number of bytes as one does: 64 B, 16 KiB.
func Bytes(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + "KiB"
	}
	return strconv.Itoa(n) + "B"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
