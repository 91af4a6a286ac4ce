package peer

import "sync"

// keepMessage is the largest buffer that is kept for the next message.
const keepMessage = 64 << 10

// messageBytes holds what incoming messages refer to, resultBytes what is being encoded.
var (
	messageBytes = sync.Pool{New: newBytes}
	resultBytes  = sync.Pool{New: newBytes}
)

func newBytes() any { b := make([]byte, 0, 1024); return &b }

func putBytes(b *[]byte) {
	if cap(*b) <= keepMessage {
		resultBytes.Put(b)
	}
}
