package api

import (
	"bytes"
	"sync"

	"github.com/go-json-experiment/json"
)

// buffer is where a message is encoded.
type buffer struct{ b []byte }

// maxPooled is the largest buffer that is kept for the next message in any case; a larger one is while it is needed.
const maxPooled = 64 << 10

// buffers has those that messages are encoded in, answers those that results come in.
var (
	buffers = sync.Pool{New: newBuffer}
	answers = sync.Pool{New: newBuffer}
)

func newBuffer() any { return &buffer{make([]byte, 0, 1<<10)} }

func getBuffer() *buffer { return buffers.Get().(*buffer) }

func putBuffer(pool *sync.Pool, b *buffer) {
	if cap(b.b) <= maxPooled || len(b.b) >= cap(b.b)/4 {
		b.b = b.b[:0]
		pool.Put(b)
	}
}

var (
	deterministic = json.Deterministic(true) // maps are written in one order, so that a message is one text
	writers       = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// marshal appends v as JSON to dst. Into a bytes.Buffer the library writes without a copy.
func marshal(dst []byte, v any) ([]byte, error) {
	w := writers.Get().(*bytes.Buffer)
	*w = *bytes.NewBuffer(dst)
	err := json.MarshalWrite(w, v, deterministic)
	dst = w.Bytes()
	*w = bytes.Buffer{}
	writers.Put(w)
	return dst, err
}

func unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }
