package codec_test

import (
	"errors"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/codec"
)

// outcome is what Parse makes of a frame, in one line: the kind and the parts that are there, or the error.
func outcome(frame string) string {
	var m codec.Message
	err := m.Parse([]byte(frame))
	var inv *codec.InvalidError
	switch {
	case errors.As(err, &inv) && inv.Silent:
		return "silent"
	case errors.As(err, &inv) && inv.ID == nil:
		return "-32600 null"
	case errors.As(err, &inv):
		return "-32600 " + string(inv.ID)
	case errors.Is(err, codec.ErrSyntax):
		return "-32700 null"
	case err != nil:
		return err.Error()
	}
	s := m.Kind.String()
	for _, part := range []struct {
		name string
		raw  []byte
	}{{"id", m.ID}, {"method", m.Method}, {"params", m.Params}, {"result", m.Result}, {"error", m.Error}, {"meta", m.Meta}} {
		if part.raw != nil {
			s += " " + part.name + "=" + string(part.raw)
		}
	}
	return s
}

type parseTest struct{ name, frame, want string }

func checkParse(t *testing.T, tests []parseTest) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := outcome(test.frame); got != test.want {
				t.Errorf("%s\nis   %s\nwant %s", test.frame, got, test.want)
			}
		})
	}
}

