package golden_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"peermesh/codec/golden"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t *testing.T, text string) golden.Script {
	t.Helper()
	scripts, err := golden.Load(fstest.MapFS{"x.jsonrpc": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return scripts[0]
}

func TestLoad(t *testing.T) {
	t.Parallel()
	s := load(t, `// the file

// rows 3, 14: first
// and more
--> {"a":$(3*[)$(1*\x00\t)}
--> b
<-- {"a":"$(1*"\u00e4")"}
<-- d
--> alone

--> next
// row 7: last
--> last
`)
	if s.Name != "x" || len(s.Steps) != 4 {
		t.Fatalf("script %q with %d steps", s.Name, len(s.Steps))
	}
	first := s.Steps[0]
	if first.Line != 5 || first.Note != "first and more" || len(first.Rows) != 2 || first.Rows[0] != 3 || first.Rows[1] != 14 {
		t.Errorf("first step: line %d, note %q, rows %v", first.Line, first.Note, first.Rows)
	}
	if string(first.Send[0]) != "{\"a\":[[[\x00\t}" || string(first.Want[0]) != `{"a":""ä""}` || len(first.Want) != 2 || len(first.Send) != 2 {
		t.Errorf("first step: %q, %q", first.Send, first.Want)
	}
	if string(s.Steps[1].Send[0]) != "alone" || len(s.Steps[1].Want) != 0 || string(s.Steps[2].Send[0]) != "next" {
		t.Errorf("%q, %q", s.Steps[1].Send, s.Steps[2].Send)
	}
	if s.Steps[3].Rows[0] != 7 || s.Steps[3].Note != "last" {
		t.Errorf("last step: %+v", s.Steps[3])
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"an answer to nothing":      "<-- {}\n",
		"an answer behind a gap":    "--> a\n\n<-- {}\n",
		"a line of no kind":         "hello\n",
		"a repetition without end":  "--> $(3*a\n",
		"a repetition without text": "--> $(3)\n",
		"a repetition of no number": "<-- $(x*a)\n",
		"a negative repetition":     "--> $(-1*a)\n",
		"a broken escape":           "--> $(1*\\q)\n",
		"a broken answer":           "--> a\n<-- $(1*\\q)\n",
		"a row out of range":        "// row 99999999999999999999: x\n--> a\n",
		"a line too long":           "--> " + strings.Repeat("x", 70_000) + "\n",
	} {
		if _, err := golden.Load(fstest.MapFS{"x.jsonrpc": {Data: []byte(text)}}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := golden.Load(fstest.MapFS{}); err == nil {
		t.Error("an empty directory was taken")
	}
	if _, err := golden.Load(os.DirFS("no such directory")); err == nil {
		t.Error("a missing directory was taken")
	}
	if _, err := golden.Load(fstest.MapFS{"x.jsonrpc/y": {}}); err == nil {
		t.Error("a directory in place of a file was taken")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want, got string
		ok              bool
	}{
		{"equal", `{"id":1,"result":{"a":1,"b":[true,null,"x"]}}`, `{"result": {"b": [true, null, "\u0078"], "a": 1.0}, "id":1}`, true},
		{"id in another spelling", `{"id":1.0,"result":1}`, `{"id":1,"result":1}`, false},
		{"id of another type", `{"id":"1","result":1}`, `{"id":1,"result":1}`, false},
		{"other number", `{"id":1,"result":12345678901234567890}`, `{"id":1,"result":12345678901234567891}`, false},
		{"other result", `{"id":1,"result":[1,2]}`, `{"id":1,"result":[2,1]}`, false},
		{"other object", `{"id":1,"result":{"a":1}}`, `{"id":1,"result":{"b":1}}`, false},
		{"other type", `{"id":1,"result":{"a":1}}`, `{"id":1,"result":[1]}`, false},
		{"shorter object", `{"id":1,"result":{"a":1,"b":2}}`, `{"id":1,"result":{"a":1}}`, false},
		{"shorter array", `{"id":1,"result":[1]}`, `{"id":1,"result":[]}`, false},
		{"array for a word", `{"id":1,"result":[]}`, `{"id":1,"result":null}`, false},
		{"number for a word", `{"id":1,"result":1}`, `{"id":1,"result":null}`, false},
		{"another member", `{"id":1,"result":1}`, `{"id":1,"result":1,"error":null}`, false},
		{"a member of another name", `{"id":1,"result":1}`, `{"id":1,"RESULT":1}`, false},
		{"not an object", `{"id":1,"result":1}`, `1`, false},
		{"a result that is no JSON", `{"id":1,"result":1}`, `{"id":1,"result":01}`, false},
		{"not JSON", `{"id":1,"result":1}`, `{"id":1,"result":}`, false},
		{"any message and data", `{"id":1,"error":{"code":5}}`, `{"id":1,"error":{"code":5,"message":"m","data":[1]}}`, true},
		{"the message", `{"id":1,"error":{"code":5,"message":"m"}}`, `{"id":1,"error":{"code":5,"message":"n"}}`, false},
		{"the data", `{"id":1,"error":{"code":5,"data":{"a":1}}}`, `{"id":1,"error":{"code":5,"message":"m","data":{"a":2}}}`, false},
		{"no data", `{"id":1,"error":{"code":5,"data":{"a":1}}}`, `{"id":1,"error":{"code":5,"message":"m"}}`, false},
		{"another code", `{"id":1,"error":{"code":5}}`, `{"id":1,"error":{"code":6,"message":"m"}}`, false},
		{"no message", `{"id":1,"error":{"code":5}}`, `{"id":1,"error":{"code":5}}`, false},
		{"more in an error", `{"id":1,"error":{"code":5}}`, `{"id":1,"error":{"code":5,"message":"m","x":1}}`, false},
		{"an error that is none", `{"id":1,"error":{"code":5}}`, `{"id":1,"error":"x"}`, false},
		{"batch in another order", `[{"id":1,"result":1},{"id":2,"result":2}]`, `[{"id":2,"result":2},{"id":1,"result":1}]`, true},
		{"batch with one twice", `[{"id":1,"result":1},{"id":2,"result":2}]`, `[{"id":1,"result":1},{"id":1,"result":1}]`, false},
		{"batch too short", `[{"id":1,"result":1},{"id":2,"result":2}]`, `[{"id":1,"result":1}]`, false},
		{"batch wanted", `[{"id":1,"result":1}]`, `{"id":1,"result":1}`, false},
		{"no batch wanted", `{"id":1,"result":1}`, `[{"id":1,"result":1}]`, false},
	} {
		step := golden.Step{Want: [][]byte{[]byte(test.want)}}
		if err := step.Check([]byte(test.got)); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestCheckCounts(t *testing.T) {
	t.Parallel()
	one, two := []byte(`{"id":1,"result":1}`), []byte(`{"id":2,"result":"`+strings.Repeat("x", 1000)+`"}`)
	silent := golden.Step{}
	if err := silent.Check(); err != nil {
		t.Error(err)
	}
	if silent.Check(one) == nil {
		t.Error("an answer in place of silence was taken")
	}
	both := golden.Step{Want: [][]byte{one, two}}
	if err := both.Check(two, one); err != nil {
		t.Error(err)
	}
	if both.Check(one) == nil {
		t.Error("one answer in place of two was taken")
	}
	if err := both.Check(one, one); err == nil || len(err.Error()) > 1500 {
		t.Errorf("the same answer twice: %.100v", err)
	}
}
