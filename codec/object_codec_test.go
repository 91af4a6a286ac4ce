package codec_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"peermesh/codec"
)

var objectCodecs = map[string]jsonrpc2.ObjectCodec{
	"jrpc":    codec.ObjectCodec(codec.NUL),
	"jrpc:lf": codec.ObjectCodec(codec.LF),
	"lsp":     codec.ObjectCodec(codec.LSP),
	"ws":      codec.ObjectCodec(codec.WS),
	"terse":   codec.ObjectCodec(codec.Terse),
}

// pair joins two connections of sourcegraph/jsonrpc2, each of which answers the method double.
func pair(t *testing.T, near, far jsonrpc2.ObjectCodec) (a, b *jsonrpc2.Conn) {
	t.Helper()
	x, y := net.Pipe()
	double := jsonrpc2.HandlerWithError(func(_ context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) (any, error) {
		var in []string
		if r.Method != "double" || r.Params == nil || json.Unmarshal(*r.Params, &in) != nil {
			return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: "not so"}
		}
		return append(in, in...), nil
	})
	// Asynchronous, for net.Pipe has no buffer and both ends write at once.
	a = jsonrpc2.NewConn(t.Context(), jsonrpc2.NewBufferedStream(x, near), jsonrpc2.AsyncHandler(double))
	b = jsonrpc2.NewConn(t.Context(), jsonrpc2.NewBufferedStream(y, far), jsonrpc2.AsyncHandler(double))
	t.Cleanup(func() {
		_ = a.Close() // one of the two may have noticed the other's end
		_ = b.Close()
		<-a.DisconnectNotify()
		<-b.DisconnectNotify()
	})
	return a, b
}

// callBothWays makes calls from both ends, small and larger than any buffer.
func callBothWays(t *testing.T, a, b *jsonrpc2.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	texts := []string{"hi", "", "grüß dich ☃\n\u2028\"\\<>&", strings.Repeat("long ", 50_000)}
	results := make(chan error, 2*len(texts))
	for _, c := range []*jsonrpc2.Conn{a, b} {
		for _, text := range texts {
			go func() {
				var out []string
				err := c.Call(ctx, "double", []string{text}, &out)
				if err == nil && (len(out) != 2 || out[0] != text || out[1] != text) {
					err = fmt.Errorf("%.20q became %.60q", text, out)
				}
				results <- err
			}()
		}
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	var wrong *jsonrpc2.Error
	if err := a.Call(ctx, "nosuch", nil, nil); !errors.As(err, &wrong) || wrong.Code != jsonrpc2.CodeInvalidParams {
		t.Error(err)
	}
	if err := b.Notify(ctx, "double", []string{"silence"}); err != nil {
		t.Error(err)
	}
}

func TestObjectCodec(t *testing.T) {
	t.Parallel()
	for name, c := range objectCodecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pair(t, c, c)
			callBothWays(t, a, b)
		})
	}
}

// TestObjectCodecOfOthers talks to the codec that sourcegraph/jsonrpc2 brings, in both directions.
func TestObjectCodecOfOthers(t *testing.T) {
	t.Parallel()
	a, b := pair(t, codec.ObjectCodec(codec.LSP), jsonrpc2.VSCodeObjectCodec{})
	callBothWays(t, a, b)
}

func TestReaderReadsVSCodeObjectCodec(t *testing.T) {
	t.Parallel()
	var stream bytes.Buffer
	for _, v := range []any{map[string]string{"a": "ä"}, []int{1, 2}} {
		if err := (jsonrpc2.VSCodeObjectCodec{}).WriteObject(&stream, v); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(inPieces(t, stream.Bytes(), nil, 1<<10), " "); got != `"{\"a\":\"ä\"}" "[1,2]"` {
		t.Error(got)
	}
}

func TestObjectCodecReads(t *testing.T) {
	t.Parallel()
	long := `"` + strings.Repeat("x", 100_000) + `"`
	for name, f := range map[string]codec.Framing{"jrpc": codec.NUL, "jrpc:lf": codec.LF, "lsp": codec.LSP} {
		var stream []byte
		for _, text := range []string{"1", "", long, "", "", "2"} {
			stream = f.Append(stream, []byte(text))
		}
		for _, src := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream))} {
			r := bufio.NewReaderSize(src, 16)
			for _, want := range []string{"1", long, "2"} {
				var got json.RawMessage
				if err := objectCodecs[name].ReadObject(r, &got); err != nil || string(got) != want {
					t.Fatalf("%s: %.20s, %v", name, got, err)
				}
			}
			if err := objectCodecs[name].ReadObject(r, nil); err != io.EOF {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestObjectCodecLeavesTheRest shows that a frame is taken and not a byte more.
func TestObjectCodecLeavesTheRest(t *testing.T) {
	t.Parallel()
	r := bufio.NewReaderSize(strings.NewReader("1\x002\x00rest"+strings.Repeat("\x00", 8<<20)), 16<<20)
	for want := 1; want <= 2; want++ {
		var got int
		if err := objectCodecs["jrpc"].ReadObject(r, &got); err != nil || got != want {
			t.Fatal(got, err)
		}
	}
	if rest, err := r.Peek(4); err != nil || string(rest) != "rest" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestObjectCodecFails(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("x", 17<<20)
	for _, test := range []struct{ name, framing, stream, want string }{
		{"the end", "jrpc", "", "EOF"},
		{"the end within a frame", "jrpc", "{}", "unexpected EOF"},
		{"the end within a header", "lsp", "Content-", "unexpected EOF"},
		{"a broken header", "lsp", "x\r\n\r\n", codec.ErrHeader.Error()},
		{"no JSON", "jrpc", "x\x00", "invalid character"},
		{"no terse line", "terse", "a:\n", "column 2"},
		{"too large", "jrpc", huge + "\x00", "larger than 16 MiB"},
		{"too large, and announced", "lsp", "Content-Length: 17825792\r\n\r\n", "larger than 16 MiB"},
		{"a little too large", "jrpc:lf", huge[:16<<20+1] + "\n", "larger than 16 MiB"},
	} {
		var v any
		err := objectCodecs[test.framing].ReadObject(bufio.NewReader(strings.NewReader(test.stream)), &v)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if err := objectCodecs["jrpc"].WriteObject(io.Discard, func() {}); err == nil {
		t.Error("a function was written")
	}
	if err := objectCodecs["jrpc"].ReadObject(bufio.NewReader(iotest.ErrReader(io.ErrClosedPipe)), nil); err != io.ErrClosedPipe {
		t.Error(err)
	}
}
