package api_test

import (
	"encoding/json"
	"errors"
	"testing"

	"peermesh/api"
)

func TestDocumentValidate(t *testing.T) {
	t.Parallel()
	doc, err := api.Parse([]byte(`{"openrpc":"1.3.2","info":{"title":"t","version":"1"},"methods":[
		{"name":"t.m","paramStructure":"by-name","params":[{"name":"n","required":true,"schema":{"type":"integer","maximum":5}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := doc.Find("t.m")
	for params, want := range map[string]string{
		`{"n":5}`:   "",
		`{"n":6}`:   "invalid params: /n is greater than 5",
		`{"n":"x"}`: "invalid params: /n must be an integer",
		`{}`:        "invalid params: /n is required",
		``:          "invalid params: /n is required",
		`[5]`:       "t.m takes params by name, not by position",
	} {
		err := doc.Validate(m, json.RawMessage(params))
		var own *api.Error
		if got := ""; errors.As(err, &own) {
			if got = own.Message; got != want {
				t.Errorf("%s: %q, want %q", params, got, want)
			}
		} else if err != nil || want != "" {
			t.Errorf("%s: %v, want %q", params, err, want)
		}
	}
}
