package api_test

import (
	"strings"
	"testing"
)

func TestTagsRefused(t *testing.T) {
	t.Parallel()
	for text, f := range map[string]func(){
		`tag minimum:"x": not a number`: func() {
			documentOf[struct {
				A int `minimum:"x"`
			}, int]("a")
		},
		`tag minimum:"0x1": not a number`: func() {
			documentOf[struct {
				A int `minimum:"0x1"`
			}, int]("a")
		},
		`tag maximum:"1e400": out of range`: func() {
			documentOf[struct {
				A int `maximum:"1e400"`
			}, int]("a")
		},
		`tag maximum:"9007199254740993": schemas cannot hold it exactly, only 9007199254740992`: func() {
			documentOf[struct {
				A int `maximum:"9007199254740993"`
			}, int]("a")
		},
		`tag minimum:"1": it constrains integer and number only`: func() {
			documentOf[struct {
				A string `minimum:"1"`
			}, int]("a")
		},
		`tag maxLength:"1": it constrains string only`: func() {
			documentOf[struct {
				A []byte `maxLength:"1"`
			}, int]("a")
		},
		`tag minItems:"-1": not a count`: func() {
			documentOf[struct {
				A []int `minItems:"-1"`
			}, int]("a")
		},
		`tag pattern:"("`: func() {
			documentOf[struct {
				A string `pattern:"("`
			}, int]("a")
		},
		`tag enum:"1,x"`: func() {
			documentOf[struct {
				A int `enum:"1,x"`
			}, int]("a")
		},
		`"x" is not of the field's type`: func() {
			documentOf[struct {
				A int `enum:"1,\"x\""`
			}, int]("a")
		},
		`tag writeOnly:"maybe"`: func() {
			documentOf[struct {
				A int `writeOnly:"maybe"`
			}, int]("a")
		},
		`tag default:"no": not a JSON value`: func() {
			documentOf[struct {
				A int `default:"no"`
			}, int]("a")
		},
		`default 5: the value is greater than 4`: func() {
			documentOf[struct {
				A int `default:"5" maximum:"4"`
			}, int]("a")
		},
		`default "b": the value is none of "a"`: func() {
			documentOf[struct {
				A string `default:"b" enum:"a"`
			}, int]("a")
		},
		`default 300: the value is out of range`: func() {
			documentOf[struct {
				A uint8 `default:"300"`
			}, int]("a")
		},
		`default 1.5: the value must be an integer`: func() {
			documentOf[struct {
				A uint8 `default:"1.5"`
			}, int]("a")
		},
		`default "?": the value has not the right form`: func() {
			documentOf[struct {
				A []byte `default:"?"`
			}, int]("a")
		},
		`no value is within its limits`: func() {
			documentOf[struct {
				A int `minimum:"2" maximum:"1"`
			}, int]("a")
		},
		`A: no value is within its limits`: func() {
			documentOf[struct {
				A string `minLength:"2" maxLength:"1"`
			}, int]("a")
		},
	} {
		if got := mustPanic(t, text, f); !strings.Contains(got, text) {
			t.Errorf("panic %q, want %q in it", got, text)
		}
	}
}
