package codec_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"peermesh/codec"
)

var fuzzFramings = []codec.Framing{nil, codec.NUL, codec.LF, codec.LSP, codec.WS, codec.Terse}

func FuzzReader(f *testing.F) {
	for _, s := range []string{
		"{}\x00[]\x00", "{}\n[]\r\n", "{\n}\x00", "Content-Length: 2\r\n\r\n{}Content-Length: 1\r\n\r\n1", "Content-Length: 100\r\n\r\n", "say text:\"hi\"\n[7]:1\n",
		"\xef\xbb\xbf{}\n", "\xef\xbb\xbf\xef\xbb\xbf{}\n", "\xef\xbb", " \x00\n", "0123456789012345678901234567890\x00a\x00", "Content-Length: 33\r\nX: y\r\n\r\n", "conte\n",
	} {
		for i := range fuzzFramings {
			f.Add([]byte(s), uint8(i), uint8(20))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, which, limit uint8) {
		framing := fuzzFramings[int(which)%len(fuzzFramings)]
		got := inPieces(t, stream, framing, int(limit))
		if len(got) > len(stream)+1 {
			t.Fatalf("%d frames in %d bytes", len(got), len(stream))
		}
		r := codec.NewReader(bytes.NewReader(stream), framing, int(limit))
		r.Reserve = func(size int) error {
			if size > int(limit)+4096 {
				t.Fatalf("the buffer grows to %d", size)
			}
			return nil
		}
		for {
			frame, err := r.Next()
			if len(frame) > int(limit) {
				t.Fatalf("a frame of %d bytes", len(frame))
			}
			var large *codec.TooLargeError
			if err != nil && !errors.As(err, &large) && !errors.Is(err, codec.ErrSyntax) && err != codec.ErrTruncated {
				break
			}
			// What was cut is cut alike when it is framed again; in Terse it is another spelling.
			if f := r.Framing(); err == nil && f != codec.Terse {
				back, err := codec.NewReader(bytes.NewReader(f.Append(nil, frame)), f, int(limit)).Next()
				if err != nil || !bytes.Equal(back, frame) {
					t.Fatalf("%q comes back as %q, %v", frame, back, err)
				}
			}
		}
	})
}

// FuzzReaderSkips has frames above the limit by far, which small inputs cannot have, in every framing.
func FuzzReaderSkips(f *testing.F) {
	f.Add([]byte("abc"), uint16(5000), uint8(1))
	f.Add([]byte("\x00\n\"x"), uint16(20000), uint8(2))
	f.Fuzz(func(t *testing.T, text []byte, size uint16, which uint8) {
		framing := fuzzFramings[1+int(which)%(len(fuzzFramings)-1)]
		fill := bytes.Map(func(r rune) rune {
			if r == 0 || r == '\n' {
				return 'x'
			}
			return r
		}, append(text, '.'))
		long := bytes.Repeat(fill, int(size)/len(fill)+1)
		stream := framing.Append(nil, []byte("{}"))
		if framing == codec.Terse {
			stream = append(append([]byte("m\n"), long...), "\nm\n"...)
		} else {
			stream = append(framing.Append(stream, long), stream...)
		}
		got := inPieces(t, stream, framing, 100)
		if len(got) != 3 || got[0] != got[2] {
			t.Fatalf("%.300q", got)
		}
	})
}

func FuzzDetect(f *testing.F) {
	for _, s := range []string{"", "{", "{}\n", "{}\x00", " \xef\xbb\xbf{\r\n", "Content-", "content-x\n", "\x00\n \t\r[\n", "GET / HTTP/1.1", "\x16\x03"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		framing, skip := codec.Detect(data)
		want, wantSkip := oracleDetect(data)
		if framing != want || skip != wantSkip {
			t.Fatalf("%v %d instead of %v %d", framing, skip, want, wantSkip)
		}
		protocol := codec.Undecided
		for n := range len(data) + 1 { // what was decided stays so
			p := codec.Sniff(data[:n])
			if protocol != codec.Undecided && p != protocol || n >= 8 && p == codec.Undecided {
				t.Fatal(n, protocol, p)
			}
			protocol = p
		}
	})
}

// oracleDetect is protocol section 2, word by word.
func oracleDetect(data []byte) (codec.Framing, int) {
	if len(data) >= 8 && strings.EqualFold(string(data[:8]), "content-") {
		return codec.LSP, 0
	}
	if len(data) < 8 && strings.EqualFold(string(data), "content-"[:len(data)]) {
		return nil, 0
	}
	trimmed := bytes.TrimLeft(data, "\x00\n\r \t")
	if rest, ok := bytes.CutPrefix(trimmed, []byte("\xef\xbb\xbf")); ok {
		trimmed = bytes.TrimLeft(rest, "\x00\n\r \t")
	}
	skip := len(data) - len(trimmed)
	i := bytes.IndexAny(trimmed, "\x00\n")
	switch {
	case i < 0:
		return nil, skip
	case trimmed[i] == 0:
		return codec.NUL, skip
	}
	if first := string(bytes.Trim(trimmed[:i], " \t\r")); first == "{" || first == "[" {
		return codec.NUL, skip
	}
	return codec.LF, skip
}

