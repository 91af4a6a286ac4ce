package api_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/examples/spec/service"
)

func TestOwnDocuments(t *testing.T) {
	t.Parallel()
	d := api.Define[near, far]("all.kinds", "1.2.3", "Everything.")
	api.IncomingCall[limits, *Node](d, "limits", "Limits <&>.", api.Positional(), api.MinRole(api.RoleGuest), api.Example(limits{N: 1, F: 0.2}, nil))
	api.Incoming[Node](d, "node", "")
	api.Outgoing[map[string]Node](d, "nodes", "")
	api.OutgoingCall[[]Two, Page[Page[int]]](d, "pages", "", api.Example([]Two{}, Page[Page[int]]{}))
	api.OutgoingCall[json.RawMessage, json.RawMessage](d, "raw", "", api.Example(map[string]int{"a": 1}, []int{1}))
	api.Incoming[Rest](d, "rest", "", api.Example(Rest{A: 1, More: map[string]int{"b": 2}}))
	for _, doc := range []api.Document{d.OpenRPC(), d.Invert().OpenRPC(), lab.API.OpenRPC(), service.API.OpenRPC(), service.API.Invert().OpenRPC()} {
		checkOpenRPC(t, doc)
	}
	doc := d.OpenRPC()
	m, incoming := doc.Find("all.kinds.pages")
	if m == nil || incoming || m.ParamStructure != "by-position" {
		t.Errorf("%+v %v", m, incoming)
	}
	if m, _ := doc.Find("x"); m != nil {
		t.Error(m)
	}
	r, err := doc.ResultOf(m)
	if err != nil || len(r.Defs) == 0 {
		t.Error(r, err)
	}
	if m, _ = doc.Find("all.kinds.node"); m.Result != nil {
		t.Error("a notification with a result")
	}
	// What the standard library writes is the same document, with < and > escaped.
	std, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	again, err := api.Parse(std)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "through encoding/json", again, doc)
	var read api.Document
	if err := json.Unmarshal(std, &read); err != nil {
		t.Fatal(err)
	}
	same(t, "Unmarshal", read, doc)
}

const foreign = `{"openrpc":"1.2.6","info":{"title":"Petstore","version":"1","license":{"name":"MIT"}},"servers":[{"url":"http://localhost"}],
"methods":[{"name":"list_pets","summary":"List.","tags":[{"name":"pets"}],"paramStructure":"either",
"params":[{"name":"limit","description":"How many","required":true,"schema":{"type":"integer","minimum":1}},{"$ref":"#/components/contentDescriptors/Tag"}],
"result":{"$ref":"#/components/contentDescriptors/Pets"},"errors":[{"code":100,"message":"busy"}],
"examples":[{"name":"e","description":"one","params":[{"name":"limit","value":1}],"result":{"name":"pets","value":null}},{"$ref":"#/components/examplePairings/x"}]}],
"components":{"contentDescriptors":{"Tag":{"name":"tag","schema":{"$ref":"#/components/schemas/Tag"}},"Pets":{"name":"pets","schema":{"type":"array","items":{"$ref":"#/components/schemas/Pet"}}}},
"schemas":{"Pet":{"type":"object","properties":{"$ref":{"type":"string","enum":["#/components/schemas/Pet"]},"tag":{"$ref":"#/components/schemas/Tag"},"kids":{"type":"array","items":{"$ref":"#/components/schemas/Pet"}}}},"Tag":{"type":"string","default":1.0}},"errors":{}},
"x-more":[1.0,{"a":null}]}`

