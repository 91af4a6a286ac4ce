package peer

import "syscall"

// WSAEADDRINUSE; package syscall has no name for it.
const wsaAddressInUse = syscall.Errno(10048)

func addressInUse(err error) bool { return err == wsaAddressInUse }
