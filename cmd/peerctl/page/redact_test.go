package page_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"peermesh/cmd/peerctl/page"
	"peermesh/peer/tap"
)

// The document of the sham's peer: what its schemas call writeOnly is hidden, whatever it is called.
const document = `{"openrpc":"1.3.2","info":{"title":"lab","version":"1"},"methods":[{"name":"lab.enter","params":[
	{"name":"pin","schema":{"type":"integer","writeOnly":true}},
	{"name":"who","schema":{"$ref":"#/components/schemas/who"}},
	{"name":"list","schema":{"type":"array","items":{"type":"object","properties":{"dark":{"type":"string","writeOnly":true}}}}}],
	"result":{"name":"ticket","schema":{"type":"object","properties":{"stamp":{"type":"string","writeOnly":true},"n":{"type":"integer"}}}}}],
	"components":{"schemas":{"who":{"type":"object","properties":{"face":{"writeOnly":true},"next":{"$ref":"#/components/schemas/who"},"name":{"type":"string"}}}}}}`

// TestRedaction: what looks like a secret goes to no page that does not ask for it.
func TestRedaction(t *testing.T) {
	t.Parallel()
	s := start(t, func(_ *page.Config, m *sham) { m.doc = json.RawMessage(document) })
	events(t, s.as("GET", "events", ""), func(e event) bool { return !strings.Contains(e.data, `"docs":2`) })
	cases := []struct{ method, params, want string }{
		{"x", `{"password":"a","user":"b"}`, `{"password":"•••","user":"b"}`},
		{"x", `{"a": [ {"apiKey" : "x" , "n":12345678901234567890 } ] }`, `{"a": [ {"apiKey" : "•••" , "n":12345678901234567890 } ] }`},
		{"x", `{"Session-Token":{"deep":1},"API_KEY":[1,2],"authorization":"Basic x"}`, `{"Session-Token":"•••","API_KEY":"•••","authorization":"•••"}`},
		{"x", `{"keyboard":"qwerty","monkey":1,"tokenize":2,"secretary":"s","has_password":true,"token":null}`, ``},
		{"x", `{"pa\u0073sword":"a"}`, `{"pa\u0073sword":"•••"}`},
		{"x", `{"password":"a","password":"b"}`, `{"password":"•••","password":"•••"}`},
		{"x", `["token","x"]`, ``},
		{"x", `"password"`, ``},
		{"x", `{"pin":1}`, ``},
		{"lab.enter", `{"pin":1234,"who":{"face":[1],"name":"n","next":{"face":2}},"list":[{"dark":"d","light":"l"}]}`,
			`{"pin":"•••","who":{"face":"•••","name":"n","next":{"face":"•••"}},"list":[{"dark":"•••","light":"l"}]}`},
		{"lab.enter", `[1234,{"face":1}]`, `["•••",{"face":"•••"}]`},
		{"x", `{"password":`, `"••• 12 bytes that are no JSON"`},
	}
	// Of what is cut, too, and what is cut is told.
	long := `{"a":"` + strings.Repeat("x", 1500) + `","token":"hush","b":["` + strings.Repeat("y", 5000) + `",{"token":"hush"}],"c":` + strings.Repeat("[", 90) + strings.Repeat("]", 90) + `}`
	cases = append(cases, struct{ method, params, want string }{"x", long, strings.Replace(long, `"hush"`, `"•••"`, 1)[:2048]})
	for _, c := range cases {
		s.mesh.say(&tap.Record{T: time.Now(), Kind: "request", Method: c.method, Params: json.RawMessage(c.params), Result: json.RawMessage(`{"stamp":"s","n":1}`)})
	}
	got, _ := s.read(len(cases))
	for i, c := range cases {
		want := c.want
		if want == "" {
			want = c.params
		}
		if got := got.Rows[i].Params; got != want {
			t.Errorf("%s\ngot  %s\nwant %s", c.params, got, want)
		}
		if hidden := got.Rows[i].Hidden; (hidden > 0) != (c.want != "") && c.method == "x" {
			t.Errorf("%s: %d hidden", c.params, hidden)
		}
		if masked := strings.Contains(got.Rows[i].Result, "•"); masked != (c.method == "lab.enter") {
			t.Errorf("%s: the result %s", c.method, got.Rows[i].Result)
		}
	}
	// All of it for a page that asks, and nowhere else.
	events(t, s.as("GET", "events?reveal=1", ""), func(e event) bool {
		if e.name == "records" && strings.Contains(e.data, "•") {
			t.Error("something is hidden:", e.data)
		}
		return e.name != "records"
	})
	if text := s.body(s.as("GET", "record?seq=1", "")); !strings.Contains(text, "•••") {
		t.Error(text)
	}
	if text := s.body(s.as("GET", "record?seq=1&reveal=1", "")); strings.Contains(text, "•••") {
		t.Error(text)
	}
	saved := s.body(s.as("POST", "export", `{"seqs":[1,2,10,99]}`))
	if lines := strings.Split(strings.TrimSpace(saved), "\n"); len(lines) != 3 || strings.Count(saved, "•••") != 2+4+1 {
		t.Error(saved)
	}
	var r tap.Record
	saved = s.body(s.as("POST", "export?reveal=1", `{"seqs":[10]}`))
	if err := json.Unmarshal([]byte(saved), &r); err != nil || r.Method != "lab.enter" || strings.Contains(saved, "•") {
		t.Error(err, saved)
	}
}
