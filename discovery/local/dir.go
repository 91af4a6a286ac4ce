package local

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// DefaultDir returns the directory that a Source uses when none is configured: "peerctl" in $XDG_RUNTIME_DIR when that
// is a directory of this user, else "peerctl-<uid>" in the folder for temporary files. On Windows it is "peerctl" in
// the user's cache directory. It need not exist yet.
func DefaultDir() string { return defaultDir() }

// openDir makes the directory if it does not exist, and opens it if it is ours alone. It is opened anew for each use,
// and held no longer: runtime directories vanish when a session ends, and come back with the next.
func openDir(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	before, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if err := checkDir(dir, before); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	// What was opened is what was checked: nobody put another directory, or a link to one, in its place.
	after, err := root.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("local: %s was replaced while it was opened", dir)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

func checkDir(dir string, fi fs.FileInfo) error {
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("local: %s is a symbolic link", dir)
	case !fi.IsDir():
		return fmt.Errorf("local: %s is not a directory", dir)
	}
	return checkOwner(dir, fi)
}

// tempDir is the place of last resort; it needs neither a home nor a session.
func tempDir(uid int) string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("peerctl-%d", uid))
}
