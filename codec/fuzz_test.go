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
	"unicode/utf8"

	"peermesh/codec"
)

// The oracle of all fuzzing is encoding/json, with what it does not check: UTF-8, and depth.

func oracleValid(b []byte) bool {
	return json.Valid(b) && utf8.Valid(b) && depth(b) <= codec.MaxDepth
}

// depth returns how deep valid JSON nests.
func depth(b []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString:
			if c == '\\' {
				i++
			}
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// oracleMembers returns the members of an object, and which of them stand twice.
func oracleMembers(t *testing.T, b []byte) (members map[string]json.RawMessage, twice map[string]bool) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	members, twice = map[string]json.RawMessage{}, map[string]bool{}
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if _, ok := members[name.(string)]; ok {
			twice[name.(string)] = true
		}
		members[name.(string)] = value
	}
	return members, twice
}

// oracleOutcome is outcome, from encoding/json.
func oracleOutcome(t *testing.T, frame []byte) string {
	t.Helper()
	if !oracleValid(frame) {
		return "-32700 null"
	}
	if bytes.TrimLeft(frame, " \t\r\n")[0] != '{' {
		return "-32600 null"
	}
	members, twice := oracleMembers(t, frame)
	first := func(name string) byte { // of a member; 0: absent
		if raw := members[name]; raw != nil {
			return raw[0]
		}
		return 0
	}
	text := func(name string) (s string) {
		if first(name) == '"' {
			_ = json.Unmarshal(members[name], &s)
		}
		return s
	}
	has := func(name string) bool { return members[name] != nil }
	isReply := !has("method") && (has("result") || has("error"))
	goodID := has("id") && strings.IndexByte(`"-0123456789n`, first("id")) >= 0
	invalid := false
	for _, name := range []string{"jsonrpc", "method", "id", "params", "result", "error", "meta"} {
		invalid = invalid || twice[name]
	}
	invalid = invalid || text("jsonrpc") != "2.0" || has("id") && !goodID || has("result") && has("error") || isReply && !has("id") ||
		!isReply && (first("method") != '"' || has("result") || has("error") || strings.IndexByte("\x00n{[", first("params")) < 0)
	switch {
	case invalid && (isReply || first("method") == '"' && !has("id")):
		return "silent"
	case invalid && (!goodID || twice["id"]):
		return "-32600 null"
	case invalid:
		return "-32600 " + string(members["id"])
	}
	kind := "notification"
	switch {
	case has("error"):
		kind = "error"
	case has("result"):
		kind = "response"
	case has("id"):
		kind = "request"
	}
	if has("id") {
		kind += " id=" + string(members["id"])
	}
	if has("method") {
		kind += " method=" + text("method")
		if has("params") && first("params") != 'n' {
			kind += " params=" + string(members["params"])
		}
	}
	if has("result") {
		kind += " result=" + string(members["result"])
	}
	if has("error") {
		kind += " error=" + string(members["error"])
	}
	if first("meta") == '{' {
		kind += " meta=" + string(members["meta"])
	}
	return kind
}

// addTranscripts seeds with every frame of the transcripts that is not huge.
func addTranscripts(f *testing.F) {
	f.Helper()
	for _, s := range scripts(f) {
		for _, step := range s.Steps {
			for _, frame := range append(step.Send, step.Want...) {
				if len(frame) <= 4<<10 {
					f.Add(frame)
				}
			}
		}
	}
}