// TestConformance has the rows of the conformance list of JSON-RPC 2.0 that the envelope decides, by their numbers; the
// transcripts have them all.
func TestConformance(t *testing.T) {
	t.Parallel()
	checkParse(t, []parseTest{
		{"row 1: version of a reply", `{"id":1,"result":1}`, "silent"},
		{"row 2: both result and error", `{"jsonrpc":"2.0","id":1,"result":1,"error":{}}`, "silent"},
		{"row 2: result alone", `{"jsonrpc":"2.0","id":1,"result":1}`, "response id=1 result=1"},
		{"row 3: id abc", `{"jsonrpc":"2.0","id":"abc","method":"m"}`, `request id="abc" method=m`},
		{"row 3: id empty", `{"jsonrpc":"2.0","id":"","method":"m"}`, `request id="" method=m`},
		{"row 4: id negative", `{"jsonrpc":"2.0","id":-5,"method":"m"}`, `request id=-5 method=m`},
		{"row 5: id large", `{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}`, `request id=9007199254740993 method=m`},
		{"row 6: id uint64", `{"jsonrpc":"2.0","id":18446744073709551615,"method":"m"}`, `request id=18446744073709551615 method=m`},
		{"row 7: id fractional", `{"jsonrpc":"2.0","id":1.5,"method":"m"}`, `request id=1.5 method=m`},
		{"row 8: id null", `{"jsonrpc":"2.0","id":null,"method":"m"}`, `request id=null method=m`},
		{"row 9: id 1", `{"jsonrpc":"2.0","id":1,"method":"m"}`, `request id=1 method=m`},
		{"row 9: id \"1\"", `{"jsonrpc":"2.0","id":"1","method":"m"}`, `request id="1" method=m`},
		{"row 10: no params", `{"jsonrpc":"2.0","id":1,"method":"m"}`, `request id=1 method=m`},
		{"row 10: params null", `{"jsonrpc":"2.0","id":1,"method":"m","params":null}`, `request id=1 method=m`},
		{"row 11: by position", `{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}`, `request id=1 method=m params=[1]`},
		{"row 11: by name", `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}`, `request id=1 method=m params={"a":1}`},
		{"row 12: a string", `{"jsonrpc":"2.0","id":1,"method":"m","params":"bar"}`, "-32600 1"},
		{"row 12: a number", `{"jsonrpc":"2.0","id":1,"method":"m","params":0}`, "-32600 1"},
		{"row 12: a word", `{"jsonrpc":"2.0","id":1,"method":"m","params":false}`, "-32600 1"},
		{"row 13: notification", `{"jsonrpc":"2.0","method":"m"}`, "notification method=m"},
		{"row 13: bad params", `{"jsonrpc":"2.0","method":"m","params":"bar"}`, "silent"},
		{"row 13: other version", `{"jsonrpc":"1.0","method":"m"}`, "silent"},
		{"row 13: no version", `{"method":"m"}`, "silent"},
		{"row 13: twice", `{"jsonrpc":"2.0","method":"m","method":"m"}`, "silent"},
		{"row 13: with a result", `{"jsonrpc":"2.0","method":"m","result":1}`, "silent"},
		{"row 14: result null", `{"jsonrpc":"2.0","id":1,"result":null}`, "response id=1 result=null"},
		{"row 15: no JSON", `{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`, "-32700 null"},
		{"row 15: empty", ``, "-32700 null"},
		{"row 15: white space", " \t\r\n", "-32700 null"},
		{"row 16: method 1", `{"jsonrpc":"2.0","method":1,"params":"bar"}`, "-32600 null"},
		{"row 16: method 1 with id", `{"jsonrpc":"2.0","id":3,"method":1}`, "-32600 3"},
		{"row 16: method null", `{"jsonrpc":"2.0","id":3,"method":null}`, "-32600 3"},
		{"row 17: id alone", `{"jsonrpc":"2.0","id":3}`, "-32600 3"},
		{"row 18: version missing", `{"id":1,"method":"m"}`, "-32600 1"},
		{"row 18: version 1.0", `{"jsonrpc":"1.0","id":1,"method":"m"}`, "-32600 1"},
		{"row 18: version number", `{"jsonrpc":2.0,"id":1,"method":"m"}`, "-32600 1"},
		{"row 18: version with space", `{"jsonrpc":"2.0 ","id":1,"method":"m"}`, "-32600 1"},
		{"row 19: id object", `{"jsonrpc":"2.0","id":{},"method":"m"}`, "-32600 null"},
		{"row 19: id array", `{"jsonrpc":"2.0","id":[1],"method":"m"}`, "-32600 null"},
		{"row 19: id true", `{"jsonrpc":"2.0","id":true,"method":"m"}`, "-32600 null"},
		{"row 23: rpc.*", `{"jsonrpc":"2.0","id":1,"method":"rpc.nosuch"}`, "request id=1 method=rpc.nosuch"},
		{"row 24: empty batch", `[]`, "-32600 null"},
		{"row 25: element", `1`, "-32600 null"},
		{"row 32: stray result", `{"jsonrpc":"2.0","id":99,"result":1}`, "response id=99 result=1"},
		{"row 32: no id", `{"jsonrpc":"2.0","result":1}`, "silent"},
		{"row 32: id object", `{"jsonrpc":"2.0","id":{},"result":1}`, "silent"},
		{"row 33: METHOD", `{"jsonrpc":"2.0","id":1,"METHOD":"m"}`, "-32600 1"},
		{"row 33: Id", `{"jsonrpc":"2.0","Id":1,"method":"m"}`, "notification method=m"},
		{"row 34: error with id null", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`, `error id=null error={"code":-32700,"message":"x"}`},
		{"row 35: auth", `{"jsonrpc":"2.0","id":1,"method":"m","auth":"x","x":{"id":2}}`, "request id=1 method=m"},
		{"row 36: escaped name", `{"jsonrpc":"2.0","id":1,"\u006dethod":"m"}`, "request id=1 method=m"},
		{"row 36: escaped value", `{"jsonrpc":"2\u002e0","id":1,"method":"\u006d\n"}`, "request id=1 method=m\n"},
		{"row 37: null", `null`, "-32600 null"},
		{"row 37: {}", `{}`, "-32600 null"},
		{"row 37: { }", ` { } `, "-32600 null"},
		{"row 37: string", `"m"`, "-32600 null"},
		{"row 37: true", `true`, "-32600 null"},
		{"row 39: white space", " \t\r\n{ \"jsonrpc\" : \"2.0\" , \"id\" : 1 , \"method\" : \"m\" } \n", "request id=1 method=m"},
		{"row 39: byte order mark", "\ufeff" + `{"jsonrpc":"2.0","id":1,"method":"m"}`, "-32700 null"},
		{"row 39: depth 64", `{"jsonrpc":"2.0","method":"m","x":` + nested(63) + `}`, "notification method=m"},
		{"row 39: depth 65", `{"jsonrpc":"2.0","method":"m","x":` + nested(64) + `}`, "-32700 null"},
	})
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// TestParse has what JSON-RPC 2.0 leaves open and the protocol decides.
func TestParse(t *testing.T) {
	t.Parallel()
	checkParse(t, []parseTest{
		{"meta", `{"jsonrpc":"2.0","method":"m","meta":{"a":1}}`, `notification method=m meta={"a":1}`},
		{"meta of a response", `{"jsonrpc":"2.0","id":1,"result":1,"meta":{}}`, `response id=1 result=1 meta={}`},
		{"meta of another type", `{"jsonrpc":"2.0","method":"m","meta":"x"}`, `notification method=m`},
		{"meta null", `{"jsonrpc":"2.0","method":"m","meta":null}`, `notification method=m`},
		{"params of a response", `{"jsonrpc":"2.0","id":1,"result":1,"params":7}`, "response id=1 result=1"},
		{"empty method", `{"jsonrpc":"2.0","id":1,"method":""}`, "request id=1 method="},
		{"id twice", `{"jsonrpc":"2.0","id":1,"id":1,"method":"m"}`, "-32600 null"},
		{"id twice, once escaped", `{"jsonrpc":"2.0","id":1,"\u0069d":1,"method":"m"}`, "-32600 null"},
		{"method twice", `{"jsonrpc":"2.0","id":1,"method":"m","method":"m"}`, "-32600 1"},
		{"params null twice", `{"jsonrpc":"2.0","id":1,"method":"m","params":null,"params":[1]}`, "-32600 1"},
		{"meta twice", `{"jsonrpc":"2.0","id":1,"method":"m","meta":{},"meta":{}}`, "-32600 1"},
		{"result twice", `{"jsonrpc":"2.0","id":1,"result":1,"result":1}`, "silent"},
		{"unknown twice", `{"jsonrpc":"2.0","id":1,"method":"m","x":1,"x":1}`, "request id=1 method=m"},
		{"request and response", `{"jsonrpc":"2.0","id":1,"method":"m","result":1}`, "-32600 1"},
		{"error null", `{"jsonrpc":"2.0","id":1,"error":null}`, "error id=1 error=null"},
		{"result and error null", `{"jsonrpc":"2.0","id":1,"result":1,"error":null}`, "silent"},
		{"array", `[{"jsonrpc":"2.0","method":"m"}]`, "-32600 null"},
		{"broken array", `[`, "-32700 null"},
		{"name with other escapes", `{"jsonrpc":"2.0","id":1,"method":"m","a\u0000\"":1}`, "request id=1 method=m"},
	})
}

// TestParseSyntax breaks an envelope at every place.
func TestParseSyntax(t *testing.T) {
	t.Parallel()
	const frame = ` {"jsonrpc":"2.0","id":1,"method":"a\nb","params":[1,{"x":null}],"y":-1.5e+3} `
	if got := outcome(frame); !strings.HasPrefix(got, "request") {
		t.Fatal(got)
	}
	for i := range strings.LastIndexByte(frame, '}') {
		if got := outcome(frame[:i]); got != "-32700 null" {
			t.Errorf("%s: %s", frame[:i], got)
		}
	}
	for _, bad := range []string{
		`{"a"}`, `{"a" 1}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{a:1}`, `{1:1}`, `{"a":1}}`, `{"a":1},`, `{"a":1]`,
		`{"a\q":1}`, "{\"a\x01\":1}", "{\"\xff\":1}", `{"a":'b'}`, `{"a":tru}`, `{"a":nul}`, `{"a":falsy}`,
	} {
		if got := outcome(bad); got != "-32700 null" {
			t.Errorf("%s: %s", bad, got)
		}
	}
}

func TestParseOverwrites(t *testing.T) {
	t.Parallel()
	var m codec.Message
	if err := m.Parse([]byte(`{"jsonrpc":"2.0","id":1,"method":"m","params":[],"meta":{}}`)); err != nil {
		t.Fatal(err)
	}
	if err := m.Parse([]byte(`{"jsonrpc":"2.0","id":2,"result":1}`)); err != nil {
		t.Fatal(err)
	}
	if m.Kind != codec.Response || string(m.ID) != "2" || m.Method != nil || m.Params != nil || m.Meta != nil {
		t.Errorf("%+v", m)
	}
	if err := m.Parse([]byte(`{"jsonrpc":"2.0","id":2,"result":1,"error":1}`)); err == nil || m.Kind != codec.Invalid || m.ID != nil || m.Result != nil {
		t.Errorf("%+v", m)
	}
}

// TestParseRanges shows that parts are ranges of the frame, and that appending to one does not write into the next.
func TestParseRanges(t *testing.T) {
	t.Parallel()
	frame := []byte(`{"jsonrpc":"2.0","id":17,"method":"m","params":[1]}`)
	var m codec.Message
	if err := m.Parse(frame); err != nil {
		t.Fatal(err)
	}
	_ = append(m.ID, '!')
	_ = append(m.Params, '!')
	if string(frame) != `{"jsonrpc":"2.0","id":17,"method":"m","params":[1]}` {
		t.Errorf("overwritten: %s", frame)
	}
	frame[23] = '8'
	if string(m.ID) != "18" {
		t.Errorf("the id %s is no range of the frame", m.ID)
	}
}

func TestInvalidError(t *testing.T) {
	t.Parallel()
	var m codec.Message
	err := m.Parse([]byte(`{"jsonrpc":"2.0","id":3}`))
	var inv *codec.InvalidError
	if !errors.As(err, &inv) {
		t.Fatal(err)
	}
	if e := inv.RPC(); e.Code != api.CodeInvalidRequest || e.Message != "invalid request: there is no method" {
		t.Error(e)
	}
	if err.Error() != "codec: invalid message: there is no method" {
		t.Error(err)
	}
}

func TestKindString(t *testing.T) {
	t.Parallel()
	var all []string
	for k := codec.Invalid; k <= codec.ErrorReply+1; k++ {
		all = append(all, k.String())
	}
	if got := strings.Join(all, " "); got != "invalid request notification response error invalid" {
		t.Error(got)
	}
}

func TestDecodeError(t *testing.T) {
	t.Parallel()
	const malformed = "the peer sent a malformed error object"
	for _, test := range []struct {
		name, raw, message, data string
		code                     int
	}{
		{"whole", `{"code":-32601,"message":"no\nsuch","data":[1, 2]}`, "no\nsuch", "[1, 2]", -32601},
		{"no data", `{"code":1,"message":""}`, "", "", 1},
		{"code 0", ` { "message" : "boom" , "code" : 0 } `, "boom", "", 0},
		{"unknown members", `{"code":1,"message":"m","x":{}}`, "m", "", 1},
		{"data null", `{"code":1,"message":"m","data":null}`, "m", "null", 1},
		{"a string", `"str"`, malformed, `"str"`, api.CodeInternal},
		{"null", `null`, malformed, `null`, api.CodeInternal},
		{"empty", `{}`, malformed, `{}`, api.CodeInternal},
		{"no message", `{"code":1}`, malformed, `{"code":1}`, api.CodeInternal},
		{"message of another type", `{"code":1,"message":2}`, malformed, `{"code":1,"message":2}`, api.CodeInternal},
		{"names in capitals", `{"CODE":1,"MESSAGE":"m"}`, malformed, `{"CODE":1,"MESSAGE":"m"}`, api.CodeInternal},
		{"code in a string", `{"code":"1","message":"m"}`, malformed, `{"code":"1","message":"m"}`, api.CodeInternal},
		{"fractional code", `{"code":1.5,"message":"m"}`, malformed, `{"code":1.5,"message":"m"}`, api.CodeInternal},
		{"code out of range", `{"code":1e400,"message":"m"}`, malformed, `{"code":1e400,"message":"m"}`, api.CodeInternal},
		{"no JSON", `{"code":`, malformed, ``, api.CodeInternal},
		{"nothing", ``, malformed, ``, api.CodeInternal},
	} {
		raw := []byte(test.raw)
		e := codec.DecodeError(raw)
		clear(raw) // the frame is reused
		if e.Code != test.code || e.Message != test.message || string(e.Data) != test.data {
			t.Errorf("%s: %d %q %s", test.name, e.Code, e.Message, e.Data)
		}
	}
}
