package codec_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/codec"
)

// A request of 140 bytes, as our own peers send it, and one of 1 KiB.
var (
	request140  = []byte(`{"jsonrpc":"2.0","id":281474976710,"method":"lab.camera.snap","params":{"exposure_ms":20,"gain":1.5,"label":"a picture of the bench today"}}`)
	request1KiB = []byte(`{"jsonrpc":"2.0","id":281474976710,"method":"lab.camera.describe","params":{"text":"` + strings.Repeat("A longer text, with spaces. ", 33) + `"}}`)
	request1MiB = []byte(`{"jsonrpc":"2.0","id":1,"method":"echo","params":["` + strings.Repeat("x", 1<<20) + `"]}`)
	batchOf10   = []byte("[" + strings.TrimSuffix(strings.Repeat(string(request140)+",", 10), ",") + "]")
)

func BenchmarkParse(b *testing.B) {
	for _, bench := range []struct {
		name  string
		frame []byte
	}{
		{"140B", request140},
		{"1KiB", request1KiB},
		{"1MiB string", request1MiB},
		{"response", []byte(`{"jsonrpc":"2.0","id":281474976710,"result":{"width":640,"height":480}}`)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bench.frame)))
			var m codec.Message
			for b.Loop() {
				if err := m.Parse(bench.frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkValid compares the search for the end of a string with the bytes of 1 MiB of text in other alphabets.
func BenchmarkValid(b *testing.B) {
	for _, bench := range []struct{ name, text string }{
		{"ascii", strings.Repeat("x", 1<<20)},
		{"utf8", strings.Repeat("grüß dich ☃ ", 1<<16)},
		{"escapes", strings.Repeat(`line\n`, 1<<17)},
		{"numbers", ""},
	} {
		b.Run(bench.name, func(b *testing.B) {
			frame := []byte(`"` + bench.text + `"`)
			if bench.text == "" {
				frame = []byte("[" + strings.TrimSuffix(strings.Repeat("12.5,", 1<<17), ",") + "]")
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if !codec.Valid(frame) {
					b.Fatal("not valid")
				}
			}
		})
	}
}

func BenchmarkSplitBatch(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(batchOf10)))
	var elements [][]byte
	var m codec.Message
	for b.Loop() {
		var err error
		if elements, err = codec.SplitBatch(elements[:0], batchOf10); err != nil {
			b.Fatal(err)
		}
		for _, e := range elements {
			if err := m.Parse(e); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	params, id := []byte(`{"exposure_ms":20,"gain":1.5}`), []byte("281474976710")
	failure := &api.Error{Code: api.CodeBusy, Message: "busy", Data: []byte(`{"retry_ms":100}`)}
	dst := make([]byte, 0, 1024)
	for _, bench := range []struct {
		name string
		run  func()
	}{
		{"request", func() { dst = codec.AppendRequest(dst[:0], 281474976710, "lab.camera.snap", params, nil) }},
		{"notification", func() { dst = codec.AppendNotification(dst[:0], "lab.camera.gain", params, nil) }},
		{"result", func() { dst = codec.AppendResult(dst[:0], id, params, nil) }},
		{"error", func() { dst = codec.AppendError(dst[:0], id, failure, nil) }},
		{"secinfo", func() { dst = codec.AppendSecInfo(dst[:0], params) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.run()
			}
		})
	}
}

// endless repeats a stream.
type endless struct {
	stream []byte
	at     int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.stream[e.at:])
	e.at = (e.at + n) % len(e.stream)
	return n, nil
}

func BenchmarkReader(b *testing.B) {
	for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP, codec.WS, codec.Terse} {
		for _, bench := range []struct {
			name  string
			frame []byte
		}{{"140B", request140}, {"1MiB", request1MiB}} {
			b.Run(f.Name()+"/"+bench.name, func(b *testing.B) {
				r := codec.NewReader(&endless{stream: f.Append(nil, bench.frame)}, f, 4<<20)
				b.ReportAllocs()
				b.SetBytes(int64(len(bench.frame)))
				for b.Loop() {
					if _, err := r.Next(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkParseSecInfo(b *testing.B) {
	frame := codec.AppendSecInfo(nil, []byte(`{"alg":"HS256","kid":"cf6785d9","nonce":"000102030405060708090a0b0c0d0e0f","to":"*","ts":"1767225600000","user":"alice","v":"1"}`))
	for _, bench := range []struct {
		name  string
		frame []byte
	}{
		{"secinfo", frame},
		{"payload", request140},
		{"large payload", bytes.Clone(request1MiB)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := codec.ParseSecInfo(bench.frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var _ io.Reader = (*endless)(nil)
