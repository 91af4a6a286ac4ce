//go:build unix

package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

func defaultDir() string {
	if x := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(x) {
		// After su or sudo the variable may still name the directory of somebody else.
		if fi, err := os.Stat(x); err == nil && fi.IsDir() && owner(fi) == os.Geteuid() {
			return filepath.Join(x, "peerctl")
		}
	}
	return tempDir(os.Geteuid())
}

func owner(fi fs.FileInfo) int {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

func checkOwner(path string, fi fs.FileInfo) error {
	if uid := owner(fi); uid != os.Geteuid() {
		return fmt.Errorf("local: %s belongs to user %d, not to %d", path, uid, os.Geteuid())
	}
	if perm := fi.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("local: %s is open to others (mode %#o, want %#o)", path, perm, perm&0o700)
	}
	return nil
}

// pidSpace names the set of process ids that ours is from. Containers that share a directory do not share process ids.
func pidSpace() string {
	s, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "" // no Linux, or no /proc: then there is one set
	}
	return s
}

// processGone reports whether certainly no process has the id.
func processGone(pid int) bool {
	return pid > 0 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
