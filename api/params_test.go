package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"peermesh/api"
)

type (
	limits struct {
		N int             `json:"n" minimum:"-2" maximum:"1000" default:"10"`
		F float64         `json:"f,omitzero" minimum:"0.1" maximum:"0.3"`
		S string          `json:"s,omitzero" minLength:"2" maxLength:"3" pattern:"^[aä\"]+$"`
		E string          `json:"e,omitzero" enum:"red,green"`
		I uint64          `json:"i,omitzero" maximum:"9007199254740992" enum:"9007199254740991, 9007199254740992,5"`
		L []inner         `json:"l,omitempty" minItems:"1" maxItems:"2"`
		M *inner          `json:"m,omitempty"`
		B bool            `json:"b,omitzero" enum:"true"`
		X any             `json:"x,omitzero"`
		T *time.Time      `json:"t,omitzero"`
		A netip.Addr      `json:"a,omitzero"`
		D []byte          `json:"d,omitempty"`
		Q int             `json:"q,string,omitzero"`
		R [2]int8         `json:"r,omitzero"`
		K map[string]int8 `json:"k,omitempty"`
	}
	inner struct {
		ID   string         `json:"a/b~c"`
		Name string         `json:"name" default:"nobody"`
		Tags map[string]int `json:"tags" default:"{\"x\":1}"`
	}
)

