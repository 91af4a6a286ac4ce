package codec

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"

	"github.com/sourcegraph/jsonrpc2"
)

// ObjectCodec makes a framing usable with github.com/sourcegraph/jsonrpc2: jsonrpc2.NewBufferedStream(conn,
// codec.ObjectCodec(codec.LSP)). Empty frames are skipped. A frame above 4 MiB ends the stream.
func ObjectCodec(f Framing) jsonrpc2.ObjectCodec { return objectCodec{f} }

type objectCodec struct{ framing Framing }

const objectLimit = 4 << 20

func (c objectCodec) WriteObject(w io.Writer, obj any) error {
	raw, err := json.Marshal(obj)
	if err != nil {
		return err
	}
	_, err = w.Write(c.framing.Append(nil, raw))
	return err
}

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
		frame, n, next, err := f.Cut(acc, from)
		if err == nil {
			err = frame.Err
		}
		if err != nil {
			return nil, err
		}
		found := n > 0
		if !found {
			n = len(acc)
		}
		if _, err := r.Discard(n - before); err != nil {
			return nil, err
		}
		if found {
			return frame.Text, nil
		}
		if from = next; len(acc) > objectLimit {
			return nil, errors.New("codec: the frame is larger than 4 MiB")
		}
	}
}
