//go:build unix

package security_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"peermesh/security"
)

// TestPolicyFileOthers: a policy that others could change is refused, in a sentence that names it.
func TestPolicyFileOthers(t *testing.T) {
	t.Parallel()
	type spoil struct {
		name string
		do   func(path string) error
		says string // empty: it is read
	}
	cases := []spoil{
		{"readable by all", func(p string) error { return os.Chmod(p, 0o644) }, ""},
		{"writable by the group", func(p string) error { return os.Chmod(p, 0o664) }, "mode 0664"},
		{"writable by all", func(p string) error { return os.Chmod(p, 0o606) }, "chmod go-w"},
		{"a symbolic link", func(p string) error { return errors.Join(os.Rename(p, p+"~"), os.Symlink(p+"~", p)) }, "symbolic link"},
		{"a FIFO", func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) }, "no plain file"},
		{"a folder", func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, "no plain file"},
		{"in a folder writable by the group", func(p string) error { return os.Chmod(filepath.Dir(p), 0o770) }, "change the folder"},
	}
	if os.Geteuid() == 0 {
		cases = append(cases,
			spoil{"another user's", func(p string) error { return os.Chown(p, 12345, -1) }, "another user"},
			spoil{"in another user's folder", func(p string) error { return os.Chown(filepath.Dir(p), 12345, -1) }, "another user"})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "policy")
			if err := errors.Join(os.Chmod(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(policyText), 0o600), c.do(path)); err != nil {
				t.Fatal(err)
			}
			p, err := security.ReadPolicyFile(path)
			if c.says == "" {
				if p == nil || err != nil {
					t.Error(err)
				}
				return
			}
			if p != nil || !errors.Is(err, security.ErrInsecureFile) || !strings.Contains(err.Error(), filepath.Dir(path)) || !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
		})
	}
}
