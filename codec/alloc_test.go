//go:build !race

// The race detector allocates, so the budgets hold without it.

package codec_test

import (
	"testing"

	"peermesh/api"
	"peermesh/codec"
)

// TestAllocations holds the budgets of the way of a message.
func TestAllocations(t *testing.T) {
	var (
		m        codec.Message
		elements = make([][]byte, 0, codec.MaxBatch)
		dst      = make([]byte, 0, 4<<10)
		id       = []byte("281474976710")
		params   = []byte(`{"exposure_ms":20}`)
		metaText = []byte(`{"timeout_ms":30000,"progress":"p1","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`)
		meta     = codec.ParseMeta(metaText)
		failure  = &api.Error{Code: api.CodeBusy, Message: "überlastet \"\n", Data: []byte(`{"retry_ms":100}`)}
		response = []byte(`{"jsonrpc":"2.0","id":281474976710,"result":{"width":640}}`)
		secinfo  = []byte(`{"jsonrpc": "2.0", "method": "rpc.secinfo", "params": {"user": "alice"}}`)
		ours     = codec.AppendSecInfo(nil, []byte(`{"seq":"1"}`))
	)
	check := func(name string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	parse := func(frame []byte) func() {
		return func() {
			if err := m.Parse(frame); err != nil {
				t.Fatal(err)
			}
		}
	}
	check("Parse of a request", parse(request140))
	check("Parse of 1 KiB", parse(request1KiB))
	check("Parse of a response", parse(response))
	check("SplitBatch", func() {
		if _, err := codec.SplitBatch(elements, batchOf10); err != nil {
			t.Fatal(err)
		}
	})
	check("Valid", func() { codec.Valid(request140) })
	check("ParseMeta", func() { meta = codec.ParseMeta(metaText) })
	check("ParseSecInfo of our own", func() { codec.ParseSecInfo(ours) })
	check("ParseSecInfo of quickrpc", func() { codec.ParseSecInfo(secinfo) })
	check("ParseSecInfo of a payload", func() { codec.ParseSecInfo(request140) })
	check("AppendRequest", func() { dst = codec.AppendRequest(dst[:0], 281474976710, "lab.camera.snap", params, metaText) })
	check("AppendNotification", func() { dst = codec.AppendNotification(dst[:0], "lab.camera.gain", params, nil) })
	check("AppendResult", func() { dst = codec.AppendResult(dst[:0], id, params, nil) })
	check("AppendError", func() { dst = codec.AppendError(dst[:0], id, failure, nil) })
	check("AppendSecInfo", func() { dst = codec.AppendSecInfo(dst[:0], params) })
	check("AppendString", func() { dst = codec.AppendString(dst[:0], failure.Message) })
	check("Meta.Append", func() { dst = meta.Append(dst[:0]) })
	check("Detect", func() { codec.Detect(request140) })
	for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP, codec.WS} {
		check("Append in "+f.Name(), func() { dst = f.Append(dst[:0], request140) })
		r := codec.NewReader(&endless{stream: f.Append(f.Append(nil, request140), request1KiB)}, f, 4<<20)
		check("Reader in "+f.Name(), func() {
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		})
	}
	check("Append in terse", func() { dst = codec.Terse.Append(dst[:0], request140) })
}
