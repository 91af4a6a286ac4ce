// Package bench measures contenders: it starts both ends of one as processes of their own, has them do a workload, and
// makes a sample of what that took.
package bench

import "peermesh/examples/rivals/internal/contender"

// Kind is what a workload does.
type Kind string

// The kinds of workloads.
const (
	Seq       Kind = "seq"       // one call after the other: how long does one take
	Calls     Kind = "calls"     // callers that share a connection: how many calls a second
	Bulk      Kind = "bulk"      // one large call after the other: how many bytes a second
	Notify    Kind = "notify"    // one way to one receiver: how many messages a second
	Broadcast Kind = "broadcast" // one way to several receivers: how many deliveries a second
)

// Workload is one thing to measure.
type Workload struct {
	Name      string `json:"name"`
	Title     string `json:"title"`
	Kind      Kind   `json:"kind"`
	Unit      string `json:"unit"`
	Callers   int    `json:"callers,omitzero"`   // of Calls
	Size      int    `json:"size"`               // bytes of text
	Receivers int    `json:"receivers,omitzero"` // of Notify and Broadcast
	OneCPU    bool   `json:"one_cpu,omitzero"`   // both processes are bound to one processor
}

const (
	smallText = 64
	largeText = 1 << 20
)

// Workloads are those that contenders are compared with.
var Workloads = []Workload{
	{Name: "seq1cpu", Title: "one call after the other, both ends on one processor", Kind: Seq, Unit: "µs p50", Size: smallText, OneCPU: true},
	{Name: "seq", Title: "one call after the other", Kind: Seq, Unit: "µs p50", Size: smallText},
	{Name: "conc", Title: "64 callers on one connection", Kind: Calls, Unit: "calls/s", Size: smallText, Callers: 64},
	{Name: "notify", Title: "one way", Kind: Notify, Unit: "messages/s", Size: smallText, Receivers: 1},
	broadcast("bcast8", 8),
	broadcast("bcast32", 32),
	{Name: "big", Title: "1 MiB of text, there and back", Kind: Bulk, Unit: "MiB/s", Size: largeText},
}

func broadcast(name string, receivers int) Workload {
	return Workload{Name: name, Title: "broadcast to " + plural(receivers, "receiver"), Kind: Broadcast, Unit: "deliveries/s",
		Size: smallText, Receivers: receivers}
}

// Lower reports whether less is better.
func (w Workload) Lower() bool { return w.Kind == Seq }

// OneWay reports whether messages have no answer.
func (w Workload) OneWay() bool { return w.Kind == Notify || w.Kind == Broadcast }

// Suits reports whether the contender can do the workload.
func (w Workload) Suits(c *contender.Contender) bool {
	switch w.Kind {
	case Calls:
		return c.Can&contender.Concurrent != 0
	case Notify:
		return c.Can&contender.Notify != 0
	case Broadcast:
		return c.Can&contender.Broadcast != 0
	}
	return true
}

// chunk is how many messages a receiver confirms at once. The sender is at most two chunks ahead of it, and a chunk is
// smaller where a contender refuses what is further ahead.
func (w Workload) chunk(c *contender.Contender) int {
	n, ahead := 10_000, c.NotesAhead
	if w.Kind == Broadcast {
		n, ahead = 16_000/w.Receivers, c.CastsAhead
	}
	if ahead > 0 {
		n = min(n, ahead/2)
	}
	return n
}
