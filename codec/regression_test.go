package codec_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/codec"
)

// The tests of this file are named for defects of quickrpc, the program that this protocol comes from, and of other
// implementations of JSON-RPC. None of them may come back.

func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s takes for ever", what)
	}
}

// One malformed frame killed the whole server: the reader goes on behind it, and the codec says how to answer.
func TestMalformedFrameDoesNotEndTheStream(t *testing.T) {
	t.Parallel()
	const good = `{"jsonrpc":"2.0","id":1,"method":"m"}`
	for name, bad := range map[string]string{
		"garbage":            `garbage`,
		"bad UTF-8":          "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}",
		"array at the top":   `[[]]`,
		"reply with id null": `{"jsonrpc": "2.0", "error": {"code": -32700, "message": "x"}, "id": null}`,
		"reply with id abc":  `{"jsonrpc": "2.0", "result": 1, "id": "abc"}`,
		"error a string":     `{"jsonrpc": "2.0", "error": "str", "id": 7}`,
		"__bytes a number":   `{"jsonrpc": "2.0", "method": "m", "params": {"b": {"__bytes": 5}}}`,
		"nesting 5000":       `{"jsonrpc":"2.0","method":"m","params":` + nested(5000) + `}`,
		"empty object":       `{}`,
		"null":               `null`,
	} {
		for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP, codec.WS} {
			stream := f.Append(f.Append(f.Append(nil, []byte(good)), []byte(bad)), []byte(good))
			r := codec.NewReader(bytes.NewReader(stream), f, 1<<20)
			for _, want := range []string{good, bad, good} {
				frame, err := r.Next()
				if err != nil || string(frame) != want {
					t.Fatalf("%s, %s: %.60q, %v", f.Name(), name, frame, err)
				}
				var m codec.Message
				_ = m.Parse(frame) // it must not panic
				_ = codec.DecodeError(m.Error)
				_, _ = codec.SplitBatch(nil, frame)
				_, _, _ = codec.ParseSecInfo(frame)
			}
		}
	}
}

