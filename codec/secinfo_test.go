package codec_test

import (
	"errors"
	"strings"
	"testing"

	"peermesh/codec"
)

func TestParseSecInfo(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	const ours = `{"jsonrpc":"2.0","method":"rpc.secinfo","params":`
	for _, test := range []struct{ name, frame, want string }{
		{"our own form", ours + `{"alg":"HS256","kid":"cf6785d9"}}`, `{"alg":"HS256","kid":"cf6785d9"}`},
		{"the largest", ours + `{"x":"` + long(2048-len(ours)-9) + `"}}`, `{"x":"` + long(2048-len(ours)-9) + `"}`},
		{"quickrpc's form", `{"jsonrpc": "2.0", "method": "rpc.secinfo", "params": {"user": "alice"}}`, `{"user": "alice"}`},
		{"another order", ` {"params":{"user":""},"method":"rpc.secinfo","jsonrpc":"2.0"} `, `{"user":""}`},
		{"what the params' parser refuses", ours + `{"a":"b"},"id":{}}`, `{"a":"b"},"id":{}`},

		{"one byte too large", ours + `{"x":"` + long(2049-len(ours)-9) + `"}}`, "malformed"},
		{"far too large", ours + `{"x":"` + long(100_000) + `"}}`, "malformed"},
		{"with an id", `{"jsonrpc":"2.0","id":1,"method":"rpc.secinfo","params":{}}`, "malformed"},
		{"with an unknown member", `{"jsonrpc":"2.0","x":1,"method":"rpc.secinfo","params":{}}`, "malformed"},
		{"with meta", `{"jsonrpc":"2.0","meta":{},"method":"rpc.secinfo","params":{}}`, "malformed"},
		{"without params", `{"jsonrpc":"2.0","method":"rpc.secinfo"}`, "malformed"},
		{"params null", `{"jsonrpc": "2.0","method":"rpc.secinfo","params":null}`, "malformed"},
		{"params by position", `{"jsonrpc": "2.0","method":"rpc.secinfo","params":[]}`, "malformed"},
		{"params a string", `{"jsonrpc": "2.0","method":"rpc.secinfo","params":"x"}`, "malformed"},
		{"without version", `{"method":"rpc.secinfo","params":{}}`, "malformed"},
		{"another version", `{"jsonrpc":"1.0","method":"rpc.secinfo","params":{}}`, "malformed"},
		{"method twice", `{"jsonrpc":"2.0","method":"x","method":"rpc.secinfo","params":{}}`, "malformed"},
		{"an escape", `{"jsonrpc": "2.0","method":"rpc.secinfo","params":{"user":"\u0061"}}`, "malformed"},
		{"an escaped name", `{"jsonrpc":"2.0","m\u0065thod":"rpc.secinfo","params":{}}`, "malformed"},

		{"another method", `{"jsonrpc":"2.0","method":"rpc.secinfos","params":{}}`, "none"},
		{"a longer name", `{"jsonrpc":"2.0","method":"x.rpc.secinfo","params":{}}`, "none"},
		{"a mention", `{"jsonrpc":"2.0","method":"log","params":["rpc.secinfo"]}`, "none"},
		{"a member of params", `{"jsonrpc":"2.0","id":1,"method":"m","params":{"method":"rpc.secinfo"}}`, "none"},
		{"a response", `{"jsonrpc":"2.0","id":1,"result":{"method":"rpc.secinfo"}}`, "none"},
		{"a batch", `[{"jsonrpc":"2.0","method":"rpc.secinfo","params":{}}]`, "none"},
		{"an escaped method", `{"jsonrpc":"2.0","method":"rpc\u002esecinfo","params":{}}`, "none"},
		{"no JSON", `{"jsonrpc":"2.0","method":"rpc.secinfo",`, "none"},
		{"no JSON, nearly ours", ours + `{}`, "{"},
		{"something behind it", `{"jsonrpc": "2.0","method":"rpc.secinfo","params":{}} x`, "none"},
		{"the method is no string", `{"jsonrpc":"2.0","method":[".secinfo"],"params":{}}`, "none"},
		{"no method", `{"jsonrpc":"2.0","params":[".secinfo"]}`, "none"},
		{"a name far behind", `{"jsonrpc":"2.0","params":{"x":"` + long(3000) + `"},"method":"rpc.secinfo"}`, "none"},
		{"a string", `"rpc.secinfo"`, "none"},
		{"nothing", ``, "none"},
		{"white space", ` `, "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			params, ok, err := codec.ParseSecInfo([]byte(test.frame))
			got := "none"
			switch {
			case errors.Is(err, codec.ErrSecInfo) && ok && params == nil:
				got = "malformed"
			case err != nil:
				t.Fatal(err)
			case ok:
				got = string(params)
			}
			if got != test.want {
				t.Errorf("is %.100s, want %.100s", got, test.want)
			}
		})
	}
}
