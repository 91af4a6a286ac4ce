package tap_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/peer/tap"
)

type login struct {
	User  string `json:"user"`
	Phone string `json:"phone" writeOnly:"true"`
	Inner struct {
		Note string `json:"note" writeOnly:"true"`
	} `json:"inner"`
	List []struct {
		Code string `json:"code" writeOnly:"true"`
	} `json:"list"`
}

// lab is a document with secrets in all places where a schema can have them.
const lab = `{"openrpc":"1.3.2","info":{"title":"lab","version":"1"},"methods":[
	{"name":"lab.enter","params":[
		{"name":"pin","schema":{"type":"integer","writeOnly":true}},
		{"name":"who","schema":{"$ref":"#/components/schemas/who"}},
		{"$ref":"#/components/contentDescriptors/list"}],
		"result":{"name":"ticket","schema":{"type":"object","properties":{"stamp":{"type":"string","writeOnly":true},"n":{"type":"integer"}}}}},
	{"name":"lab.any","params":[{"name":"a","schema":{
		"allOf":[{"properties":{"x":{"properties":{"one":{"writeOnly":true}}}}},{"properties":{"x":{"properties":{"two":{"writeOnly":true}}}}}],
		"oneOf":[{"properties":{"left":{"writeOnly":true}}},{"properties":{"right":{"writeOnly":true}}}],
		"if":{"required":["x"]},"then":{"properties":{"then":{"writeOnly":true}}},
		"dependentSchemas":{"x":{"properties":{"depends":{"writeOnly":true}}}},
		"patternProperties":{"^s-":{"writeOnly":true}},
		"properties":{"open":{}},"additionalProperties":{"properties":{"deep":{"writeOnly":true}}}}}]},
	{"name":"lab.list","params":[],"x-params":{"type":"array","prefixItems":[{"writeOnly":true},{}],"items":{"properties":{"dark":{"writeOnly":true}}},"contains":{"properties":{"dim":{"writeOnly":true}}}}},
	{"name":"lab.free","params":[{"name":"all","schema":{"type":"string"}}]}],
	"components":{"schemas":{"who":{"type":"object","properties":{"face":{"writeOnly":true},"next":{"$ref":"#/components/schemas/who"},"name":{"type":"string"}}}},
		"contentDescriptors":{"list":{"name":"list","schema":{"type":"array","items":{"type":"object","properties":{"dark":{"type":"string","writeOnly":true}}}}}}}}`

