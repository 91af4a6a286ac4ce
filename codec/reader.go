package codec

import (
	"errors"
	"fmt"
	"io"
)

// TooLargeError is returned by Reader.Next for a frame above the limit. The frame was skipped, without being stored;
// the next call goes on behind it.
type TooLargeError struct{ Limit int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("codec: the frame is larger than %d bytes", e.Limit)
}

// ErrTruncated is returned by Reader.Next, once and before io.EOF, when the stream ends within a frame. What was there
// of it is dropped: "a frame ends at its delimiter".
var ErrTruncated = errors.New("codec: the stream ended within a frame")

// ErrNoFraming is returned by Reader.Next when the framing is to be detected and the first bytes of the stream, up to
// the limit, hold no delimiter. It is final.
var ErrNoFraming = errors.New("codec: no frame delimiter in the first bytes")

// Reader reads frames from a stream. It is for one goroutine.
//
// Its buffer grows with what was really received, whatever lengths are announced, to at most 4 KiB above the limit. It
// begins with 4 KiB and has 16 where more comes than that at a time. It is given back when it is empty and above 64 KiB,
// and grows at once to what it was then; a smaller one when little came several times. In steady state a Reader allocates
// nothing, except in Terse.
type Reader struct {
	// Reserve, when set, is asked before the buffer grows to a size, and told with the size 0 when it was given back.
	// An error ends reading: Next returns it.
	Reserve func(size int) error

	// Oversized, when set, is asked as soon as a frame turns out to be larger than the limit. An error ends reading, and
	// Next returns it; otherwise the frame is skipped.
	Oversized func() error

	// Take, when set, makes the buffers for large frames, of at least the size; Give gets back each of them that is not
	// needed any more, before Next returns. So a stream whose next large frame is far off holds none.
	Take func(size int) []byte
	Give func([]byte)

	src      io.Reader
	framing  Framing
	detector detector
	limit    int
	buf      []byte // buf[start:end] is read and not handed out yet
	start    int
	end      int
	large    int  // what was in the buffer that was given back last
	full     bool // the last read has filled the buffer
	little   int  // reads in a row that a far smaller buffer had been enough for
	from     int  // for the next Cut, relative to start
	skip     bool // an oversized frame is being skipped
	state    SkipState
	err      error // of the stream; what was read before it is still to be cut
	final    error // what every further call returns
}

const (
	readerBuffer = 4 << 10
	busyBuffer   = 16 << 10 // where the stream fills the first one
	keepBuffer   = 64 << 10 // a larger buffer is given back once it is empty
	littleReads  = 8        // after so many a buffer above readerBuffer is given back

	// maxOverhead bounds what stands around a frame: LSP headers, delimiters, the spaces that terse drops.
	maxOverhead = 4 << 10
)

// NewReader makes a Reader of frames up to limit bytes, without delimiters and headers. With a nil framing the first
// bytes decide, as Detect tells. Nothing is read before the first Next.
func NewReader(src io.Reader, framing Framing, limit int) *Reader {
	return &Reader{src: src, framing: framing, limit: max(0, limit)}
}

// Framing returns the framing that is used, nil before it was detected.
func (r *Reader) Framing() Framing { return r.framing }

// SetFraming fixes the framing of a stream whose framing is not known yet. It does nothing once it is.
func (r *Reader) SetFraming(f Framing) {
	if r.framing == nil {
		r.framing = f
	}
}

// SetLimit changes the limit, for frames that are not complete yet.
func (r *Reader) SetLimit(n int) { r.limit = max(0, n) }

// Buffered returns how many bytes are held that were not handed out yet: the next frames, or the beginning of one.
func (r *Reader) Buffered() int { return r.end - r.start }

// Next returns the next frame, without its delimiter; one that is empty is a keep-alive. The frame may be changed, and
// is valid until the next call.
//
// A *TooLargeError, and in Terse an error that unwraps to ErrSyntax, concern one frame: the next call goes on behind
// it. ErrTruncated and then io.EOF tell the end of the stream. Every other error (of the stream, of Reserve, ErrHeader,
// ErrNoFraming) is final: all further calls return it.
func (r *Reader) Next() ([]byte, error) {
	for r.final == nil {
		frame, ok, err := r.cut()
		if ok || err != nil {
			return frame, err
		}
		if r.err != nil {
			return nil, r.atEnd()
		}
		r.fill()
	}
	return nil, r.final
}

// atEnd tells what the end of the stream means.
func (r *Reader) atEnd() error {
	truncated := r.err == io.EOF && (r.end > r.start || r.skip)
	err := r.fail(r.err)
	if truncated {
		return ErrTruncated
	}
	return err
}