func FuzzMessage(f *testing.F) {
	addTranscripts(f)
	f.Add(request140)
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{"a\u0062":"ä☃😀\ud800"},"meta":{"timeout_ms":5}}`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		if codec.Valid(frame) != oracleValid(frame) {
			t.Fatalf("Valid is %v", codec.Valid(frame))
		}
		if got, want := outcome(string(frame)), oracleOutcome(t, frame); got != want {
			t.Fatalf("is   %s\nwant %s", got, want)
		}
		var m codec.Message
		if m.Parse(frame) == nil && m.Kind == codec.ErrorReply {
			_ = codec.DecodeError(m.Error)
		}
		_ = codec.DecodeError(frame)
		if !bytes.Equal(frame, before) {
			t.Fatal("the frame was changed")
		}
	})
}

func FuzzBatch(f *testing.F) {
	addTranscripts(f)
	f.Add(batchOf10)
	f.Fuzz(func(t *testing.T, frame []byte) {
		elements, err := codec.SplitBatch(nil, frame)
		var want []json.RawMessage
		var inv *codec.InvalidError
		switch isArray := oracleValid(frame) && json.Unmarshal(frame, &want) == nil && want != nil; {
		case codec.IsBatch(frame) != bytes.HasPrefix(bytes.TrimLeft(frame, " \t\r\n"), []byte("[")):
			t.Fatal("IsBatch")
		case !isArray:
			if !errors.Is(err, codec.ErrSyntax) {
				t.Fatal(err)
			}
		case len(want) == 0 || len(want) > codec.MaxBatch:
			if !errors.As(err, &inv) || inv.ID != nil || inv.Silent {
				t.Fatal(err)
			}
		case err != nil || len(elements) != len(want):
			t.Fatalf("%d elements instead of %d, %v", len(elements), len(want), err)
		default:
			for i := range want {
				if !bytes.Equal(elements[i], want[i]) {
					t.Fatalf("%s instead of %s", elements[i], want[i])
				}
				if errors.Is(new(codec.Message).Parse(elements[i]), codec.ErrSyntax) {
					t.Fatalf("%s is valid in the batch and alone not", elements[i])
				}
			}
		}
	})
}

func FuzzSecInfo(f *testing.F) {
	addTranscripts(f)
	f.Add([]byte(`{"jsonrpc":"2.0","method":"rpc.secinfo","params":{"alg":"HS256","kid":"cf6785d9","user":"alice"}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","method":"rpc.secinfo","params":{},"id":1}`))
	f.Add([]byte(`{"jsonrpc":"2.0","method":"rpc.secinfo","params":{}},"x":{}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","method":"rpc.secinfo","params":"x"}`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		params, ok, err := codec.ParseSecInfo(frame)
		isObject := oracleValid(frame) && bytes.HasPrefix(bytes.TrimLeft(frame, " \t\r\n"), []byte("{"))
		var method string
		var members map[string]json.RawMessage
		good := false
		if isObject {
			var twice map[string]bool
			members, twice = oracleMembers(t, frame)
			_ = json.Unmarshal(members["method"], &method)
			good = len(members) == 3 && len(twice) == 0 && oracleOutcome(t, frame) == "notification method=rpc.secinfo params="+string(members["params"]) &&
				members["params"][0] == '{' && len(frame) <= codec.MaxSecInfo && bytes.IndexByte(frame, '\\') < 0
		}
		switch {
		case err != nil && (!ok || params != nil || !errors.Is(err, codec.ErrSecInfo)):
			t.Fatalf("%s, %v, %v", params, ok, err)
		case err != nil && (good || method != codec.MethodSecInfo):
			t.Fatal("malformed, though it is good or none")
		case good && (!ok || string(params) != string(members["params"])):
			t.Fatalf("good, but %s, %v", params, ok)
		case ok && err == nil && !good && oracleValid(params) && bytes.TrimLeft(params, " \t\r\n")[0] == '{' && bytes.IndexByte(params, '\\') < 0:
			t.Fatalf("taken, with params that pass for good: %s", params)
		case !ok && method == codec.MethodSecInfo && bytes.Contains(frame[:min(len(frame), codec.MaxSecInfo)], []byte(`"rpc.secinfo"`)):
			t.Fatal("not seen")
		}
	})
}

func FuzzMeta(f *testing.F) {
	for _, s := range []string{
		`{"timeout_ms":1500,"progress":"p1","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=1","idem":"k","handler_us":42}`,
		`{"timeout_ms":-1,"progress":{},"idem":"\u0061\n"}`, `{}`, `{"`, `null`, `{"timeout_ms":99999999999999999999}`, `{"progress":1e5,"progress":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := codec.ParseMeta(raw)
		text := m.Append(nil)
		if !oracleValid(raw) {
			return
		}
		if len(text) > 0 && (!oracleValid(text) || text[0] != '{') {
			t.Fatalf("%s became %s", raw, text)
		}
		// What was written is read as the same.
		back := codec.ParseMeta(text)
		if again := back.Append(nil); string(again) != string(text) {
			// Text that grows beyond its bound by escapes is dropped the second time.
			if !bytes.ContainsAny(raw, "\\") {
				t.Fatalf("%s became %s", text, again)
			}
		}
		if m.Timeout < 0 || m.Handler < 0 {
			t.Fatal(m.Timeout, m.Handler)
		}
	})
}

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