func TestForeignDocuments(t *testing.T) {
	t.Parallel()
	d, err := api.Parse([]byte(foreign))
	if err != nil {
		t.Fatal(err)
	}
	back, err := d.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if compact(t, string(back)) != compact(t, foreign) {
		t.Errorf("%s\n%s", back, foreign)
	}
	same(t, "inverting twice", d, d.Invert().Invert())
	if d.Hash() == d.Invert().Hash() {
		// The foreign document does not say that it is a near side, its inverse says that it is not.
	} else {
		t.Error("hashes of both sides differ")
	}
	p, err := d.ParamsOf(&d.Methods[0])
	if err != nil || fmt.Sprintln(p.PropertyOrder, p.Required, p.Type, len(p.Defs)) != "[limit tag] [limit] object 1\n" {
		t.Error(p, err)
	}
	r, err := d.ResultOf(&d.Methods[0])
	if err != nil || r.Items.Ref != "#/$defs/Pet" || len(r.Defs) != 2 || r.Defs["Pet"].Properties["$ref"].Enum[0] != "#/components/schemas/Pet" {
		t.Error(r, err)
	}
	if _, err := r.Resolve(nil); err != nil {
		t.Error(err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	doc := func(methods, components string) string {
		return `{"openrpc":"1.3.2","info":{"title":"","version":""},"methods":[` + methods + `],"components":{"schemas":{` + components + `}}}`
	}
	method := func(params string) string { return `{"name":"m","params":[` + params + `]}` }
	param := func(schema string) string { return doc(method(`{"name":"p","schema":`+schema+`}`), `"A":{}`) }
	deep := strings.Repeat(`{"items":`, 1e5) + "{}" + strings.Repeat("}", 1e5)
	var chain, fans []string
	for i := range 6000 {
		chain = append(chain, fmt.Sprintf(`"C%d":{"$ref":"#/components/schemas/C%d"}`, i, i+1))
	}
	for i := range 40 {
		fans = append(fans, fmt.Sprintf(`"C%d":{"anyOf":[{"$ref":"#/components/schemas/C%d"},{"$ref":"#/components/schemas/C%d"}]}`, i, i+1, i+1))
	}
	for text, want := range map[string]string{
		"":                                      "no valid JSON",
		"{}":                                    `member openrpc is ""`,
		"[]":                                    "does not fit",
		"null":                                  "member openrpc",
		`{"openrpc":"1.3.2"}{}`:                 "no valid JSON",
		`{"openrpc":"1.3.2","openrpc":"1.3.2"}`: "/openrpc stands twice",
		`{"openrpc":"2.0"}`:                     `member openrpc is "2.0", want 1.x`,
		`{"openrpc":"1.3.2","info":{}}`:         "member methods is absent",
		`{"openrpc":"1.3.2","methods":null}`:    "member methods is absent",
		`{"openrpc":"1.3.2","methods":[{"name":1}]}`:                                              "/methods/0/name",
		doc(`{"name":"","params":[]}`, ""):                                                        `may not be called ""`,
		doc(`{"name":"rpc.x","params":[]}`, ""):                                                   `may not be called "rpc.x"`,
		doc(`{"name":"$/x","params":[]}`, ""):                                                     `may not be called "$/x"`,
		doc(`{"name":"m","params":[]},{"name":"m","params":[]}`, ""):                              "method m stands twice",
		doc(`{"name":"m","paramStructure":"by-colour","params":[]}`, ""):                          `paramStructure is "by-colour"`,
		doc(`{"name":"m","x-timeout-ms":-1,"params":[]}`, ""):                                     "x-timeout-ms is negative",
		doc(method(`{"schema":{}}`), ""):                                                          "param 0: its name is absent",
		doc(method(`{"name":"a","schema":{}},{"name":"a","schema":{}}`), ""):                      "param 1: its name is absent or stands twice",
		doc(method(`{"$ref":"#/x"}`), ""):                                                         `param 0: there is nothing at "#/x"`,
		doc(`{"name":"m","params":[],"result":{"$ref":"#/components/contentDescriptors/X"}}`, ""): "result: there is nothing at",
		doc(`{"name":"m","params":[],"result":{"name":"r","schema":5}}`, ""):                      "result: no JSON Schema",
		doc(`{"name":"m","params":[],"x-params":[]}`, ""):                                         "x-params: no JSON Schema",
		param(`{"type":5}`):      "param p: no JSON Schema",
		param(`{"pattern":"("}`): "param p: ",
		param(`{"pattern":"` + strings.Repeat("a", 2000) + `"}`): "regular expressions are too large",
		param(`{"$ref":"http://example.org/schema"}`):            `leads to "http://example.org/schema"`,
		param(`{"$ref":"#/components/schemas/B"}`):               "there is no components/schemas/B",
		param(`{"items":{"$ref":"#/components/schemas/B"}}`):     "there is no components/schemas/B",
		param(`{"$id":"http://example.org"}`):                    "$id, $anchor",
		param(`{"$defs":{"a":{}}}`):                              "$defs",
		param(`{"$dynamicRef":"#a"}`):                            "$dynamicRef",
		param(`{"properties":{"a":null}}`):                       "is nil",
		param(deep):                                              "nested deeper than 64 levels",
		param(strings.Repeat("[", 1e6)):                          "nested deeper than 64 levels",
		param(`"` + strings.Repeat("a", 4<<20) + `"`):            "larger than",
		doc("", `"A":{"$ref":"#/components/schemas/A"}`):         "components/schemas/A refers to itself without end",
		doc("", `"A":{"allOf":[{"$ref":"#/components/schemas/B"}]},"B":{"not":{"if":{"$ref":"#/components/schemas/A"}}}`): "refers to itself without end",
		doc("", `"A":{"dependentSchemas":{"x":{"$ref":"#/components/schemas/A"}}}`):                                       "refers to itself without end",
		doc("", strings.Join(chain, ",")+`,"C6000":{}`):                                                                   "too often",
		doc("", strings.Join(fans, ",")+`,"C40":{}`):                                                                      "its alternatives are too many",
		doc("", `"A":5`): "components/schemas/A: no JSON Schema",
		`{"openrpc":"1.3.2","methods":[],"components":{"contentDescriptors":{"A":{"name":"a","schema":5}}}}`:                          "components/contentDescriptors/A",
		`{"openrpc":"1.3.2","x-side":"a","x-other":"b","methods":[{"name":"m","params":[]}],"x-outgoing":[{"name":"m","params":[]}]}`: "method m stands twice",
	} {
		start := time.Now()
		_, err := api.Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "api: OpenRPC document: ") {
			t.Errorf("%.200s: %v\nwant %s", text, err, want)
		}
		if took := time.Since(start); took > 2*time.Minute {
			t.Errorf("%.200s took %s", text, took)
		}
	}
	for _, text := range []string{
		doc(method(`{"name":"p","schema":{"items":{"$ref":"#/components/schemas/A"}}}`), `"A":{"properties":{"a":{"$ref":"#/components/schemas/A"}},"items":{"$ref":"#/components/schemas/A"}}`),
		`{"openrpc":"1.3.2","x-side":"a","x-other":"a","methods":[{"name":"m","params":[]}],"x-outgoing":[{"name":"m","params":[]}]}`,
	} {
		if _, err := api.Parse([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Reading a hostile document takes time in proportion to its size: one of eight times the size, which would take 64
// times as long if it were not so, may take at most 24 times as long.
func TestParseIsLinear(t *testing.T) {
	shared := func(n int) string { // many references to one large schema
		var methods []string
		for i := range 250 * n {
			methods = append(methods, fmt.Sprintf(`{"name":"m%d","params":[{"name":"a","schema":{"$ref":"#/components/schemas/C"}}]}`, i))
		}
		return `{"openrpc":"1.3.2","methods":[` + strings.Join(methods, ",") + `],"components":{"schemas":{"C":{"description":"` +
			strings.Repeat("x", n*128<<10) + `"}}}}`
	}
	nested := func(n int) string { // each level is looked at as a schema of its own; their number has a bound
		return `{"openrpc":"1.3.2","methods":[],"components":{"schemas":{"A":` + strings.Repeat(`{"items":`, 50) +
			`{"description":"` + strings.Repeat("x", n*16<<10) + `"}` + strings.Repeat("}", 50) + `}}}`
	}
	for name, text := range map[string]func(n int) string{"shared": shared, "nested": nested} {
		took := func(n int) time.Duration {
			text := []byte(text(n))
			best := time.Duration(math.MaxInt64) // the quickest of some: what else the machine does only adds to it
			for range 3 {
				start := time.Now()
				d, err := api.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				d.Hash()
				best = min(best, time.Since(start))
			}
			return best
		}
		if small, large := took(1), took(8); large > 24*small {
			t.Errorf("%s: %s, and %s for eight times the size", name, small, large)
		} else {
			t.Logf("%s: %s, and %s for eight times the size", name, small, large)
		}
	}
}

// What only repeats a default is not written.
func TestDefaultsAreNotWritten(t *testing.T) {
	t.Parallel()
	d, err := api.Parse([]byte(`{"openrpc":"1.3.2","info":{"title":"t","version":"1","description":""},"methods":[{"name":"m","params":[{"name":"p","required":false,"schema":{}}],
		"x-idempotent":false,"x-timeout-ms":0}],"x-outgoing":[],"x-inverted":false,"x-apis":{"a":{"version":"1","side":"s","hash":"h","inverted":false}},"components":null}`))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := d.MarshalJSON()
	want := `{"openrpc":"1.3.2","info":{"title":"t","version":"1"},"methods":[{"name":"m","params":[{"name":"p","schema":{}}]}],"x-apis":{"a":{"version":"1","side":"s","hash":"h"}}}`
	if err != nil || string(raw) != want {
		t.Errorf("%v\n%s\n%s", err, raw, want)
	}
	same(t, "inverted twice", d.Invert().Invert(), d)
}

func TestHandMadeDocuments(t *testing.T) {
	t.Parallel()
	d := api.Document{Components: &api.DocumentComponents{
		Schemas:     map[string]json.RawMessage{"Bad": json.RawMessage(`5`)},
		Descriptors: map[string]api.DocumentDescriptor{"Loop": {Ref: "#/components/contentDescriptors/Loop"}}}}
	for _, raw := range []string{`5`, `{"$ref":"#/components/schemas/Bad"}`, `{"$ref":"#/components/schemas/None"}`} {
		m := &api.DocumentMethod{ParamsSchema: json.RawMessage(raw), Result: &api.DocumentDescriptor{Schema: json.RawMessage(raw)}}
		if _, err := d.ParamsOf(m); err == nil {
			t.Errorf("params %s", raw)
		}
		if _, err := d.ResultOf(m); err == nil {
			t.Errorf("result %s", raw)
		}
		m = &api.DocumentMethod{Params: []api.DocumentDescriptor{{Name: "p", Schema: json.RawMessage(raw)}}}
		if _, err := d.ParamsOf(m); err == nil {
			t.Errorf("param %s", raw)
		}
	}
	m := &api.DocumentMethod{Params: []api.DocumentDescriptor{{Ref: "#/components/contentDescriptors/Loop"}}, Result: &api.DocumentDescriptor{Ref: "x"}}
	if _, err := d.ParamsOf(m); err == nil {
		t.Error("a loop")
	}
	if _, err := d.ResultOf(m); err == nil {
		t.Error("a result that leads nowhere")
	}
	m = &api.DocumentMethod{Params: []api.DocumentDescriptor{{Name: "a"}, {Name: "a"}}}
	if _, err := d.ParamsOf(m); err == nil {
		t.Error("a param that stands twice")
	}
	if _, err := (api.Document{Extra: jsontext.Value("{")}).MarshalJSON(); err == nil {
		t.Error("a document that is no JSON")
	}
}
