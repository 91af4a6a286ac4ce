package codec

import (
	"errors"
	"fmt"
	"io"
)

// Framing cuts frames out of a byte stream and puts them into one. A Framing holds no state and is safe for concurrent
// use.
type Framing interface {
	// Name is the codec expression: jrpc, jrpc:lf, lsp, ws or terse.
	Name() string
	// Cut finds the first frame in data, the beginning of a stream. n is how much of data it takes, with its
	// delimiter; 0 when the end is not there yet, and then from is where the next search may start, to be handed to
	// the next Cut with more data. An error means that the stream cannot be read on.
	Cut(data []byte, from int) (f Frame, n int, next int, err error)
	// Skip drops what it can of a frame that is too large to be kept. It returns how much of data it takes and
	// whether the frame ends there.
	Skip(s *SkipState, data []byte) (n int, done bool)
	// Append appends a frame with its delimiter to dst.
	Append(dst, frame []byte) []byte
}

// Frame is one frame as Cut found it, without its delimiter.
type Frame struct {
	Text []byte // a range of the data, except in framings that translate
	Err  error  // for a framing that translates: why the frame is none
}

// SkipState remembers how much of an oversized frame is still to come.
type SkipState struct{ left int }

// ParseFraming returns the framing of a codec expression: "jrpc" (NUL after each frame), "jrpc:lf" (LF or NUL), "lsp"
// (Content-Length headers), "ws" (NUL, for streams made of WebSocket messages) or "terse".
func ParseFraming(expr string) (Framing, error) {
	for _, f := range []Framing{NUL, LF, LSP, WS, Terse} {
		if f.Name() == expr {
			return f, nil
		}
	}
	return nil, fmt.Errorf("codec: no framing is called %q: there are jrpc, jrpc:lf, lsp, ws and terse", expr)
}

// TooLargeError is returned by Reader.Next for a frame above the limit. The frame was skipped; the next call goes on
// behind it.
type TooLargeError struct{ Limit int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("codec: the frame is larger than %d bytes", e.Limit)
}

// ErrTruncated is returned at the end of a stream that ends within a frame. What was there of it is lost.
var ErrTruncated = errors.New("codec: the stream ended within a frame")

// ErrNoFraming is returned when the first bytes of a stream, up to the limit, hold no delimiter.
var ErrNoFraming = errors.New("codec: no frame delimiter in the first bytes")

// Reader reads frames from a stream. It is for one goroutine.
type Reader struct {
	// Reserve, when set, is asked before the buffer grows to a size, and told with a smaller size when it has shrunk.
	// An error ends reading.
	Reserve func(size int) error

	src     io.Reader
	framing Framing
	limit   int
	buf     []byte // buf[start:end] is read and not handed out yet
	start   int
	end     int
	from    int // where the next search begins, relative to start
	skip    bool
	state   SkipState
	eof     error
}

const (
	readerBuffer = 4 << 10
	keepBuffer   = 64 << 10 // a larger buffer is given back once it is empty
)

// NewReader makes a Reader of frames up to limit bytes. With a nil framing the first bytes decide: see Detect.
func NewReader(src io.Reader, framing Framing, limit int) *Reader {
	return &Reader{src: src, framing: framing, limit: limit}
}

// Framing returns the framing that is used, nil before it was detected.
func (r *Reader) Framing() Framing { return r.framing }

// SetFraming fixes the framing of a stream whose framing is not known yet.
func (r *Reader) SetFraming(f Framing) { r.framing = f }

// SetLimit changes the limit for frames that are not complete yet.
func (r *Reader) SetLimit(n int) { r.limit = n }

// Buffered returns how many bytes of frames that are not complete are held.
func (r *Reader) Buffered() int { return r.end - r.start }

// Next returns the next frame, which may be empty (a keep-alive). It is valid until the next call. Besides the errors
// of the stream (io.EOF at a clean end, ErrTruncated), a *TooLargeError and a translation error (see Frame.Err; it
// unwraps to ErrSyntax) concern one frame, and Next can be called again; every other error is final.
func (r *Reader) Next() ([]byte, error) {
	for {
		frame, ok, err := r.cut()
		if ok || err != nil {
			return frame, err
		}
		if r.eof != nil {
			return nil, r.atEnd()
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// atEnd tells what the end of the stream means.
func (r *Reader) atEnd() error {
	if r.eof == io.EOF && (r.end > r.start || r.skip) {
		r.start, r.end, r.skip = 0, 0, false
		return ErrTruncated
	}
	return r.eof
}

// cut takes a frame out of the buffer if there is a whole one.
func (r *Reader) cut() (frame []byte, ok bool, err error) {
	if r.framing == nil {
		found, skip := Detect(r.buf[r.start:r.end])
		r.start += skip
		if found == nil {
			if r.end-r.start > r.limit {
				return nil, false, ErrNoFraming
			}
			return nil, false, nil
		}
		r.framing, r.from = found, 0
	}
	if r.skip {
		n, done := r.framing.Skip(&r.state, r.buf[r.start:r.end])
		r.start += n
		r.from = 0
		if !done {
			return nil, false, nil
		}
		r.skip = false
		return nil, false, &TooLargeError{r.limit}
	}
	data := r.buf[r.start:r.end]
	f, n, next, err := r.framing.Cut(data, r.from)
	if err != nil {
		return nil, false, err
	}
	if n == 0 {
		r.from = next
		if len(data) > r.limit+maxOverhead {
			r.skip, r.state = true, SkipState{}
			return r.cut()
		}
		return nil, false, nil
	}
	r.start += n
	r.from = 0
	if len(f.Text) > r.limit {
		return nil, false, &TooLargeError{r.limit}
	}
	return f.Text, f.Err == nil, f.Err
}

// maxOverhead bounds what a framing adds to a frame: LSP headers.
const maxOverhead = 4 << 10

// fill reads more. The buffer doubles with what was really received, whatever lengths are announced.
func (r *Reader) fill() error {
	if r.start == r.end {
		r.start, r.end = 0, 0
		if len(r.buf) > keepBuffer {
			r.buf = nil
			if err := r.reserve(0); err != nil {
				return err
			}
		}
	}
	if r.start > 0 && (r.end == len(r.buf) || r.start > len(r.buf)/2) {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		size := max(readerBuffer, 2*len(r.buf))
		if err := r.reserve(size); err != nil {
			return err
		}
		grown := make([]byte, size)
		copy(grown, r.buf[:r.end])
		r.buf = grown
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if err != nil {
			r.eof = err
			return nil
		}
		if n > 0 {
			return nil
		}
	}
	r.eof = io.ErrNoProgress
	return nil
}

func (r *Reader) reserve(size int) error {
	if r.Reserve == nil {
		return nil
	}
	return r.Reserve(size)
}
