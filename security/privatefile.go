package security

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrInsecureFile is returned for a file of secrets that others than its owner could read or change, that belongs to
// somebody else, or that is no plain file. The message names the file and the remedy.
var ErrInsecureFile = errors.New("security: refused")

// errInUse is returned by openLocked for a file that somebody has open.
var errInUse = errors.New("security: the file is in use")

// readPrivate reads a file of secrets of at most limit bytes.
func readPrivate(path string, limit int64) ([]byte, error) {
	f, err := openPrivate(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, limit)
}

func readAll(f *os.File, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.NewSectionReader(f, 0, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		clear(data)
		return nil, fmt.Errorf("security: %s: larger than %d bytes", f.Name(), limit)
	}
	return data, nil
}

// createPrivate makes a file of secrets, and its folder when that is missing. It returns fs.ErrExist, in an
// *fs.PathError, when the file is there.
func createPrivate(path string, data []byte) error {
	if err := ensureDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := writeNew(path, data); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// replacePrivate writes a file of secrets so that it holds either what it held or data, also after a power cut. What is
// replaced must be as private as what replaces it.
func replacePrivate(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := ensureDir(dir); err != nil {
		return err
	}
	switch f, err := openPrivate(path, os.O_RDONLY); {
	case err == nil:
		_ = f.Close()
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	var unique [8]byte
	rand.Read(unique[:])
	temp := filepath.Join(dir, "."+filepath.Base(path)+"."+hex.EncodeToString(unique[:]))
	if err := writeNew(temp, data); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(dir)
}

// writeNew writes a file that must not be there yet, down to the disk. It leaves nothing behind on an error.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// ensureDir makes a folder for secrets, or checks that nobody else can put files into the one that is there.
func ensureDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return checkDir(dir, fi)
}

func insecure(path, problem string) error {
	return fmt.Errorf("%w: %s: %s", ErrInsecureFile, path, problem)
}