// A reply with the id null, or an error that is a string, killed the receiver.
func TestErrorReplyOfAnyFormIsAnError(t *testing.T) {
	t.Parallel()
	var m codec.Message
	for _, frame := range []string{
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`,
		`{"jsonrpc":"2.0","id":7,"error":"str"}`,
		`{"jsonrpc":"2.0","id":"abc","error":null}`,
	} {
		if err := m.Parse([]byte(frame)); err != nil || m.Kind != codec.ErrorReply || codec.DecodeError(m.Error) == nil {
			t.Errorf("%s: %v, %v", frame, m.Kind, err)
		}
	}
}

// An empty line made the terse decoder hang, from any peer.
func TestEmptyLineInTerse(t *testing.T) {
	t.Parallel()
	inTime(t, "an empty line", func() {
		r := codec.NewReader(strings.NewReader("\n\r\n  \t\nsay text:\"hi\"\n"), codec.Terse, 1<<10)
		for range 3 {
			if frame, err := r.Next(); len(frame) != 0 || err != nil {
				t.Errorf("%q, %v", frame, err)
			}
		}
		if frame, err := r.Next(); err != nil || len(frame) == 0 {
			t.Error(err)
		}
	})
}

// The terse decoder raised on bad UTF-8, an unterminated string and "v:-".
func TestBrokenLinesInTerse(t *testing.T) {
	t.Parallel()
	r := codec.NewReader(strings.NewReader("say v:\"\xff\"\nsay v:\"x\nsay v:-\nsay v:1\n"), codec.Terse, 1<<10)
	for range 3 {
		if _, err := r.Next(); !errors.Is(err, codec.ErrSyntax) {
			t.Error(err)
		}
	}
	if frame, err := r.Next(); err != nil || !bytes.Contains(frame, []byte(`"v":1`)) {
		t.Errorf("%s, %v", frame, err)
	}
}

// Terse requests and replies could not be read back: the id stayed in the method's name, and replies had no newline.
func TestTerseRequestsAndRepliesCanBeReadBack(t *testing.T) {
	t.Parallel()
	for _, frame := range []string{
		`{"jsonrpc":"2.0","method":"echo","id":7,"params":{"text":"hi"}}`,
		`{"jsonrpc":"2.0","id":7,"result":null}`,
		`{"jsonrpc":"2.0","id":7,"error":{"code":0,"message":"boom","data":"a\\n\nb"}}`,
	} {
		line := codec.Terse.Append(nil, []byte(frame))
		back, err := codec.NewReader(bytes.NewReader(line), codec.Terse, 1<<10).Next()
		if err != nil || string(back) != frame {
			t.Errorf("%s: %q, %s, %v", frame, line, back, err)
		}
	}
}

// Half of a frame of a connection that died was prepended to the next one's.
func TestHalfAFrameIsDropped(t *testing.T) {
	t.Parallel()
	for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP, codec.WS, codec.Terse} {
		stream := f.Append(nil, []byte(`{"jsonrpc":"2.0","method":"m"}`))
		for cut := 1; cut < len(stream); cut++ {
			r := codec.NewReader(bytes.NewReader(stream[:cut]), f, 1<<10)
			if frame, err := r.Next(); err != codec.ErrTruncated || frame != nil {
				t.Errorf("%s, %d bytes: %q, %v", f.Name(), cut, frame, err)
			}
			if _, err := r.Next(); err != io.EOF {
				t.Error(err)
			}
		}
	}
}

// Leftovers were joined to each 1024 bytes that came, in quadratic time, and nothing bounded them.
func TestLargeFrameInSmallPieces(t *testing.T) {
	t.Parallel()
	inTime(t, "a large frame", func() {
		for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP} {
			frame := []byte(`"` + strings.Repeat("x", 4<<20) + `"`)
			r := codec.NewReader(small{bytes.NewReader(f.Append(nil, frame))}, f, 8<<20)
			if got, err := r.Next(); err != nil || len(got) != len(frame) {
				t.Error(len(got), err)
			}
		}
	})
}

// small reads few bytes at a time.
type small struct{ io.Reader }

func (s small) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(len(p), 64)]) }

// Searching to the end of the buffer for a delimiter that does not come, at every frame, is quadratic too.
func TestManyEmptyFramesInALargeBuffer(t *testing.T) {
	t.Parallel()
	inTime(t, "a stream of empty frames", func() {
		for _, f := range []codec.Framing{codec.LF, codec.NUL} {
			// A large frame first, so that the buffer is large, and half of one behind the empty ones, so that it stays.
			stream := []byte(strings.Repeat("x", 4<<20) + "\x00")
			stream = append(stream, make([]byte, 1<<20)...)
			r := codec.NewReader(bytes.NewReader(stream), f, 4<<20)
			for n := 0; ; n++ {
				if _, err := r.Next(); err == io.EOF {
					if n != 1+1<<20 {
						t.Error(n)
					}
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// A length that was announced was allocated at once.
func TestAnnouncedLengthIsNotBelieved(t *testing.T) {
	t.Parallel()
	largest := 0
	r := codec.NewReader(strings.NewReader("Content-Length: 2000000000\r\n\r\n{}"), codec.LSP, 1<<30)
	r.Reserve = func(size int) error { largest = max(largest, size); return nil }
	if _, err := r.Next(); err != codec.ErrTruncated || largest > 8<<10 {
		t.Error(err, largest)
	}
}

// Two secinfo frames in a row, one without a message: the codec tells both, and does not join them.
func TestTwoSecInfoFramesAreTwo(t *testing.T) {
	t.Parallel()
	stream := `{"jsonrpc": "2.0", "method": "rpc.secinfo", "params": {"user": "alice"}}` + "\x00" +
		`{"jsonrpc":"2.0","method":"rpc.secinfo","params":{"user":"bob"}}` + "\x00" + `{"jsonrpc": "2.0", "method": "say", "params": {"text": "hi"}}` + "\x00"
	r := codec.NewReader(strings.NewReader(stream), codec.NUL, 4<<10)
	for _, want := range []string{`{"user": "alice"}`, `{"user":"bob"}`, ""} {
		frame, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		params, ok, err := codec.ParseSecInfo(frame)
		if ok != (want != "") || err != nil || string(params) != want {
			t.Errorf("%s: %s, %v, %v", frame, params, ok, err)
		}
	}
}

// Trailing garbage was accepted, and white space before a message was not.
func TestTrailingGarbageIsNoJSON(t *testing.T) {
	t.Parallel()
	var m codec.Message
	for _, tail := range []string{"x", "{}", ",", "}", "\x00", " 1", "\ufeff", "//"} {
		if err := m.Parse([]byte(`{"jsonrpc":"2.0","method":"m"}` + tail)); !errors.Is(err, codec.ErrSyntax) {
			t.Errorf("%q: %v", tail, err)
		}
	}
	if err := m.Parse([]byte("\n\t {\"jsonrpc\":\"2.0\",\"method\":\"m\"}")); err != nil {
		t.Error(err)
	}
}

// NaN and Infinity went out, and came in.
func TestNaNIsNoJSON(t *testing.T) {
	t.Parallel()
	var m codec.Message
	for _, value := range []string{"NaN", "Infinity", "-Infinity", "nan"} {
		if err := m.Parse([]byte(`{"jsonrpc": "2.0", "result": ` + value + `, "id": 2}`)); !errors.Is(err, codec.ErrSyntax) {
			t.Errorf("%s: %v", value, err)
		}
	}
	e := codec.AppendError(nil, nil, &api.Error{Data: []byte("NaN")}, nil)
	if bytes.Contains(e, []byte("NaN")) {
		t.Errorf("%s", e)
	}
}

// Any object that had the key __bytes became binary data, and its other members were lost.
func TestBytesBesideOtherKeysIsNoBinary(t *testing.T) {
	t.Parallel()
	var b codec.Bytes
	for _, raw := range []string{`{"__bytes":"AAH/","x":1}`, `{"x":1,"__bytes":"AAH/"}`, `{"__bytes":5}`} {
		if b.UnmarshalJSON([]byte(raw)) == nil {
			t.Errorf("%s was taken for binary data", raw)
		}
	}
	frame := []byte(`{"jsonrpc":"2.0","method":"put","params":{"d":{"__bytes":"AAH/","x":1}}}`)
	line := codec.Terse.Append(nil, frame)
	if back, err := codec.NewReader(bytes.NewReader(line), codec.Terse, 1<<10).Next(); err != nil || !bytes.Equal(back, frame) {
		t.Errorf("%s, %v", back, err)
	}
}

// The ids 0 and "" were taken for no id.
func TestZeroIsAnID(t *testing.T) {
	t.Parallel()
	var m codec.Message
	for _, id := range []string{"0", `""`, "null", "-0"} {
		if err := m.Parse([]byte(`{"jsonrpc":"2.0","id":` + id + `,"method":"m"}`)); err != nil || m.Kind != codec.Request || string(m.ID) != id {
			t.Errorf("%s: %v, %s, %v", id, m.Kind, m.ID, err)
		}
	}
}
