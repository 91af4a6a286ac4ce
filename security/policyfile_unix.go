//go:build unix && !aix && !solaris

package security

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// openPolicy opens a file that anybody may read and nobody but its owner, who is the user or root, may change. As with
// openPrivate it checks what was opened.
func openPolicy(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) {
		return nil, insecure(path, "it is a symbolic link; name the file itself")
	}
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch perm := fi.Mode().Perm(); {
	case !fi.Mode().IsRegular():
		err = insecure(path, "it is no plain file")
	case !ok || st.Uid != 0 && !mine(fi):
		err = insecure(path, "it belongs to another user")
	case perm&0o022 != 0:
		err = insecure(path, fmt.Sprintf("others may change it (mode %04o); run chmod go-w on it", perm))
	default:
		err = checkPolicyDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// checkPolicyDir refuses a folder in which others could put another file in the place of this one.
func checkPolicyDir(dir string) error {
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if ok && st.Uid == 0 && fi.Mode().Perm()&0o022 == 0 {
		return nil // root's, such as /etc
	}
	return checkDir(dir, fi)
}
