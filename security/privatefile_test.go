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

	"peermesh/security"
)

// TestPrivateFiles makes key and identity files less private in every way: each is refused, in a sentence that names it
// (threat T13).
func TestPrivateFiles(t *testing.T) {
	t.Parallel()
	root := os.Geteuid() == 0
	type spoil struct {
		name string
		do   func(path string) error
		says string
	}
	cases := []spoil{
		{"readable by the group", func(p string) error { return os.Chmod(p, 0o640) }, "mode 0640"},
		{"readable by all", func(p string) error { return os.Chmod(p, 0o604) }, "chmod 600"},
		{"writable by all", func(p string) error { return os.Chmod(p, 0o602) }, "mode 0602"},
		{"a symbolic link", func(p string) error {
			return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p))
		}, "symbolic link"},
		{"a link that dangles", func(p string) error { return errors.Join(os.Remove(p), os.Symlink(p+".none", p)) }, "symbolic link"},
		{"a FIFO", func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) }, "no plain file"},
	}
	if root {
		cases = append(cases, spoil{"another user's", func(p string) error { return os.Chown(p, 12345, -1) }, "another user"})
	}
	entries := []security.Entry{{Key: mustParse(t, groupHex), Send: true}}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "lab.key")
			if err := security.CreateKeyFile(path, entries); err != nil {
				t.Fatal(err)
			}
			if err := c.do(path); err != nil {
				t.Fatal(err)
			}
			for what, f := range map[string]func() error{
				"read":    func() error { _, err := security.ReadKeyFile(path); return err },
				"replace": func() error { return security.ReplaceKeyFile(path, entries) },
			} {
				err := f()
				if !errors.Is(err, security.ErrInsecureFile) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if err := security.CreateKeyFile(path, entries); !errors.Is(err, fs.ErrExist) {
				t.Errorf("create: %v", err)
			}

			path = filepath.Join(dir, "cam.id")
			id, err := security.OpenIdentity(dir, "cam")
			if err != nil {
				t.Fatal(err)
			}
			_ = id.Close()
			if err := c.do(path); err != nil {
				t.Fatal(err)
			}
			_, err = security.OpenIdentity(dir, "cam")
			if c.name == "a FIFO" && err != nil {
				return // refused by the system or by us
			}
			if !errors.Is(err, security.ErrInsecureFile) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("identity: %v", err)
			}
		})
	}
}

func TestPrivateFolders(t *testing.T) {
	t.Parallel()
	entries := []security.Entry{{Key: mustParse(t, groupHex), Send: true}}
	try := func(dir string) []error {
		path := filepath.Join(dir, "lab.key")
		_, err := security.OpenIdentity(dir, "cam")
		return []error{security.CreateKeyFile(path, entries), security.ReplaceKeyFile(path, entries), err}
	}
	loose := filepath.Join(t.TempDir(), "loose")
	if err := errors.Join(os.Mkdir(loose, 0o700), os.Chmod(loose, 0o770)); err != nil {
		t.Fatal(err)
	}
	for i, err := range try(loose) {
		if !errors.Is(err, security.ErrInsecureFile) || !strings.Contains(err.Error(), loose) {
			t.Errorf("%d: %v", i, err)
		}
	}
	sticky := filepath.Join(t.TempDir(), "sticky") // as /tmp
	if err := errors.Join(os.Mkdir(sticky, 0o700), os.Chmod(sticky, 0o777|fs.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	if err := security.CreateKeyFile(filepath.Join(sticky, "lab.key"), entries); err != nil {
		t.Error(err)
	}
	if os.Geteuid() == 0 {
		theirs := filepath.Join(t.TempDir(), "theirs")
		if err := errors.Join(os.Mkdir(theirs, 0o700), os.Chown(theirs, 12345, -1)); err != nil {
			t.Fatal(err)
		}
		for i, err := range try(theirs) {
			if !errors.Is(err, security.ErrInsecureFile) {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
}

func TestKeyFileModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "keys")
	path := filepath.Join(dir, "lab.key")
	entries := []security.Entry{{Key: mustParse(t, groupHex), Send: true}}
	if err := security.CreateKeyFile(path, entries); err != nil {
		t.Fatal(err)
	}
	if err := security.ReplaceKeyFile(path, append(entries, security.Entry{Key: mustParse(t, deviceHex)})); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]fs.FileMode{dir: 0o700, path: 0o600} {
		if fi, err := os.Stat(p); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", p, fi.Mode(), err)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
	if got, err := security.ReadKeyFile(path); err != nil || len(got) != 2 {
		t.Error(got, err)
	}
}
