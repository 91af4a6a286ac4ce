package bench

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// onOneCPU runs f such that the processes that it starts are bound to one processor, the last one that we may use.
func onOneCPU(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("asking for the processors: %w", err)
	}
	last := -1
	for cpu := range len(before) * 64 {
		if before.IsSet(cpu) {
			last = cpu
		}
	}
	one.Set(last)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("binding to a processor: %w", err)
	}
	err := f()
	if back := unix.SchedSetaffinity(0, &before); err == nil {
		err = back
	}
	return err
}

// NoOneCPU says why processes cannot be bound to one processor here; empty where they can.
const NoOneCPU = ""
