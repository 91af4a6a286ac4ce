package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"peermesh/codec"
)

// readAll reads a stream to its end, and describes each frame and error in a line.
func readAll(r *codec.Reader) []string {
	var got []string
	for {
		frame, err := r.Next()
		var large *codec.TooLargeError
		switch {
		case err == nil:
			got = append(got, fmt.Sprintf("%.60q", frame))
		case errors.As(err, &large):
			got = append(got, fmt.Sprintf("too large for %d", large.Limit))
		case errors.Is(err, codec.ErrSyntax):
			got = append(got, "syntax")
		case err == codec.ErrTruncated:
			got = append(got, "truncated")
		case err == io.EOF:
			return got
		default:
			return append(got, err.Error())
		}
		if len(got) > 1<<20 {
			return append(got, "no end")
		}
	}
}

// inPieces reads a stream as a whole and a byte at a time, and wants the same both times.
func inPieces(t testing.TB, stream []byte, f codec.Framing, limit int) []string {
	t.Helper()
	whole := readAll(codec.NewReader(bytes.NewReader(stream), f, limit))
	for name, src := range map[string]io.Reader{
		"a byte at a time": iotest.OneByteReader(bytes.NewReader(stream)),
		"by halves":        iotest.HalfReader(bytes.NewReader(stream)),
		"with the end":     iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		got := readAll(codec.NewReader(src, f, limit))
		if strings.Join(got, "\n") != strings.Join(whole, "\n") {
			t.Errorf("%.200q in %v:\nwhole %.500q\n%s %.500q", stream, f, whole, name, got)
		}
	}
	return whole
}

const limit = 10

func TestReader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 20_000)
	for _, test := range []struct {
		name    string
		framing codec.Framing
		stream  string
		want    string
	}{
		{"NUL", codec.NUL, "a\x00b\x00", `"a" "b"`},
		{"NUL: empty frames", codec.NUL, "\x00a\x00\x00", `"" "a" ""`},
		{"NUL: white space belongs to the frame", codec.NUL, " a\r\n\x00\n\x00", `" a\r\n" "\n"`},
		{"NUL: what is not delimited is dropped", codec.NUL, "a\x00{}", `"a" truncated`},
		{"NUL: nothing", codec.NUL, "", ``},
		{"NUL: the largest", codec.NUL, "0123456789\x00a\x00", `"0123456789" "a"`},
		{"NUL: one byte too large", codec.NUL, "01234567890\x00a\x00", `too large for 10 "a"`},
		{"NUL: far too large", codec.NUL, long + "\x00a\x00", `too large for 10 "a"`},
		{"NUL: too large and cut off", codec.NUL, long, `truncated`},
		{"NUL: two too large", codec.NUL, long + "\x00" + long + "\x00a\x00", `too large for 10 too large for 10 "a"`},
		{"WS", codec.WS, "a\n\x00b\x00", `"a\n" "b"`},
		{"LF", codec.LF, "a\nb\r\n", `"a" "b\r"`},
		{"LF: NUL too", codec.LF, "a\x00b\nc\x00", `"a" "b" "c"`},
		{"LF: lines without text", codec.LF, "\n\r\n \t\r\na\n\x00", `"" "" "" "a" ""`},
		{"LF: what is not delimited is dropped", codec.LF, "a\nb", `"a" truncated`},
		{"LF: one byte too large", codec.LF, "01234567890\na\n", `too large for 10 "a"`},
		{"LF: far too large, ended by NUL", codec.LF, long + "\x00a\n", `too large for 10 "a"`},
		{"LSP", codec.LSP, "Content-Length: 3\r\n\r\nabcContent-Length: 1\r\n\r\nd", `"abc" "d"`},
		{"LSP: any case, any order, other headers", codec.LSP, "Content-Type: x; y=\"z\"\r\ncontent-LENGTH:3\r\nX:\r\n\r\nabc", `"abc"`},
		{"LSP: spaces", codec.LSP, " Content-Length \t: \t 3 \r\n\r\nabc", `"abc"`},
		{"LSP: an empty frame", codec.LSP, "Content-Length: 0\r\n\r\nContent-Length: 1\r\n\r\nd", `"" "d"`},
		{"LSP: delimiters in the text", codec.LSP, "Content-Length: 6\r\n\r\n\x00\n\r\n\r\n", `"\x00\n\r\n\r\n"`},
		{"LSP: half a header", codec.LSP, "Content-Length: 3\r\n", `truncated`},
		{"LSP: half a text", codec.LSP, "Content-Length: 3\r\n\r\nab", `truncated`},
		{"LSP: one byte too large", codec.LSP, "Content-Length: 11\r\n\r\n01234567890Content-Length: 1\r\n\r\nd", `too large for 10 "d"`},
		{"LSP: far too large", codec.LSP, "Content-Length: 20000\r\n\r\n" + long + "Content-Length: 1\r\n\r\nd", `too large for 10 "d"`},
		{"LSP: far too large and cut off", codec.LSP, "Content-Length: 20001\r\n\r\n" + long, `truncated`},
		{"LSP: announced and never sent", codec.LSP, "Content-Length: 2000000000\r\n\r\nabc", `truncated`},
		{"LSP: the longest header", codec.LSP, "Content-Length: 3\r\nX: " + long[:4096-19-3-4] + "\r\n\r\nabc", `"abc"`},
		{"LSP: a header too long", codec.LSP, "Content-Length: 3\r\nX: " + long[:4097-19-3-4] + "\r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: no length", codec.LSP, "Content-Type: x\r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: no header", codec.LSP, "\r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: no colon", codec.LSP, "Content-Length 3\r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: two lengths", codec.LSP, "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: a negative length", codec.LSP, "Content-Length: -1\r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: a signed length", codec.LSP, "Content-Length: +1\r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: a hexadecimal length", codec.LSP, "Content-Length: 0x3\r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: a length too large to count", codec.LSP, "Content-Length: 2147483648\r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: a length that overflows with its header", codec.LSP, "Content-Length: 2147483647\r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: an empty length", codec.LSP, "Content-Length: \r\n\r\nabc", codec.ErrHeader.Error()},
		{"LSP: behind a good frame", codec.LSP, "Content-Length: 1\r\n\r\naxyz\r\n\r\n", `"a" ` + codec.ErrHeader.Error()},
		{"terse: too large", codec.Terse, long + "\n\n", `too large for 10 ""`},
		{"terse: not a line", codec.Terse, "a:\n[\n\n", `syntax syntax ""`},
		{"terse: too large as JSON", codec.Terse, "a\n\n", `too large for 10 ""`},
		{"terse: cut off", codec.Terse, "a", `truncated`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(inPieces(t, []byte(test.stream), test.framing, limit), " "); got != test.want {
				t.Errorf("is %.200s, want %.200s", got, test.want)
			}
		})
	}
}