// serve binds one call of d and returns what dispatches it.
func echoOf[P, R any](f func(P) (R, error), opts ...api.Option) func(params string) (string, error) {
	d := api.Define[near, far]("t", "1", "")
	c := api.IncomingCall[P, R](d, "m", "", opts...)
	port := api.Bind(new(network).node("a"), d)
	c.Handle(port, func(_ context.Context, p P) (R, error) { return f(p) })
	return func(params string) (string, error) {
		var raw []byte
		if params != "" {
			raw = []byte(params)
		}
		out, err := port.Binding().Dispatch(context.Background(), "m", raw, []byte("before:"))
		text, ok := strings.CutPrefix(string(out), "before:")
		if !ok || err != nil && text != "" {
			return string(out), errors.New("dst was not kept")
		}
		return text, err
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	decode := echoOf(func(p limits) (string, error) {
		return fmt.Sprintf("%d %v %q %v %v", p.N, p.F, p.S, p.L, p.M != nil), nil
	})
	for params, want := range map[string]string{
		"":                             `10 0 \"\" [] false`,
		"{}":                           `10 0 \"\" [] false`,
		" { } ":                        `10 0 \"\" [] false`,
		`{"n":-2,"f":0.1}`:             `-2 0.1 \"\" [] false`,
		`{"n":1000,"f":0.3}`:           `1000 0.3 \"\" [] false`,
		`{"f":1e-1}`:                   `10 0.1 \"\" [] false`,
		`{"s":"ää"}`:                   `10 0 \"ää\" [] false`,
		`{"s":"\u00e4\""}`:             `10 0 \"ä\\\"\" [] false`,
		`{"\u006e":7}`:                 `7 0 \"\" [] false`,
		`{"i":9007199254740992}`:       `10 0 \"\" [] false`,
		`{"i":5}`:                      `10 0 \"\" [] false`,
		`{"unknown":{"n":[]}}`:         `10 0 \"\" [] false`,
		`{"m":null,"t":null,"x":null}`: `10 0 \"\" [] false`,
		`{"l":[{"a/b~c":"1"}]}`:        `10 0 \"\" [{1 nobody map[x:1]}] false`,
		`{"l":[{"a/b~c":"1","name":"n"},{"tags":{},"a/b~c":"2"}]}`: `10 0 \"\" [{1 n map[x:1]} {2 nobody map[]}] false`,
		`{"m":{"a/b~c":"1"}}`:  `10 0 \"\" [] true`,
		`{"q":"12","r":[1,2]}`: `10 0 \"\" [] false`,
	} {
		if got, err := decode(params); err != nil || got != `"`+want+`"` {
			t.Errorf("%s: %s, %v\nwant %q", params, got, err, want)
		}
	}
	for params, want := range map[string]string{
		`{"n":-3}`:                              `/n is less than -2`,
		`{"n":1001}`:                            `/n is greater than 1000`,
		`{"n":1000.5}`:                          `/n must be an integer`,
		`{"n":1e1}`:                             `/n must be an integer without fraction or exponent`,
		`{"n":"1"}`:                             `/n must be an integer`,
		`{"n":null}`:                            `/n must be an integer`,
		`{"N":1,"n":{}}`:                        `/n must be an integer`,
		`{"f":0.09999999999999999999999999999}`: `/f is less than 0.1`,
		`{"f":0.30000000000000000000000001}`:    `/f is greater than 0.3`,
		`{"f":1e400}`:                           `/f is greater than 0.3`,
		`{"f":-1e-999999999999}`:                `/f is less than 0.1`,
		`{"s":"a"}`:                             `/s has 1 characters, fewer than 2`,
		`{"s":"aaaa"}`:                          `/s has 4 characters, more than 3`,
		`{"s":"bb"}`:                            `/s does not match ^[aä"]+$`,
		`{"e":"blue"}`:                          `/e is none of "red", "green"`,
		`{"e":""}`:                              `/e is none of "red", "green"`,
		`{"e":5}`:                               `/e must be a string`,
		`{"b":false}`:                           `/b is none of true`,
		`{"i":9007199254740993}`:                `/i is greater than 9007199254740992`,
		`{"i":6}`:                               `/i is none of 9007199254740991, 9007199254740992, 5`,
		`{"i":-5}`:                              `/i is none of`,
		`{"l":[]}`:                              `/l has 0 items, fewer than 1`,
		`{"l":[{"a/b~c":""},{"a/b~c":""},{"a/b~c":""}]}`: `/l has 3 items, more than 2`,
		`{"l":[{}]}`:                          `/l/0/a~1b~0c is required`,
		`{"l":[{"a/b~c":""},{"a/b~c":1}]}`:    `/l/1/a~1b~0c must be a string`,
		`{"l":[null]}`:                        `/l/0 must be an object`,
		`{"m":{"a/b~c":"","tags":{"k":"v"}}}`: `/m/tags/k must be an integer`,
		`{"m":[]}`:                            `/m must be an object or null`,
		`{"a":"nowhere"}`:                     `/a has not the right form`,
		`{"t":"yesterday"}`:                   `/t has not the right form`,
		`{"d":"?"}`:                           `/d has not the right form`,
		`{"q":12}`:                            `/q must be a string`,
		`{"q":"x"}`:                           `/q has not the right form`,
		`{"r":[1]}`:                           `/r has 1 items, fewer than 2`,
		`{"r":[1,200]}`:                       `/r/1 is out of range`,
		`{"k":{"x":300}}`:                     `/k/x is out of range`,
		`{"n":1,"n":1}`:                       `/n stands twice`,
		`{"u":1,"u":1}`:                       `/u stands twice`,
		`[1]`:                                 `t.m takes params by name, not by position`,
		`1`:                                   `the value must be an object`,
		`null`:                                `the value must be an object`,
		`"x"`:                                 `the value must be an object`,
		`{"n":1`:                              `the value is no valid JSON`,
		`{"n":}`:                              `/n is no valid JSON`,
		`{"n":1,}`:                            `is no valid JSON`,
		`{"n" 1}`:                             `is no valid JSON`,
		`{"n":1}{}`:                           `is no valid JSON`,
		`{} x`:                                `is no valid JSON`,
		`{"l":[{"a/b~c":"1"} {"a/b~c":"1"}]}`: `is no valid JSON`,
		`{"x":tru}`:                           `/x is no valid JSON`,
		"{\"x\":\"\xff\"}":                    `/x is no valid JSON`,
		`{"n":-3,"s":"a"}`:                    `/n is less than -2 (and 1 more)`,
	} {
		_, err := decode(params)
		if api.CodeOf(err) != api.CodeInvalidParams || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", params, err, want)
		}
		for _, leak := range []string{"Go ", "api_test", "json:", "jsontext", "inner", "limits"} {
			if err != nil && strings.Contains(err.Error(), leak) {
				t.Errorf("%s: %v tells of %s", params, err, leak)
			}
		}
	}
	var e *api.Error
	_, err := decode(`{"n":-3,"l":[{},{"a/b~c":true}]}`)
	if !errors.As(err, &e) || string(e.Data) != `[{"pointer":"/n","message":"is less than -2"},`+
		`{"pointer":"/l/0/a~1b~0c","message":"is required"},{"pointer":"/l/1/a~1b~0c","message":"must be a string"}]` {
		t.Errorf("%v %s", err, e.Data)
	}
	// What is repeated to the sender is bounded, whatever it sent.
	long := strings.Repeat("é~", 1<<16)
	for _, params := range []string{`{"k":{"` + long + `":null}}`, `{"k":{"` + long + `":300}}`, `{"` + long + `":1,"` + long + `":1}`} {
		if _, err = decode(params); !errors.As(err, &e) || len(e.Data)+len(e.Message) > 10<<10 || !strings.Contains(e.Message, "…") {
			t.Errorf("%d bytes, %.300v", len(e.Data)+len(e.Message), err)
		}
	}
	_, err = decode(`{"k":{` + strings.Repeat(`"x":null,`, 100) + `"y":null}}`)
	if errors.As(err, &e); strings.Count(string(e.Data), "pointer") != 16 {
		t.Errorf("%s", e.Data)
	}
}

