package api

import (
	"bytes"
	"reflect"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
)

// maxPooled is the largest encoding buffer that is kept for the next message.
const maxPooled = 64 << 10

type byteBuffer = bytes.Buffer

var buffers = sync.Pool{New: func() any { b := new(byteBuffer); b.Grow(1 << 10); return b }}

func putBuffer(b *byteBuffer) {
	if b.Cap() <= maxPooled {
		b.Reset()
		buffers.Put(b)
	}
}

// marshal appends v as JSON to dst.
func marshal(dst []byte, v any) ([]byte, error) {
	buf := buffers.Get().(*byteBuffer)
	defer putBuffer(buf)
	if err := json.MarshalWrite(buf, v, json.Deterministic(true)); err != nil {
		return dst, err
	}
	return append(dst, buf.Bytes()...), nil
}

func unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

func stringOf(v any) string { return reflect.ValueOf(v).String() }

func join(names []string) string { return strings.Join(names, ",") }

type jsonSemanticError = json.SemanticError
