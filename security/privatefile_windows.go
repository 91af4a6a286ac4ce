package security

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// openPrivate opens a file of secrets. Mode bits and owners as unix has them do not exist on Windows: the file has the
// access list of the user's own profile, under which the commands keep it, and that is left as it is.
func openPrivate(path string, flags int) (*os.File, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, insecure(path, "it is no plain file")
	}
	return os.OpenFile(path, flags, 0o600)
}

func checkDir(dir string, fi fs.FileInfo) error {
	if !fi.IsDir() {
		return insecure(dir, "it is no folder")
	}
	return nil
}

const errSharingViolation = syscall.Errno(32)

// openLocked opens a file of secrets, making an empty one where none is, and lets nobody else open it until it is
// closed. It returns errInUse when somebody has it open.
func openLocked(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	const flagOpenReparsePoint = 0x00200000 // a link is opened itself, and then refused
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS,
		syscall.FILE_ATTRIBUTE_NORMAL|flagOpenReparsePoint, 0)
	if errors.Is(err, errSharingViolation) {
		return nil, errInUse
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(h), path)
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = insecure(path, "it is no plain file")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// syncDir does nothing: folders cannot be flushed on Windows.
func syncDir(string) error { return nil }