// A default is decoded afresh: what one handler does to its params does not reach the next message.
func TestDefaultsAreFresh(t *testing.T) {
	t.Parallel()
	decode := echoOf(func(p inner) (string, error) {
		p.Tags["x"]++
		return fmt.Sprint(p.Tags), nil
	})
	for range 3 {
		if got, err := decode(`{"a/b~c":""}`); got != `"map[x:2]"` || err != nil {
			t.Error(got, err)
		}
	}
}

type recursive struct {
	V    int                   `json:"v" default:"7"`
	Kids []recursive           `json:"kids,omitempty"`
	Map  map[string]*recursive `json:"map,omitempty"`
	Own  *recursive            `json:"own,omitempty"`
	Sub  struct {
		A int `json:"a" default:"1"`
		B struct {
			C string `json:"c" default:"c"`
		} `json:"b" default:"{}"`
	} `json:"sub" default:"{}"`
}

func TestDefaultsAtEveryLevel(t *testing.T) {
	t.Parallel()
	decode := echoOf(func(p recursive) (recursive, error) { return p, nil })
	sub := `"sub":{"a":1,"b":{"c":"c"}}`
	got, err := decode(`{"kids":[{"kids":[{"v":1}]}],"map":{"a":{},"b":null},"own":{"sub":{"a":2}}}`)
	want := `{"v":7,"kids":[{"v":7,"kids":[{"v":1,` + sub + `}],` + sub + `}],"map":{"a":{"v":7,` + sub + `},"b":null},"own":{"v":7,"sub":{"a":2,"b":{"c":"c"}}},` + sub + `}`
	if err != nil || got != want {
		t.Errorf("%v\n%s\n%s", err, got, want)
	}
	if _, err := decode(`{"kids":[{"kids":[{"v":"x"}]}]}`); err == nil || !strings.Contains(err.Error(), "/kids/0/kids/0/v must be an integer") {
		t.Error(err)
	}
	deep := strings.Repeat(`{"own":`, 63) + "{}" + strings.Repeat("}", 63)
	if _, err := decode(deep); err != nil {
		t.Error(err)
	}
	deep = strings.Repeat(`{"own":`, 1e6) + "null" + strings.Repeat("}", 1e6)
	if _, err := decode(deep); api.CodeOf(err) != api.CodeInvalidParams {
		t.Error(err)
	}
}