func TestRedactor(t *testing.T) {
	t.Parallel()
	type near struct{}
	type far struct{}
	d := api.Define[near, far]("door", "1", "")
	api.IncomingCall[login, login](d, "open", "")
	doc, err := api.Parse([]byte(lab))
	if err != nil {
		t.Fatal(err)
	}
	other, err := api.Parse([]byte(`{"openrpc":"1.3.2","info":{"title":"lab","version":"2"},"methods":[
		{"name":"lab.enter","params":[{"name":"who","schema":{"properties":{"name":{"writeOnly":true}}}}],"result":{"name":"r","schema":{}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r := tap.NewRedactor(d.OpenRPC(), doc)
	deep := func(s string) string { return strings.Repeat(`{"next":`, 40) + s + strings.Repeat("}", 40) }
	for _, c := range []struct{ method, in, want string }{
		// By the schema, whatever it is called.
		{"door.open", `{"user":"a","phone":"1","inner":{"note":"n","x":1},"list":[{"code":"2","y":[]},{"code":"3"}]}`,
			`{"user":"a","phone":"•••","inner":{"note":"•••","x":1},"list":[{"code":"•••","y":[]},{"code":"•••"}]}`},
		{"other", `{"user":"a","phone":"1"}`, ``},
		{"lab.enter", `{"pin":1234,"who":{"face":[1],"name":"n","next":{"face":2}},"list":[{"dark":"d","light":"l"}]}`,
			`{"pin":"•••","who":{"face":"•••","name":"n","next":{"face":"•••"}},"list":[{"dark":"•••","light":"l"}]}`},
		{"lab.enter", `[1234,{"face":1},[{"dark":2}],{"face":1}]`, `["•••",{"face":"•••"},[{"dark":"•••"}],{"face":1}]`},
		{"lab.enter", `{"pin":true,"who":` + deep(`{"face":false}`) + `}`, `{"pin":"•••","who":` + deep(`{"face":"•••"}`) + `}`},
		{"lab.any", `{"a":{"x":{"one":1,"two":2,"three":3,"deep":4},"left":5,"right":6,"then":7,"depends":8,"s-t":9,"open":{"deep":10},"more":{"deep":11}}}`,
			`{"a":{"x":{"one":"•••","two":"•••","three":3,"deep":"•••"},"left":"•••","right":"•••","then":"•••","depends":"•••","s-t":"•••","open":{"deep":10},"more":{"deep":"•••"}}}`},
		{"lab.list", `[1,{"dark":2,"dim":3},{"dark":4,"dim":5}]`, `["•••",{"dark":2,"dim":"•••"},{"dark":"•••","dim":"•••"}]`},
		{"lab.free", `{"all":"that is said"}`, ``},
		// By the name.
		{"x", `{"password":"a","user":"b"}`, `{"password":"•••","user":"b"}`},
		{"x", `{"a": [ {"apiKey" : "x" , "n":12345678901234567890 } ] }`, `{"a": [ {"apiKey" : "•••" , "n":12345678901234567890 } ] }`},
		{"x", `{"Session-Token":{"deep":1},"API_KEY":[1,2],"authorization":"Basic x"}`, `{"Session-Token":"•••","API_KEY":"•••","authorization":"•••"}`},
		{"x", `{"HMACKey":1,"accesstoken":2,"JWTToken":3,"PASSWORDHASH":4,"Password2":5,"client.secret":6,"key":7,"auth":8,"JWKey":9}`,
			`{"HMACKey":"•••","accesstoken":"•••","JWTToken":"•••","PASSWORDHASH":"•••","Password2":"•••","client.secret":"•••","key":"•••","auth":"•••","JWKey":"•••"}`},
		{"x", `{"keyboard":"qwerty","monkey":1,"tokenizer":2,"secretary":"s","has_password":true,"token":null,"author":"a","pin":13,"":0}`, ``},
		{"x", `{"pa\u0073sword":"a"}`, `{"pa\u0073sword":"•••"}`},
		{"x", `{"password":"a","password":"b"}`, `{"password":"•••","password":"•••"}`},
		{"x", `["token","x"]`, ``},
		{"x", `"password"`, ``},
		// What is no JSON.
		{"x", `{"password":`, `"••• 12 bytes that are no JSON"`},
		{"x", `{"a":`, `"••• 5 bytes that are no JSON"`},
		{"x", `{"a":1}{"password":"a"}`, `"••• 23 bytes that are no JSON"`},
		{"x", `1 2`, `"••• 3 bytes that are no JSON"`},
		{"x", ` `, `"••• 1 bytes that are no JSON"`},
		{"x", `{"a":[1,2}`, `"••• 10 bytes that are no JSON"`},
		{"x", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), `"••• 40000 bytes that are no JSON"`},
		{"x", "{\"a\":\"\xff\",\"key\":\"b\"}", "{\"a\":\"\xff\",\"key\":\"•••\"}"},
	} {
		want, hidden := c.want, strings.Count(c.want, "•••")
		if want == "" {
			want = c.in
		}
		rec := tap.Record{Method: c.method, Params: json.RawMessage(c.in), Data: json.RawMessage(`{"key":1}`)}
		if got := r.Record(&rec); string(rec.Params) != want || got != hidden+1 || string(rec.Data) != `{"key":"•••"}` {
			t.Errorf("%s\ngot  %s, %d hidden\nwant %s", c.in, rec.Params, got, want)
		}
	}
	rec := tap.Record{Method: "lab.enter", Result: json.RawMessage(`{"stamp":"s","n":1,"pin":2}`)}
	if r.Record(&rec); string(rec.Result) != `{"stamp":"•••","n":1,"pin":2}` {
		t.Errorf("the result: %s", rec.Result)
	}
	if n := r.Record(&tap.Record{}); n != 0 {
		t.Errorf("%d hidden in nothing", n)
	}

	// What any of several documents calls secret is, in whatever order they come.
	for _, docs := range [][]api.Document{{doc, other}, {other, doc}} {
		rec := tap.Record{Method: "lab.enter", Params: json.RawMessage(`{"who":{"face":1,"name":"n"}}`)}
		if tap.NewRedactor(docs...).Record(&rec); string(rec.Params) != `{"who":{"face":"•••","name":"•••"}}` {
			t.Errorf("by two documents: %s", rec.Params)
		}
	}
	// Of a method whose schema leads nowhere nothing is shown.
	lost := api.Document{Methods: []api.DocumentMethod{{Name: "m", Params: []api.DocumentDescriptor{{Name: "a", Schema: json.RawMessage(`{"$ref":"#/components/schemas/x"}`)}}}}}
	rec = tap.Record{Method: "m", Params: json.RawMessage(`{"a":1}`)}
	if tap.NewRedactor(lost).Record(&rec); string(rec.Params) != `"•••"` {
		t.Errorf("without its schema: %s", rec.Params)
	}
	rec = tap.Record{Method: "lab.enter", Params: json.RawMessage(`{"pin":1,"key":2}`)}
	if new(tap.Redactor).Record(&rec); string(rec.Params) != `{"pin":1,"key":"•••"}` {
		t.Errorf("by names alone: %s", rec.Params)
	}
}

// TestBeginning: of a long value so much is redacted as is shown, and no more is read.
func TestBeginning(t *testing.T) {
	t.Parallel()
	long := `{"a":"` + strings.Repeat("x", 1500) + `","token":"hush","b":["` + strings.Repeat("y", 5000) + `",{"token":"hush"}],"c":1}`
	rec := tap.Record{Params: json.RawMessage(long), Result: json.RawMessage(`[1,{"key":2}]`)}
	if n := new(tap.Redactor).Beginning(&rec, 2048); n != 2 {
		t.Errorf("%d hidden", n)
	}
	if want := strings.Replace(long, "hush", "•••", 1); !strings.HasPrefix(want, string(rec.Params)) || len(rec.Params) < 2048 || len(rec.Params) >= len(want) {
		t.Errorf("%d of %d bytes: %s", len(rec.Params), len(want), rec.Params)
	}
	if string(rec.Result) != `[1,{"key":"•••"}]` {
		t.Errorf("a short one: %s", rec.Result)
	}
}

// FuzzRedactor: whatever becomes of a text, a secret in it is not shown, and of what is JSON nothing else is lost.
// encoding/json says what is JSON, and what stands under which name.
func FuzzRedactor(f *testing.F) {
	for _, text := range []string{
		`{"password":"hush","user":"b"}`, `{"a":[{"api_key":{"b":"hush"}}],"password":["hush",1]}`, `{"password":"hush"`, `{"password":"hush"}}`,
		`{"password":"hush"}{"password":"hush"}`, `{"user":1,"password" "hush"}`, `"password":"hush"`, `{"a":"\ud800","password":"hush"}`, "{\"a\":\"\xff\",\"password\":\"hush\"}",
		`{'password':'hush'}`, `{"password":"hush",}`, "\ufeff{\"password\":\"hush\"}", `{"p\u0061ssword":"hu\u0073h"}`, `[["hush"],{"password":{}}]`, `true`, ` `, "{\"password\":\"hush\"}\x00",
	} {
		f.Add([]byte(text), 0)
		f.Add([]byte(text), 9)
	}
	f.Fuzz(func(t *testing.T, text []byte, limit int) {
		rec := tap.Record{Params: bytes.Clone(text)}
		hidden := new(tap.Redactor).Beginning(&rec, max(0, limit))
		if !bytes.Equal(text, rec.Params) && hidden == 0 && len(rec.Params) >= len(text) {
			t.Fatalf("%q became %q, and nothing is hidden", text, rec.Params)
		}
		if limit > 0 {
			whole := tap.Record{Params: bytes.Clone(text)}
			new(tap.Redactor).Record(&whole)
			if json.Valid(text) && !bytes.HasPrefix(whole.Params, rec.Params) {
				t.Fatalf("limit %d: %q is no beginning of %q", limit, rec.Params, whole.Params)
			}
			if !json.Valid(text) && !bytes.Equal(whole.Params, rec.Params) && len(rec.Params) <= limit {
				t.Fatalf("limit %d: of %q only %q", limit, text, rec.Params)
			}
			if _, err := leaves(rec.Params, true); errors.Is(err, errShown) { // it ends somewhere
				t.Fatalf("limit %d: %q became %q: %v", limit, text, rec.Params, err)
			}
			return
		}
		if len(text) == 0 {
			return
		}
		if !json.Valid(text) {
			if want := fmt.Sprintf(`"••• %d bytes that are no JSON"`, len(text)); string(rec.Params) != want {
				t.Fatalf("%q became %q", text, rec.Params)
			}
			return
		}
		before, err := leaves(text, false)
		if err != nil {
			t.Skip(err)
		}
		after, err := leaves(rec.Params, true)
		if err != nil || !slices.Equal(before, after) {
			t.Fatalf("%q became %q: %v\n%q\n%q", text, rec.Params, err, before, after)
		}
	})
}

// errShown is of a secret that is not hidden.
var errShown = errors.New("a secret is shown")

// leaves lists the tokens of a JSON text; of a secret value only that it is one, if hidden is that it is hidden.
func leaves(text []byte, hidden bool) (out []string, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value func(named bool) error
	value = func(named bool) error {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		_, isBool := tok.(bool)
		if named && !isBool && tok != nil {
			if hidden && tok != "•••" {
				return fmt.Errorf("%w: %v", errShown, tok)
			}
			out = append(out, "secret")
			for depth := opens(tok); depth > 0; {
				if tok, err = d.Token(); err != nil {
					return err
				}
				depth += opens(tok)
			}
			return nil
		}
		out = append(out, fmt.Sprintf("%T %v", tok, tok))
		for opens(tok) > 0 && d.More() {
			name := ""
			if tok == json.Delim('{') {
				t, err := d.Token()
				if err != nil {
					return err
				}
				name = t.(string)
				out = append(out, name)
			}
			if err := value(tap.SecretName(name)); err != nil {
				return err
			}
		}
		if opens(tok) > 0 {
			_, err = d.Token()
		}
		return err
	}
	if err = value(false); err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return out, err
}

func opens(tok json.Token) int {
	switch tok {
	case json.Delim('{'), json.Delim('['):
		return 1
	case json.Delim('}'), json.Delim(']'):
		return -1
	}
	return 0
}

func BenchmarkRedactor(b *testing.B) {
	doc, err := api.Parse([]byte(lab))
	if err != nil {
		b.Fatal(err)
	}
	r := tap.NewRedactor(doc)
	for _, c := range []struct{ name, method, text string }{
		{"nothing", "x", `{"seq":41,"mean":0.52,"labels":["a","b"],"size":{"width":640,"height":480}}`},
		{"by name", "x", `{"seq":41,"mean":0.52,"labels":["a","b"],"api_key":"0123456789abcdef"}`},
		{"by schema", "lab.enter", `{"pin":1234,"who":{"face":[1],"name":"n","next":{"face":2}}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rec := tap.Record{Method: c.method, Params: json.RawMessage(c.text)}
				r.Record(&rec)
			}
		})
	}
}