func TestReaderDetects(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 20_000)
	for _, test := range []struct{ name, stream, framing, want string }{
		{"NUL", "{}\x00[]\x00", "jrpc", `"{}" "[]"`},
		{"NUL: a line feed later", "{}\x00[]\n\x00", "jrpc", `"{}" "[]\n"`},
		{"LF", "{}\n[]\n", "jrpc:lf", `"{}" "[]"`},
		{"LF: CR", "{}\r\n[]\r\n", "jrpc:lf", `"{}\r" "[]\r"`},
		{"NUL: pretty-printed object", "{\n \"a\"\n}\x00", "jrpc", `"{\n \"a\"\n}"`},
		{"NUL: pretty-printed array", " [ \r\n1\n]\x00", "jrpc", `"[ \r\n1\n]"`},
		{"LF: two braces", "{ {\na\n", "jrpc:lf", `"{ {" "a"`},
		{"what stands before is skipped", "\x00\n\r \t{}\n", "jrpc:lf", `"{}"`},
		{"a byte order mark", "\xef\xbb\xbf{}\n", "jrpc:lf", `"{}"`},
		{"a byte order mark between white space", " \n\xef\xbb\xbf\x00 {}\x00", "jrpc", `"{}"`},
		{"one alone", "\xef\xbb\xbf\xef\xbb\xbf{}\n", "jrpc:lf", `"\ufeff{}"`},
		{"half of one", "\xef\xbb{}\n", "jrpc:lf", `"\xef\xbb{}"`},
		{"half of one alone", "\xef\xbb\n", "jrpc:lf", `"\xef\xbb"`},
		{"LSP", "Content-Length: 1\r\n\r\na", "lsp", `"a"`},
		{"LSP in capitals", "CONTENT-TYPE: a\r\nCONTENT-LENGTH: 1\r\n\r\na", "lsp", `"a"`},
		{"LSP only at the first byte", "\nContent-A\n{}\n", "jrpc:lf", `"Content-A" "{}"`},
		{"nearly LSP", "Content\n{}\n", "jrpc:lf", `"Content" "{}"`},
		{"half of Content-", "Conte", "none", `truncated`},
		{"garbage", "garbage\x00", "jrpc", `"garbage"`},
		{"nothing", "", "none", ``},
		{"nothing but white space", " \n\x00\n", "none", ``},
		{"nothing but white space, and much of it", strings.Repeat(" \n\x00\n", 10_000) + "{}\n", "jrpc:lf", `"{}"`},
		{"no delimiter", "{}", "none", `truncated`},
		{"no delimiter in more bytes", "{\"a\":1}", "none", `truncated`},
		{"the largest", "0123456789\n", "jrpc:lf", `"0123456789"`},
		{"one byte too large", "01234567890\n", "none", codec.ErrNoFraming.Error()},
		{"far too large", long, "none", codec.ErrNoFraming.Error()},
		{"far too large behind white space", strings.Repeat(" ", 50) + long, "none", codec.ErrNoFraming.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(inPieces(t, []byte(test.stream), nil, limit), " "); got != test.want {
				t.Errorf("is %.200s, want %.200s", got, test.want)
			}
			r := codec.NewReader(strings.NewReader(test.stream), nil, limit)
			readAll(r)
			got := "none"
			if f := r.Framing(); f != nil {
				got = f.Name()
			}
			if got != test.framing {
				t.Errorf("the framing is %s, want %s", got, test.framing)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		data string
		want codec.Framing
		skip int
	}{
		{"", nil, 0}, {"c", nil, 0}, {"cOnTeNt", nil, 0}, {"Content-", codec.LSP, 0}, {"CONTENT-X", codec.LSP, 0}, {" content-", nil, 1},
		{"{", nil, 0}, {" \t\r\n\x00{", nil, 5}, {"  ", nil, 2}, {"\xef\xbb\xbf", nil, 3}, {"\xef\xbb", nil, 0},
		{"{}\n", codec.LF, 0}, {"{}\x00\n", codec.NUL, 0}, {" {\n", codec.NUL, 1}, {"[ \t\r\n", codec.NUL, 0}, {"{}\n\x00", codec.LF, 0},
		{"\u00a0{\n", codec.LF, 0},
	} {
		if f, skip := codec.Detect([]byte(test.data)); f != test.want || skip != test.skip {
			t.Errorf("%q: %v, %d", test.data, f, skip)
		}
	}
}

func TestSniff(t *testing.T) {
	t.Parallel()
	names := []string{"undecided", "TLS", "HTTP", "frames"}
	for data, want := range map[string]codec.Protocol{
		"": codec.Undecided, "G": codec.Undecided, "GET": codec.Undecided, "GET ": codec.HTTP, "GET /": codec.HTTP, "get /": codec.Frames, "GETX": codec.Frames,
		"P": codec.Undecided, "PO": codec.Undecided, "POST ": codec.HTTP, "PUT ": codec.HTTP, "PATCH ": codec.HTTP, "PRI * HTTP/2.0": codec.HTTP, "PX": codec.Frames,
		"HEAD ": codec.HTTP, "DELETE ": codec.HTTP, "OPTIONS": codec.Undecided, "OPTIONS ": codec.HTTP, "OPTIONSX": codec.Frames, "CONNECT ": codec.HTTP, "TRACE ": codec.HTTP,
		"CON": codec.Undecided, "CONT": codec.Frames, "Content-": codec.Frames, "\x16": codec.TLS, "\x16\x03\x01": codec.TLS, "{": codec.Frames, "\x00": codec.Frames, "\n": codec.Frames, "\xef": codec.Frames, "garbage": codec.Frames,
	} {
		if got := codec.Sniff([]byte(data)); got != want {
			t.Errorf("%q: %s", data, names[got])
		}
	}
}

func TestParseFraming(t *testing.T) {
	t.Parallel()
	for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP, codec.WS, codec.Terse} {
		if got, err := codec.ParseFraming(f.Name()); got != f || err != nil {
			t.Errorf("%s: %v, %v", f.Name(), got, err)
		}
	}
	for _, expr := range []string{"", "JRPC", "jrpc:", "jrpc:nul", "lsp "} {
		if f, err := codec.ParseFraming(expr); err == nil || !strings.Contains(err.Error(), "jrpc, jrpc:lf, lsp, ws and terse") {
			t.Errorf("%q: %v, %v", expr, f, err)
		}
	}
}

