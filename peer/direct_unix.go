//go:build unix

package peer

import (
	"errors"
	"syscall"
)

const canTry = true

// tryWrite writes what fits into the connection's buffer.
func tryWrite(fd uintptr, buf []byte) (int, error) {
	n, err := syscall.Write(int(fd), buf)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return 0, nil
	}
	return max(n, 0), err
}