func FuzzTerse(f *testing.F) {
	addTranscripts(f)
	for _, s := range []string{
		`put i:1 f:1.5 big:123456789 n:null t:true s:"a\"b\\c\n" b:'AP8=' l:[1 "x" []] d:{k:2 "a b":{}}`, `echo/7 text:"hi"`, `[7]:"hi"`, `[7]! code:1 message:"x"`, ``, `say v:-`,
		`{"jsonrpc":"2.0","id":1,"result":{"__bytes":"AAH/"}}`, `{"jsonrpc":"2.0","method":"a b","params":{"":{"__bytes":"A"},"x":[null,true,1e5]}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		// A line becomes JSON that is valid, or an error.
		line := append(bytes.ReplaceAll(in, []byte("\n"), []byte(" ")), '\n')
		frame, err := codec.NewReader(bytes.NewReader(line), codec.Terse, 1<<20).Next()
		if err != nil && !errors.Is(err, codec.ErrSyntax) {
			t.Fatal(err)
		}
		if err == nil && len(frame) > 0 {
			if !oracleValid(frame) {
				t.Fatalf("%q became %q", line, frame)
			}
			sameBack(t, frame)
		}
		// So does JSON, where it is a message.
		sameBack(t, in)
	})
}

// sameBack translates a message into terse and back, and wants the same value.
func sameBack(t *testing.T, frame []byte) {
	t.Helper()
	var m codec.Message
	valid := m.Parse(frame) == nil
	line := codec.Terse.Append(nil, frame)
	if bytes.IndexByte(line, '\n') != len(line)-1 {
		t.Fatalf("%q is no line", line)
	}
	back, err := codec.NewReader(bytes.NewReader(line), codec.Terse, 1<<22).Next()
	if err != nil {
		t.Fatalf("%q became %q, which is refused: %v", frame, line, err)
	}
	if !valid || m.Kind == codec.ErrorReply && m.Error[0] != '{' {
		return // it became an error line, or an error that keeps section 5.1
	}
	var n codec.Message
	if err := n.Parse(back); err != nil {
		t.Fatalf("%q became %q: %v", frame, back, err)
	}
	if n.Kind != m.Kind || string(n.ID) != string(m.ID) || string(n.Method) != string(m.Method) ||
		!same(m.Params, n.Params) || !same(m.Result, n.Result) || !same(m.Error, n.Error) {
		t.Fatalf("%q became %q and %q", frame, line, back)
	}
}

// same compares JSON by value, with all digits of its numbers.
func same(a, b []byte) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return reflect.DeepEqual(value(a), value(b))
}

func value(raw []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return fmt.Sprint(err)
	}
	return v
}

func FuzzObjectCodec(f *testing.F) {
	for _, s := range []string{"{}\x00[]\x00", "{}\n", "Content-Length: 2\r\n\r\n{}", "Content-Length: 100\r\n\r\n{}", "m a:1\n", "\x00\x00", "x\n", ""} {
		for i := range fuzzFramings {
			f.Add([]byte(s), uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, which uint8) {
		framing := fuzzFramings[1+int(which)%(len(fuzzFramings)-1)]
		c := codec.ObjectCodec(framing)
		read := func(src io.Reader) (got []string) {
			r := bufio.NewReaderSize(src, 16)
			for {
				var v json.RawMessage
				if err := c.ReadObject(r, &v); err != nil {
					return append(got, err.Error())
				}
				got = append(got, string(v))
			}
		}
		whole, pieces := read(bytes.NewReader(stream)), read(iotest.OneByteReader(bytes.NewReader(stream)))
		if !reflect.DeepEqual(whole, pieces) {
			t.Fatalf("whole %q\npieces %q", whole, pieces)
		}
		for _, raw := range whole[:len(whole)-1] {
			var out bytes.Buffer
			if framing == codec.Terse {
				continue
			}
			if err := c.WriteObject(&out, json.RawMessage(raw)); err != nil {
				t.Fatal(err)
			}
			if back := read(&out); len(back) != 2 || !same([]byte(back[0]), []byte(raw)) {
				t.Fatalf("%s comes back as %q", raw, back)
			}
		}
	})
}
