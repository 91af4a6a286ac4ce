package api

import (
	"sync"

	"github.com/go-json-experiment/json"
)

// buffer is where a message is encoded.
type buffer struct{ b []byte }

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	return len(p), nil
}

// maxPooled is the largest buffer that is kept for the next message.
const maxPooled = 64 << 10

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 1<<10)} }}

func getBuffer() *buffer { return buffers.Get().(*buffer) }

func putBuffer(b *buffer) {
	if cap(b.b) <= maxPooled {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}

var (
	deterministic = json.Deterministic(true) // maps are written in one order, so that a message is one text
	writers       = sync.Pool{New: func() any { return new(buffer) }}
)

// marshal appends v as JSON to dst.
func marshal(dst []byte, v any) ([]byte, error) {
	w := writers.Get().(*buffer)
	w.b = dst
	err := json.MarshalWrite(w, v, deterministic)
	dst, w.b = w.b, nil
	writers.Put(w)
	return dst, err
}

func unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }
