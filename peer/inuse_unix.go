//go:build !windows

package peer

import "syscall"

func addressInUse(err error) bool { return err == syscall.EADDRINUSE }
