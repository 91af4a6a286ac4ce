//go:build unix

package bench

import "golang.org/x/sys/unix"

// cpuSeconds is what this process has used of processors, user and system.
func cpuSeconds() float64 {
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e9
}