// Without constraints nothing but a null is looked for, and that is found.
func TestNulls(t *testing.T) {
	t.Parallel()
	sum := echoOf(func(p []float64) (int, error) { return len(p), nil })
	for params, want := range map[string]string{
		`[1,null]`: "/1 must be a number", `null`: "the value must be an array", `[1,"x"]`: "/1 must be a number",
		`{"a":1}`: "the value must be an array", `[1 2]`: "no valid JSON", `[[]]`: "/0 must be a number", `[1e999]`: "/0 is out of range",
	} {
		if _, err := sum(params); api.CodeOf(err) != api.CodeInvalidParams || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", params, err, want)
		}
	}
	for params, want := range map[string]string{`[]`: "0", "": "0", `[1,2.5e3]`: "2"} {
		if got, err := sum(params); err != nil || got != want {
			t.Errorf("%s: %s, %v", params, got, err)
		}
	}
	pointers := echoOf(func(p map[string]*int) (int, error) { return len(p), nil })
	if got, err := pointers(`{"a":null,"null":1}`); got != "2" || err != nil {
		t.Error(got, err)
	}
	if got, err := pointers(""); got != "0" || err != nil {
		t.Error(got, err)
	}
}

func TestNoneAndRaw(t *testing.T) {
	t.Parallel()
	none := echoOf(func(api.None) (api.None, error) { return api.None{}, nil })
	for _, params := range []string{"", "{}", "[]", " [ ] ", "{\n}"} {
		if got, err := none(params); got != "null" || err != nil {
			t.Errorf("%q: %s %v", params, got, err)
		}
	}
	for _, params := range []string{"null", "1", `{"a":1}`, "[1]", "{", "{}{}", "[}"} {
		if _, err := none(params); api.CodeOf(err) != api.CodeInvalidParams {
			t.Errorf("%q: %v", params, err)
		}
	}
	raw := echoOf(func(p json.RawMessage) (json.RawMessage, error) { return p, nil })
	for params, want := range map[string]string{"": "null", `{"a": 1.0}`: `{"a": 1.0}`, "[1, 2]": "[1, 2]"} {
		if got, err := raw(params); got != want || err != nil {
			t.Errorf("%q: %s %v", params, got, err)
		}
	}
	bad := echoOf(func(api.None) (json.RawMessage, error) { return json.RawMessage(`{"a":1,"a":2}`), nil })
	if _, err := bad(""); api.CodeOf(err) != api.CodeInternal {
		t.Error(err)
	}
}

// Raw params outlive the message that they came in.
func TestRawParamsAreACopy(t *testing.T) {
	t.Parallel()
	d := api.Define[near, far]("t", "1", "")
	c := api.IncomingCall[json.RawMessage, api.None](d, "m", "")
	var net network
	pa := api.Bind(net.node("a"), d)
	var kept json.RawMessage
	c.Handle(pa, func(_ context.Context, p json.RawMessage) (api.None, error) { kept = p; return api.None{}, nil })
	if _, err := c.Call(t.Context(), api.Bind(net.node("b"), d.Invert()), api.Any, json.RawMessage(` {"a":1}`)); err != nil {
		t.Fatal(err)
	}
	if string(kept) != `{"a":1}` {
		t.Errorf("%q", kept)
	}
}

func TestPositional(t *testing.T) {
	t.Parallel()
	type args struct {
		A int    `json:"a" maximum:"5"`
		B string `json:"b" default:"x"`
		C bool   `json:"c,omitempty"`
	}
	decode := echoOf(func(p args) (string, error) { return fmt.Sprintln(p.A, p.B, p.C), nil }, api.Positional())
	for params, want := range map[string]string{
		`[1]`: "1 x false", `[1,"y"]`: "1 y false", `[ 1 , "y" , true ]`: "1 y true", `{"a":2}`: "2 x false",
	} {
		if got, err := decode(params); got != `"`+want+`\n"` || err != nil {
			t.Errorf("%s: %s, %v", params, got, err)
		}
	}
	for params, want := range map[string]string{
		`[]`: "too few params: t.m needs a", `[1,"y",true,4]`: "too many params: t.m takes 3", `[6]`: "/a is greater than 5",
		`[1,2]`: "/b must be a string", `[1,,2]`: "no valid JSON", `[1`: "no valid JSON", `[1]]`: "no valid JSON", `[1,]`: "no valid JSON",
		`[1 2]`: "no valid JSON", `[{]`: "no valid JSON", ``: "/a is required",
	} {
		if _, err := decode(params); api.CodeOf(err) != api.CodeInvalidParams || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", params, err, want)
		}
	}
}
