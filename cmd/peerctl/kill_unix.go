//go:build !windows

package main

import (
	"os/exec"
	"syscall"
)

// killGroup has the whole group of the command killed when it is cancelled: the shell and what it has started.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
