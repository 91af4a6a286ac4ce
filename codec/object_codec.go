package codec

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"

	"github.com/sourcegraph/jsonrpc2"
)

// ObjectCodec makes a framing usable with github.com/sourcegraph/jsonrpc2, so that programs written with it can talk to
// peers:
//
//	conn := jsonrpc2.NewConn(ctx, jsonrpc2.NewBufferedStream(c, codec.ObjectCodec(codec.NUL)), handler)
//
// Empty frames are skipped. A frame that is no JSON, or is larger than 16 MiB, ends the stream with an error: that is
// how jsonrpc2 reads. io.EOF is the end of the stream between two frames, io.ErrUnexpectedEOF within one. The framing
// must be known; a peer that detects it takes any.
func ObjectCodec(f Framing) jsonrpc2.ObjectCodec { return objectCodec{f} }

type objectCodec struct{ framing Framing }

const objectLimit = 16 << 20

var errObjectTooLarge = errors.New("codec: the frame is larger than 16 MiB")

// WriteObject writes obj as one frame in one write.
func (c objectCodec) WriteObject(w io.Writer, obj any) error {
	raw, err := json.Marshal(obj)
	if err != nil {
		return err
	}
	_, err = w.Write(c.framing.Append(nil, raw))
	return err
}

// ReadObject decodes the next frame into v.
func (c objectCodec) ReadObject(r *bufio.Reader, v any) error {
	for {
		frame, err := readFrame(r, c.framing)
		if err != nil {
			return err
		}
		if len(frame) > 0 {
			return json.Unmarshal(frame, v)
		}
	}
}

// readFrame takes exactly one frame out of r and leaves what follows it there.
func readFrame(r *bufio.Reader, f Framing) ([]byte, error) {
	var acc []byte
	from := 0
	for {
		if _, err := r.Peek(1); err != nil {
			if err == io.EOF && len(acc) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		chunk, _ := r.Peek(r.Buffered()) // what is buffered is always there
		before := len(acc)
		acc = append(acc, chunk...)
		text, n, next, err := f.Cut(acc, from)
		if err != nil && n == 0 {
			return nil, err
		}
		taken, size := n-before, len(text)
		if n == 0 {
			taken, size = len(chunk), max(len(acc), next)-maxOverhead
		}
		_, _ = r.Discard(taken) // what was peeked at can be discarded
		switch {
		case size > objectLimit:
			return nil, errObjectTooLarge
		case n > 0:
			return text, err
		}
		from = next
	}
}
