package codec_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/codec"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	raw := func(s string) []byte { return []byte(s) }
	for _, test := range []struct{ name, got, want string }{
		{"request", string(codec.AppendRequest(nil, 7, "a.b", raw(`[1]`), raw(`{"x":1}`))), `{"jsonrpc":"2.0","id":7,"method":"a.b","params":[1],"meta":{"x":1}}`},
		{"request, bare", string(codec.AppendRequest(nil, 1<<64-1, "m", nil, nil)), `{"jsonrpc":"2.0","id":18446744073709551615,"method":"m"}`},
		{"notification", string(codec.AppendNotification(nil, "m\n\"", raw(`{}`), nil)), `{"jsonrpc":"2.0","method":"m\n\"","params":{}}`},
		{"notification with meta", string(codec.AppendNotification(nil, "m", nil, raw(`{}`))), `{"jsonrpc":"2.0","method":"m","meta":{}}`},
		{"result", string(codec.AppendResult(nil, raw(`"a"`), raw(`{"x":1}`), raw(`{"h":1}`))), `{"jsonrpc":"2.0","id":"a","result":{"x":1},"meta":{"h":1}}`},
		{"no result", string(codec.AppendResult(nil, raw(`1`), nil, nil)), `{"jsonrpc":"2.0","id":1,"result":null}`},
		{"result for null", string(codec.AppendResult(nil, nil, raw("1"), nil)), `{"jsonrpc":"2.0","id":null,"result":1}`},
		{"error", string(codec.AppendError(nil, raw(`1`), &api.Error{Code: -1, Message: "ä", Data: raw(`[1]`)}, raw(`{}`))), `{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"ä","data":[1]},"meta":{}}`},
		{"error for null", string(codec.AppendError(nil, nil, &api.Error{}, nil)), `{"jsonrpc":"2.0","id":null,"error":{"code":0,"message":""}}`},
		{"error with data that is no JSON", string(codec.AppendError(nil, nil, &api.Error{Data: raw(`x`)}, nil)), `{"jsonrpc":"2.0","id":null,"error":{"code":0,"message":""}}`},
		{"error with data too deep", string(codec.AppendError(nil, nil, &api.Error{Data: raw(nested(63))}, nil)), `{"jsonrpc":"2.0","id":null,"error":{"code":0,"message":""}}`},
		{"error with deep data", string(codec.AppendError(nil, nil, &api.Error{Data: raw(nested(62))}, nil)), `{"jsonrpc":"2.0","id":null,"error":{"code":0,"message":"","data":` + nested(62) + `}}`},
		{"behind something", string(codec.AppendRequest(raw("x"), 1, "m", nil, nil)), `x{"jsonrpc":"2.0","id":1,"method":"m"}`},
		{"secinfo", string(codec.AppendSecInfo(nil, raw(`{"user":"a"}`))), `{"jsonrpc":"2.0","method":"rpc.secinfo","params":{"user":"a"}}`},
	} {
		if test.got != test.want {
			t.Errorf("%s:\n%s\n%s", test.name, test.got, test.want)
		}
		var m codec.Message
		if err := m.Parse([]byte(strings.TrimPrefix(test.got, "x"))); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestAppendString(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                           `""`,
		"plain <html> & more":        `"plain <html> & more"`,
		`"quoted" \slashed/`:         `"\"quoted\" \\slashed/"`,
		"\x00\x01\b\f\n\r\t\x1f\x7f": `"\u0000\u0001\u0008\u000c\n\r\t\u001f` + "\x7f" + `"`,
		"ä☃😀\u2028\ufffd":            "\"ä☃😀\u2028\ufffd\"",
		"a\xffb\xc3":                 "\"a\ufffdb\ufffd\"",
		"\xe2\x98x\xed\xa0\x80":      "\"\ufffd\ufffdx\ufffd\ufffd\ufffd\"",
	} {
		got := string(codec.AppendString(nil, in))
		if got != want {
			t.Errorf("%q: %q instead of %q", in, got, want)
		}
		var back string
		if err := json.Unmarshal([]byte(got), &back); err != nil || back != strings.ToValidUTF8(in, "\ufffd") && !strings.Contains(in, "\xe2\x98x") {
			t.Errorf("%q comes back as %q, %v", in, back, err)
		}
	}
}

func TestMeta(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	full := codec.Meta{Timeout: 1500 * time.Millisecond, TraceParent: []byte(parent), TraceState: []byte("a=1"), Progress: []byte(`"p\n1"`), Idem: []byte("k\"ä"), Handler: 42 * time.Microsecond}
	const text = `{"timeout_ms":1500,"progress":"p\n1","traceparent":"` + parent + `","tracestate":"a=1","idem":"k\"ä","handler_us":42}`
	if got := string(full.Append([]byte("x"))); got != "x"+text {
		t.Error(got)
	}
	if got := string((&codec.Meta{}).Append([]byte("x"))); got != "x" {
		t.Error(got)
	}
	if got := string((&codec.Meta{Timeout: 1}).Append(nil)); got != `{"timeout_ms":1}` {
		t.Error(got)
	}
	back := codec.ParseMeta([]byte(text))
	if string(back.Append(nil)) != text || string(back.Idem) != `k"ä` || string(back.Progress) != `"p\n1"` {
		t.Errorf("%+v", back)
	}
}