// fail ends the Reader.
func (r *Reader) fail(err error) error {
	r.start, r.end, r.buf = 0, 0, nil
	r.final = err
	return err
}

// cut takes a frame out of the buffer if there is a whole one.
func (r *Reader) cut() (frame []byte, ok bool, err error) {
	if r.framing == nil {
		if err := r.detect(); err != nil || r.framing == nil {
			return nil, false, err
		}
	}
	data := r.buf[r.start:r.end]
	if r.skip {
		return nil, false, r.skipped(data)
	}
	text, n, next, err := r.framing.Cut(data, r.from)
	if err != nil && n == 0 {
		return nil, false, r.fail(err)
	}
	// Whether a frame is too large must not depend on the pieces it came in, so this bound is the same for a frame that
	// is not complete and for one that is.
	most := r.limit + maxOverhead
	if n == 0 {
		r.from = next
		if len(data) >= most || next > most {
			if err := r.oversized(); err != nil {
				return nil, false, err
			}
			r.skip, r.state = true, SkipState{}
			return nil, false, r.skipped(data)
		}
		return nil, false, nil
	}
	r.start += n
	r.from = 0
	if n > most || len(text) > r.limit {
		if err := r.oversized(); err != nil {
			return nil, false, err
		}
		return nil, false, &TooLargeError{r.limit}
	}
	return text, err == nil, err
}

// oversized asks whether reading goes on behind a frame that is too large.
func (r *Reader) oversized() error {
	if r.Oversized == nil {
		return nil
	}
	if err := r.Oversized(); err != nil {
		return r.fail(err)
	}
	return nil
}

// skipped drops what is there of an oversized frame. It returns the *TooLargeError at its end.
func (r *Reader) skipped(data []byte) error {
	n, done := r.framing.Skip(&r.state, data)
	r.start += n
	r.from = 0
	if !done {
		return nil
	}
	r.skip = false
	return &TooLargeError{r.limit}
}

// detect looks for the framing. It stays nil when more bytes are needed.
func (r *Reader) detect() error {
	for {
		data := r.buf[r.start:r.end]
		found, skip := r.detector.detect(data[:min(len(data), r.limit+1)])
		r.start += skip
		switch {
		case found != nil:
			r.framing = found
			return nil
		case skip == 0 && len(data) > r.limit:
			return r.fail(ErrNoFraming)
		case skip == 0 || skip == len(data):
			return nil
		}
	}
}

// fill reads more, or sets r.err or r.final.
func (r *Reader) fill() {
	if r.start == r.end {
		last := r.end
		r.start, r.end = 0, 0
		if len(r.buf) > keepBuffer || len(r.buf) > readerBuffer && r.little >= littleReads {
			if len(r.buf) > keepBuffer {
				r.large = last
			}
			r.give()
			r.buf = nil
			if !r.reserve(0) {
				return
			}
		}
	}
	if r.start > 0 && (r.end == len(r.buf) || r.start > len(r.buf)/2) {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if (r.end == len(r.buf) || r.full && len(r.buf) == readerBuffer) && !r.grow() {
		return
	}
	for range 100 { // as package bufio does
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.err = err
		if r.full = r.end == len(r.buf); n > readerBuffer/4 {
			r.little = 0
		} else {
			r.little++
		}
		if n > 0 || err != nil {
			return
		}
	}
	r.err = io.ErrNoProgress
}

// grow doubles the buffer, up to what the largest frame and its overhead take; the first one goes to busyBuffer at once,
// one that grows large to what the large frame before it took. It reports whether that may be.
func (r *Reader) grow() bool {
	size := 2 * len(r.buf)
	switch {
	case len(r.buf) >= keepBuffer:
		size = max(size, r.large+r.large/8)
	case r.full && len(r.buf) == readerBuffer:
		size = busyBuffer
	}
	size = max(readerBuffer, min(size, r.limit+maxOverhead), len(r.buf)+1)
	if !r.reserve(size) {
		return false
	}
	grown := r.make(size)
	copy(grown, r.buf[:r.end])
	r.give()
	r.buf = grown
	return true
}

func (r *Reader) make(size int) []byte {
	if r.Take == nil || size <= keepBuffer {
		return make([]byte, size)
	}
	return r.Take(size)[:size]
}

// give gives back a large buffer. Whatever was handed out of it was valid until now.
func (r *Reader) give() {
	if r.Give != nil && len(r.buf) > keepBuffer {
		r.Give(r.buf)
	}
}

// reserve asks whether the buffer may have a size. If not, that ends the Reader.
func (r *Reader) reserve(size int) bool {
	if r.Reserve == nil {
		return true
	}
	err := r.Reserve(size)
	if err != nil {
		_ = r.fail(err)
	}
	return err == nil
}
