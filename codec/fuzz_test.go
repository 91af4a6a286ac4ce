package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
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
	f.Add([]byte(`{"jsonrpc":"2.0","method":"m","params":["` + strings.Repeat("large ", 400) + `"]}`))
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
