package bench

import "runtime"

// Usage is what a process has used since its start.
type Usage struct {
	CPU    float64 // seconds, user and system
	Allocs uint64
	Bytes  uint64
}

// usage reads it, the garbage collector's share included.
func usage() Usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Usage{CPU: cpuSeconds(), Allocs: m.Mallocs, Bytes: m.TotalAlloc}
}

func (u Usage) plus(o Usage) Usage {
	return Usage{CPU: u.CPU + o.CPU, Allocs: u.Allocs + o.Allocs, Bytes: u.Bytes + o.Bytes}
}

func (u Usage) minus(o Usage) Usage {
	return Usage{CPU: u.CPU - o.CPU, Allocs: u.Allocs - o.Allocs, Bytes: u.Bytes - o.Bytes}
}
