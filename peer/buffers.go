package peer

import "sync"

// keepMessage is up to where a buffer counts as small.
const keepMessage = 64 << 10

// worthKeeping reports whether a buffer is kept for the next message: a small one always, a large one as long as it is
// needed for large messages. Otherwise a rare one would be paid for in memory by every call that is made at one time.
func worthKeeping(b []byte) bool { return cap(b) <= keepMessage || len(b) >= cap(b)/4 }

// emptied returns a buffer to be filled anew: this one, where it is worth keeping.
func emptied(b []byte) []byte {
	if worthKeeping(b) {
		return b[:0]
	}
	return nil
}

// large has the large buffers that links have given back: an idle link holds none.
var large sync.Pool

// extend returns buf with room for n more bytes; where that makes it large, by a buffer that was given back.
func extend(buf []byte, n int) []byte {
	need := len(buf) + n
	if need <= cap(buf) || need <= keepMessage {
		return buf
	}
	grown := takeLarge(max(need+need/8, 2*len(buf)))
	grown = append(grown, buf...)
	giveLarge(buf)
	return grown
}

func takeLarge(size int) []byte {
	if b, _ := large.Get().(*[]byte); b != nil && cap(*b) >= size && cap(*b) <= 4*size {
		return (*b)[:0]
	}
	return make([]byte, 0, size)
}

// giveLarge gives a buffer back that nobody refers to any more.
func giveLarge(b []byte) {
	if cap(b) > keepMessage {
		large.Put(&b)
	}
}
