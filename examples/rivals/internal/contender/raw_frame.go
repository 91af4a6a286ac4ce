package contender

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"strconv"
)

// A raw frame is the length of what follows, an id (0: no answer is wanted), the same JSON text that others send, and,
// where messages are signed, an HMAC-SHA256 over id and text. The text is not parsed as JSON: n and the text are where
// they always are.
const (
	rawHeader = 8
	rawBefore = `{"text":"`
	rawMiddle = `","n":`
)

var (
	errRawFrame = errors.New("raw: a broken frame")
	errRawTag   = errors.New("raw: a wrong tag")
)

// appendRaw appends a frame. mac is nil where frames are not signed.
func appendRaw(dst []byte, id uint32, e Echo, mac hash.Hash) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = append(dst, rawBefore...)
	dst = append(dst, e.Text...)
	dst = append(dst, rawMiddle...)
	dst = strconv.AppendInt(dst, int64(e.N), 10)
	dst = append(dst, '}')
	return finishRaw(dst, start, id, mac)
}

// appendRawText appends a frame around a text that was read from another one.
func appendRawText(dst []byte, id uint32, text []byte, mac hash.Hash) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	return finishRaw(append(dst, text...), start, id, mac)
}

func finishRaw(dst []byte, start int, id uint32, mac hash.Hash) []byte {
	binary.BigEndian.PutUint32(dst[start+4:], id)
	if mac != nil {
		mac.Reset()
		mac.Write(dst[start+4:])
		dst = mac.Sum(dst)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// rawReader takes frames apart.
type rawReader struct {
	r    *bufio.Reader
	mac  hash.Hash // nil where frames are not signed
	sum  []byte
	big  []byte // holds a frame that the reader's buffer does not
	skip int    // bytes of the last frame in the reader's buffer
}

func newRawReader(r io.Reader, mac hash.Hash) *rawReader {
	return &rawReader{r: bufio.NewReaderSize(r, 64<<10), mac: mac}
}

// next returns the id and the text of the next frame. The text is good until the next call.
func (r *rawReader) next() (uint32, []byte, error) {
	if _, err := r.r.Discard(r.skip); err != nil {
		return 0, nil, err
	}
	r.skip = 0
	head, err := r.r.Peek(4)
	if err != nil {
		return 0, nil, err
	}
	size := int(binary.BigEndian.Uint32(head))
	if size < 4 || size > 64<<20 {
		return 0, nil, errRawFrame
	}
	var frame []byte
	if 4+size <= r.r.Size() {
		if frame, err = r.r.Peek(4 + size); err != nil {
			return 0, nil, err
		}
		r.skip = 4 + size
		frame = frame[4:]
	} else {
		if cap(r.big) < size {
			r.big = make([]byte, size)
		}
		_, _ = r.r.Discard(4) // it was peeked at
		frame = r.big[:size]
		if _, err = io.ReadFull(r.r, frame); err != nil {
			return 0, nil, err
		}
	}
	if r.mac != nil {
		tag := len(frame) - sha256.Size
		if tag < 4 {
			return 0, nil, errRawFrame
		}
		r.mac.Reset()
		r.mac.Write(frame[:tag])
		if r.sum = r.mac.Sum(r.sum[:0]); !hmac.Equal(r.sum, frame[tag:]) {
			return 0, nil, errRawTag
		}
		frame = frame[:tag]
	}
	return binary.BigEndian.Uint32(frame), frame[4:], nil
}

// idle reports whether the next frame is not there yet.
func (r *rawReader) idle() bool { return r.r.Buffered() <= r.skip }

// parseRaw reads what a frame says. The text becomes like, which it is expected to equal, so that none is made anew.
func parseRaw(b []byte, like string) (Echo, error) {
	i := bytes.LastIndex(b, []byte(rawMiddle))
	if i < len(rawBefore) || b[len(b)-1] != '}' {
		return Echo{}, errRawFrame
	}
	n := 0
	for _, c := range b[i+len(rawMiddle) : len(b)-1] {
		n = n*10 + int(c-'0')
	}
	if text := b[len(rawBefore):i]; string(text) != like {
		like = string(text)
	}
	return Echo{Text: like, N: n}, nil
}
