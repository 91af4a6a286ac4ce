package codec_test

import (
	"errors"
	"strings"
	"testing"

	"peermesh/codec"
)

// terseFrame translates one line.
func terseFrame(line string) (string, error) {
	frame, err := codec.NewReader(strings.NewReader(line+"\n"), codec.Terse, 1<<20).Next()
	return string(frame), err
}

func TestTerse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ line, frame string }{
		{`say text:"hi"`, `{"jsonrpc":"2.0","method":"say","params":{"text":"hi"}}`},
		{`quit`, `{"jsonrpc":"2.0","method":"quit"}`},
		{`quit {}`, `{"jsonrpc":"2.0","method":"quit","params":{}}`},
		{`echo/7 text:"hi"`, `{"jsonrpc":"2.0","method":"echo","id":7,"params":{"text":"hi"}}`},
		{`echo/"a]" x:1`, `{"jsonrpc":"2.0","method":"echo","id":"a]","params":{"x":1}}`},
		{`echo/null`, `{"jsonrpc":"2.0","method":"echo","id":null}`},
		{`sub/-1 [42 23]`, `{"jsonrpc":"2.0","method":"sub","id":-1,"params":[42,23]}`},
		{`sub []`, `{"jsonrpc":"2.0","method":"sub","params":[]}`},
		{`[7]:"hi"`, `{"jsonrpc":"2.0","id":7,"result":"hi"}`},
		{`["a]"]:null`, `{"jsonrpc":"2.0","id":"a]","result":null}`},
		{`[7]:{a:[1 2]}`, `{"jsonrpc":"2.0","id":7,"result":{"a":[1,2]}}`},
		{`[7]:'AAH/'`, `{"jsonrpc":"2.0","id":7,"result":{"__bytes":"AAH/"}}`},
		{`[null]! code:-32601 message:"no"`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"no"}}`},
		{`[7]! `, `{"jsonrpc":"2.0","id":7,"error":{}}`},
		{`put i:1 f:1.5 big:123456789 n:null t:true u:false s:"a\"b\\c\n" b:'AP8=' e:'' l:[1 "x" []] d:{k:2 "a b":{}}`,
			`{"jsonrpc":"2.0","method":"put","params":{"i":1,"f":1.5,"big":123456789,"n":null,"t":true,"u":false,"s":"a\"b\\c\n","b":{"__bytes":"AP8="},"e":{"__bytes":""},"l":[1,"x",[]],"d":{"k":2,"a b":{}}}}`},
		{`big n:123456789012345678901234567890 f:1.0e-300`, `{"jsonrpc":"2.0","method":"big","params":{"n":123456789012345678901234567890,"f":1.0e-300}}`},
		{`lab.camera.snap/1 exposure_ms:20`, `{"jsonrpc":"2.0","method":"lab.camera.snap","id":1,"params":{"exposure_ms":20}}`},
		{`"$/cancelRequest" id:7`, `{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":7}}`},
		{`"" "":1`, `{"jsonrpc":"2.0","method":"","params":{"":1}}`},
		{`"grüß dich"/1 "ä":"☃"`, `{"jsonrpc":"2.0","method":"grüß dich","id":1,"params":{"ä":"☃"}}`},
		{`m __bytes:"AAH/"`, `{"jsonrpc":"2.0","method":"m","params":{"__bytes":"AAH/"}}`},
		{`m a:{__bytes:"AAH"}`, `{"jsonrpc":"2.0","method":"m","params":{"a":{"__bytes":"AAH"}}}`},
		{`m a:{__bytes:"AAH/" x:1}`, `{"jsonrpc":"2.0","method":"m","params":{"a":{"__bytes":"AAH/","x":1}}}`},
	} {
		frame, err := terseFrame(test.line)
		if err != nil || frame != test.frame {
			t.Errorf("%s: %s, %v", test.line, frame, err)
		}
		if got := string(codec.Terse.Append([]byte("x"), []byte(test.frame))); got != "x"+test.line+"\n" {
			t.Errorf("%s becomes %q", test.frame, got)
		}
	}
}

