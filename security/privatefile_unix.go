//go:build unix && !aix && !solaris

package security

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openPrivate opens a file of secrets with the rule of ssh: a plain file, mine, and closed to all others. It checks the
// file that was opened, not the name, so that nothing can be put in its place in between.
func openPrivate(path string, flags int) (*os.File, error) {
	// O_NONBLOCK: a FIFO must not hold us up before we have seen that it is one.
	f, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) { // FreeBSD says EMLINK
		return nil, insecure(path, "it is a symbolic link; name the file itself")
	}
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil {
		err = checkFile(path, fi)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func checkFile(path string, fi fs.FileInfo) error {
	if !fi.Mode().IsRegular() {
		return insecure(path, "it is no plain file")
	}
	if !mine(fi) {
		return insecure(path, "it belongs to another user")
	}
	if perm := fi.Mode().Perm(); perm&0o077 != 0 {
		return insecure(path, fmt.Sprintf("others may use it (mode %04o); run chmod 600 on it", perm))
	}
	return nil
}

// checkDir refuses a folder in which others could put a file in the place of ours: theirs, or writable to them and not
// sticky as /tmp is.
func checkDir(dir string, fi fs.FileInfo) error {
	if !fi.IsDir() {
		return insecure(dir, "it is no folder")
	}
	sticky := fi.Mode()&fs.ModeSticky != 0
	if !mine(fi) && !sticky {
		return insecure(dir, "the folder belongs to another user")
	}
	if perm := fi.Mode().Perm(); perm&0o022 != 0 && !sticky {
		return insecure(dir, fmt.Sprintf("others may change the folder (mode %04o); run chmod 700 on it", perm))
	}
	return nil
}

func mine(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// openLocked opens a file of secrets, making an empty one where none is, and locks it until it is closed. It returns
// errInUse when it is locked already, by this process or another.
func openLocked(path string) (*os.File, error) {
	f, err := openPrivate(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errInUse
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// syncDir makes a new name in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