func TestParseMeta(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for _, test := range []struct {
		raw, want        string
		timeout, handler time.Duration
	}{
		{raw: `{}`, want: ``},
		{raw: ` { "timeout_ms" : 5 , "x" : [1] } `, want: `{"timeout_ms":5}`, timeout: 5 * time.Millisecond},
		{raw: `{"timeout_ms":99999999999,"handler_us":99999999999999}`, timeout: day, handler: day, want: `{"timeout_ms":86400000,"handler_us":86400000000}`},
		{raw: `{"timeout_ms":86400001,"handler_us":86400000000}`, timeout: day, handler: day, want: `{"timeout_ms":86400000,"handler_us":86400000000}`},
		{raw: `{"timeout_ms":9223372036854775808}`},
		{raw: `{"timeout_ms":-1,"handler_us":1.5}`},
		{raw: `{"timeout_ms":"5","handler_us":null}`},
		{raw: `{"timeout_ms":1e3,"handler_us":[]}`},
		{raw: `{"Timeout_ms":5}`},
		{raw: `{"progress":7,"idem":"a","tracestate":"b"}`, want: `{"progress":7,"tracestate":"b","idem":"a"}`},
		{raw: `{"progress":null}`},
		{raw: `{"progress":{},"idem":1,"traceparent":[],"tracestate":{}}`},
		{raw: `{"idem":"` + strings.Repeat("x", 1023) + `"}`},
		{raw: `{"idem":"a\u0062"}`, want: `{"idem":"ab"}`},
		{raw: `{"\u0069dem":"a"}`, want: `{"idem":"a"}`},
		{raw: `null`}, {raw: `[]`}, {raw: `"x"`}, {raw: ``}, {raw: `{`}, {raw: `{"idem"`}, {raw: `{"idem":`}, {raw: `{"idem":"a"`, want: `{"idem":"a"}`}, {raw: `{"`},
	} {
		m := codec.ParseMeta([]byte(test.raw))
		if got := string(m.Append(nil)); got != test.want || m.Timeout != test.timeout || m.Handler != test.handler {
			t.Errorf("%.60s: %s, %v, %v", test.raw, got, m.Timeout, m.Handler)
		}
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	type holder struct{ B codec.Bytes }
	for in, want := range map[string]string{"": `{"B":{"__bytes":""}}`, "\x00\x01\xff": `{"B":{"__bytes":"AAH/"}}`, "a": `{"B":{"__bytes":"YQ=="}}`} {
		raw, err := json.Marshal(holder{codec.Bytes(in)})
		if err != nil || string(raw) != want {
			t.Errorf("%q: %s, %v", in, raw, err)
		}
		var back holder
		if err := json.Unmarshal(raw, &back); err != nil || string(back.B) != in {
			t.Errorf("%s: %q, %v", raw, back.B, err)
		}
	}
	if raw, err := json.Marshal(holder{}); err != nil || string(raw) != `{"B":{"__bytes":""}}` {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestBytesUnmarshal(t *testing.T) {
	t.Parallel()
	for _, good := range []string{`{"__bytes":"AAH/"}`, ` { "__bytes" : "AAH/" } `} {
		b := codec.Bytes("before")
		if err := b.UnmarshalJSON([]byte(good)); err != nil || string(b) != "\x00\x01\xff" {
			t.Errorf("%s: %q, %v", good, b, err)
		}
	}
	for _, bad := range []string{
		`{"__bytes":5}`, `{"__bytes":null}`, `{"__bytes":"AAH"}`, `{"__bytes":"AAH_"}`, `{"__bytes":"AB=="}`, `{"__bytes":"AAH/\n"}`, "{\"__bytes\":\"AAH/\n\"}",
		`{"__bytes":"AAH\/"}`, `{"__bytes":"AAH/","x":1}`, `{"x":1,"__bytes":"AAH/"}`, `{"__bytes":"AAH/","__bytes":"AAH/"}`, `{"__bytes ":"AAH/"}`,
		`{}`, `[]`, `"AAH/"`, `1`, ``, `{`, `{"__bytes"`, `{"__bytes":`, `{"__bytes":"AAH/`, `{"__bytes":"AAH/"`, `{"__bytes":"AAH/"}x`, `{"__bytes" "AAH/"}`,
	} {
		b := codec.Bytes("before")
		if err := b.UnmarshalJSON([]byte(bad)); err == nil || string(b) != "before" {
			t.Errorf("%s: %q, %v", bad, b, err)
		}
	}
	b := codec.Bytes("before")
	if err := b.UnmarshalJSON([]byte(" null ")); err != nil || b != nil {
		t.Errorf("null: %q, %v", b, err)
	}
}