func TestFramingAppend(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		f           codec.Framing
		frame, want string
	}{
		{codec.NUL, "{\n}", "x{\n}\x00"}, {codec.WS, "{}", "x{}\x00"}, {codec.LF, "{}", "x{}\n"}, {codec.LF, "{}\r", "x{}\r\n"},
		{codec.LF, "{\r\n\"a\\n\":\n\"\\\"\"}", "x{\"a\\n\":\"\\\"\"}\n"}, {codec.LSP, "{\n}", "xContent-Length: 3\r\n\r\n{\n}"}, {codec.NUL, "", "x\x00"},
	} {
		if got := string(test.f.Append([]byte("x"), []byte(test.frame))); got != test.want {
			t.Errorf("%s: %q", test.f.Name(), got)
		}
	}
}

// TestFramingSkip skips a frame in two pieces, wherever it is cut.
func TestFramingSkip(t *testing.T) {
	t.Parallel()
	for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP, codec.WS, codec.Terse} {
		frame := f.Append(nil, []byte(`{"jsonrpc":"2.0","method":"m"}`))
		for cut := range frame {
			var s codec.SkipState
			n, done := f.Skip(&s, frame[:cut])
			if done || n > cut {
				t.Fatalf("%s, %d bytes: %d, %v", f.Name(), cut, n, done)
			}
			m, done := f.Skip(&s, append(bytes.Clone(frame[n:]), "rest"...))
			if !done || n+m != len(frame) {
				t.Errorf("%s, %d bytes: %d and %d of %d, %v", f.Name(), cut, n, m, len(frame), done)
			}
		}
	}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	same := []byte("{\t\"a\": \"\\n\"}")
	if got := codec.Compact(same); &got[0] != &same[0] {
		t.Error("a frame without line breaks was copied")
	}
	for in, want := range map[string]string{
		"{\n\"a\"\r\n:\r1}": `{"a":1}`, "[\"\\\"\",\n\"\\\\\"\n]": `["\"","\\"]`, "\n": ``, "\"a\nb\"": "\"a\nb\"", "\"a\n\\": "\"a\n\\",
	} {
		if got := string(codec.Compact([]byte(in))); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestReaderSetters(t *testing.T) {
	t.Parallel()
	r := codec.NewReader(strings.NewReader("{}\n\x000123456789\x00\n"), nil, -1)
	if r.Framing() != nil {
		t.Error("known before the first byte")
	}
	r.SetLimit(3)
	r.SetFraming(codec.NUL)
	r.SetFraming(codec.LF)
	frame, err := r.Next()
	if err != nil || string(frame) != "{}\n" || r.Framing() != codec.NUL {
		t.Fatalf("%q, %v, %v", frame, err, r.Framing())
	}
	if r.Buffered() != 12 {
		t.Error(r.Buffered())
	}
	r.SetLimit(10)
	if frame, err := r.Next(); err != nil || string(frame) != "0123456789" {
		t.Fatalf("%q, %v", frame, err)
	}
	r.SetLimit(-5)
	if _, err := r.Next(); err != codec.ErrTruncated {
		t.Error(err)
	}
}

func TestReaderErrorsAreFinal(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		r    *codec.Reader
		want error
	}{
		"of the stream":   {codec.NewReader(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), codec.NUL, 10), broken},
		"no progress":     {codec.NewReader(stuck{}, codec.NUL, 10), io.ErrNoProgress},
		"header":          {codec.NewReader(strings.NewReader("x\r\n\r\nContent-Length: 1\r\n\r\na"), codec.LSP, 10), codec.ErrHeader},
		"no framing":      {codec.NewReader(strings.NewReader("01234567890\n{}\n"), nil, 10), codec.ErrNoFraming},
		"no framing, far": {codec.NewReader(strings.NewReader(strings.Repeat("x", 10_000)+"\n{}\n"), nil, 10), codec.ErrNoFraming},
	} {
		for range 3 {
			if frame, err := test.r.Next(); err != test.want {
				t.Errorf("%s: %q, %v", name, frame, err)
			}
		}
	}
	if got := codec.ErrHeader.Error() + (&codec.TooLargeError{Limit: 5}).Error(); got != "codec: broken Content-Length headercodec: the frame is larger than 5 bytes" {
		t.Error(got)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// TestReaderMemory bounds the buffer by what was received and by the limit, and wants it back when it is empty.
func TestReaderMemory(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP, codec.Terse} {
		frame := []byte(`"` + strings.Repeat("x", limit-2) + `"`)
		huge := []byte(`"` + strings.Repeat("x", 8*limit) + `"`)
		stream := f.Append(nil, frame)
		if f == codec.Terse {
			stream, huge = append([]byte("x a:"), append(frame[30:], '\n')...), append(append([]byte("x a:"), huge...), '\n')
		} else {
			huge = f.Append(nil, huge)
		}
		stream = append(append(append(stream, huge...), huge...), stream...)
		largest, last := 0, -1
		r := codec.NewReader(iotest.HalfReader(bytes.NewReader(stream)), f, limit)
		r.Reserve = func(size int) error {
			largest, last = max(largest, size), size
			return nil
		}
		got := readAll(r)
		if len(got) != 4 || !strings.HasPrefix(got[1], "too large") || !strings.HasPrefix(got[2], "too large") || got[0] != got[3] {
			t.Errorf("%s: %.200q", f.Name(), got)
		}
		if largest > limit+4096 || last > 4096 {
			t.Errorf("%s: the buffer grew to %d bytes, and was left at %d", f.Name(), largest, last)
		}
	}
	announced := 0
	r := codec.NewReader(strings.NewReader("Content-Length: 1000000\r\n\r\nabc"), codec.LSP, limit)
	r.Reserve = func(size int) error { announced = max(announced, size); return nil }
	if _, err := r.Next(); err != codec.ErrTruncated || announced > 4096 {
		t.Error(err, announced)
	}
}

