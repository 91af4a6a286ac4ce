//go:build unix

package security_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"peermesh/security"
)

// TestSharedFilesPrivate: files of known peers and invites are made private, and refused when they are not.
func TestSharedFilesPrivate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	uses := map[string]func(path string) (use func() error, err error){
		"known peers": func(path string) (func() error, error) {
			k, err := security.OpenKnownPeers(path)
			return func() error { return k.Pin("lab", "cam", peerID(1), "") }, err
		},
		"invites": func(path string) (func() error, error) {
			s, err := security.OpenInvites(path)
			return func() error { return s.Add(newInvite(t, now), "") }, err
		},
	}
	spoils := map[string]func(path string) error{
		"readable by the group": func(p string) error { return os.Chmod(p, 0o640) },
		"writable by all":       func(p string) error { return os.Chmod(p, 0o602) },
		"a symbolic link":       func(p string) error { return errors.Join(os.Rename(p, p+"~"), os.Symlink(p+"~", p)) },
		"a dangling link":       func(p string) error { return errors.Join(os.Remove(p), os.Symlink(p+"~", p)) },
		"a FIFO":                func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) },
		"a folder":              func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) },
	}
	for what, open := range uses {
		for name, spoil := range spoils {
			t.Run(what+" "+name, func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "new")
				path := filepath.Join(dir, "file")
				use, err := open(path)
				if err := errors.Join(err, use()); err != nil {
					t.Fatal(err)
				}
				for p, want := range map[string]fs.FileMode{dir: 0o700, path: 0o600, path + ".lock": 0o600} {
					if fi, err := os.Stat(p); err != nil || fi.Mode().Perm() != want {
						t.Errorf("%s: %v, %v", p, fi.Mode(), err)
					}
				}
				if err := spoil(path); err != nil {
					t.Fatal(err)
				}
				if err := use(); !errors.Is(err, security.ErrInsecureFile) || !strings.Contains(err.Error(), path) {
					t.Errorf("used: %v", err)
				}
				if _, err := open(path); !errors.Is(err, security.ErrInsecureFile) || !strings.Contains(err.Error(), path) {
					t.Errorf("opened: %v", err)
				}
			})
		}
		t.Run(what+" elsewhere", func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "loose")
			if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770)); err != nil {
				t.Fatal(err)
			}
			use, err := open(filepath.Join(dir, "file"))
			if err != nil {
				t.Fatal(err)
			}
			if err := use(); !errors.Is(err, security.ErrInsecureFile) {
				t.Error(err)
			}
			dir = t.TempDir()
			if err := os.Symlink(dir, filepath.Join(dir, "file.lock")); err != nil {
				t.Fatal(err)
			}
			use, err = open(filepath.Join(dir, "file"))
			if err != nil {
				t.Fatal(err)
			}
			if err := use(); !errors.Is(err, security.ErrInsecureFile) || !strings.Contains(err.Error(), "file.lock") {
				t.Error(err)
			}
		})
	}
}