func TestTerseReads(t *testing.T) {
	t.Parallel()
	const m = `{"jsonrpc":"2.0","method":"m"`
	for _, test := range []struct{ line, frame string }{
		{"  m \t,, \r", m + `}`},
		{"m a:1,b:2 , c:[1,2,]", m + `,"params":{"a":1,"b":2,"c":[1,2]}}`},
		{"m {a:1}", m + `,"params":{"a":1}}`},
		{"m { a: 1 }", m + `,"params":{"a":1}}`},
		{"m a:1 a:2", m + `,"params":{"a":1,"a":2}}`},
		{"m a:" + nested(62), m + `,"params":{"a":` + nested(62) + `}}`},
		{"m " + nested(63), m + `,"params":` + nested(63) + `}`},
		{"m " + strings.Repeat("[", 62) + "''" + strings.Repeat("]", 62), m + `,"params":` + strings.Repeat("[", 62) + `{"__bytes":""}` + strings.Repeat("]", 62) + `}`},
	} {
		frame, err := terseFrame(test.line)
		if err != nil || frame != test.frame {
			t.Errorf("%s: %s, %v", test.line, frame, err)
		}
		if !codec.Valid([]byte(frame)) {
			t.Errorf("%s is no JSON", frame)
		}
	}
}

func TestTerseRefuses(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"/7", "m/", "m/x", "m/[1]", "m/7x:1", "m/7/8", "m[1]", "m{}", `m"a":1`, "m a", "m a:", "m a: ", "m :1", "m a:1b:2", "m a:1:2", "m a:x", "m a:NaN",
		"m a:-", "m a:01", "m a:.5", `m a:"x`, `m a:"\x"`, "m a:'AAH'", "m a:'AAH", "m a:'A A='", "m a:[1", "m a:[1}", "m a:[1 2", `m a:["x"1]`, "m a:{b:1",
		"m a:{b:1]", "m a:{b}", "m a:{:1}", "m a:truefalse", "m a:1 }", "m ]", "m }", "m 1", `m "a"`, "m [1] [2]", "m [1] a:1", "m {a:1} b:2", "m (a)", "ä",
		"[", "[7", "[7]", "[7] :1", "[7]:", "[7]:1 2", "[7]: x", "[]:1", "[x]:1", "[[1]]:1", "[7]!code", "[7]! 1", "[7]!!", "[true]:1", "m a:\"\xff\"", "m \x00",
		"m a:\x01", "m a:" + nested(63), "m " + nested(64), "[7]:" + nested(64), "m " + strings.Repeat("[", 100_000), "m a:" + strings.Repeat("{a:", 100_000),
		"m " + strings.Repeat("[", 63) + "''" + strings.Repeat("]", 63), "}", "'AAH/'", "{}", `{"jsonrpc":"2.0","method":"m"}`,
	} {
		if frame, err := terseFrame(line); !errors.Is(err, codec.ErrSyntax) || !strings.Contains(err.Error(), "column") {
			t.Errorf("%.60q: %.100s, %v", line, frame, err)
		}
	}
	_, err := terseFrame(`say text:"hi" loud`)
	if err == nil || err.Error() != "codec: not JSON: column 19 of the line" {
		t.Error(err)
	}
}

func TestTerseWrites(t *testing.T) {
	t.Parallel()
	const none = `[null]! code:-32603 message:"the message has no terse form"`
	for _, test := range []struct{ frame, line string }{
		{` { "jsonrpc" : "2.0" , "method" : "m" , "params" : { "a" : [ 1 , 2 ] , "b" : { } , "c" : [ ] } } `, `m a:[1 2] b:{} c:[]`},
		{`{"jsonrpc":"2.0","method":"m","params": { } }`, `m {}`},
		{`{"jsonrpc":"2.0","method":"m","params":[{"a":1},{"__bytes":"AAH/"}]}`, `m [{a:1} 'AAH/']`},
		{`{"jsonrpc":"2.0","method":"m","params":null,"meta":{"x":1},"y":2}`, `m`},
		{`{"jsonrpc":"2.0","method":"\u006d\n","id":1}`, `"m\n"/1`},
		{`{"jsonrpc":"2.0","id":1,"error":"str"}`, `[1]! message:"str"`},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"a","data":{"x":[null]}}}`, `[1]! code:1 message:"a" data:{x:[null]}`},
		{`{"jsonrpc":"2.0","id":1,"result":{"a\u0062":1}}`, `[1]:{ab:1}`},
		{`[]`, none}, {`[{"jsonrpc":"2.0","method":"m"}]`, none}, {`{}`, none}, {`x`, none}, {``, none},
	} {
		if got := string(codec.Terse.Append(nil, []byte(test.frame))); got != test.line+"\n" {
			t.Errorf("%s: %q", test.frame, got)
		}
	}
}