// TestReaderBusy has a larger buffer where much comes at a time, and the small one again when little does.
func TestReaderBusy(t *testing.T) {
	t.Parallel()
	frame := append(bytes.Repeat([]byte("x"), 99), 0)
	left := 0 // bytes that are there to be read
	given := 0
	r := codec.NewReader(readerFunc(func(p []byte) (int, error) {
		n := min(left, len(p))
		for i := range n {
			p[i] = frame[(given+i)%len(frame)]
		}
		left, given = left-n, given+n
		return n, nil
	}), codec.NUL, 1<<20)
	var sizes []int
	r.Reserve = func(size int) error { sizes = append(sizes, size); return nil }
	take := func(n int) {
		t.Helper()
		for left = n * len(frame); n > 0; n-- {
			if got, err := r.Next(); err != nil || len(got) != len(frame)-1 {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}
	take(10)
	take(1000)
	take(1000)
	if want := []int{4 << 10, 16 << 10}; !slices.Equal(sizes, want) {
		t.Errorf("a busy stream has buffers of %v, want %v", sizes, want)
	}
	sizes = nil
	for range 20 {
		take(1)
	}
	if want := []int{0, 4 << 10}; !slices.Equal(sizes, want) {
		t.Errorf("then a quiet one has %v, want %v", sizes, want)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReaderReserve(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	r := codec.NewReader(strings.NewReader("a\x00"+strings.Repeat("x", 50_000)+"\x00"), codec.NUL, 1<<20)
	r.Reserve = func(size int) error {
		if size > 8<<10 {
			return full
		}
		return nil
	}
	if frame, err := r.Next(); err != nil || string(frame) != "a" {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Next(); err != full {
			t.Error(err)
		}
	}
	// An error when the buffer is given back ends reading too.
	r = codec.NewReader(strings.NewReader(strings.Repeat("x", 100_000)+"\x00"), codec.NUL, 1<<20)
	r.Reserve = func(size int) error {
		if size == 0 {
			return full
		}
		return nil
	}
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Next(); err != full {
			t.Error(err)
		}
	}
}

// TestReaderOversized: who asks is told at once of a frame that is too large, and may end it there.
func TestReaderOversized(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	for _, whole := range []bool{false, true} {
		text := strings.Repeat("x", 20<<10)
		if whole {
			text = strings.Repeat("x", 1000) + "\x00"
		}
		r := codec.NewReader(strings.NewReader(text), codec.NUL, 100)
		asked := 0
		r.Oversized = func() error { asked++; return stop }
		for range 2 {
			if frame, err := r.Next(); err != stop {
				t.Errorf("got %q, %v", frame, err)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	}
	r := codec.NewReader(strings.NewReader(strings.Repeat("x", 20<<10)+"\x00ok\x00"), codec.NUL, 100)
	r.Oversized = func() error { return nil }
	var large *codec.TooLargeError
	if _, err := r.Next(); !errors.As(err, &large) {
		t.Error(err)
	}
	if frame, err := r.Next(); err != nil || string(frame) != "ok" {
		t.Errorf("got %q, %v", frame, err)
	}
}
