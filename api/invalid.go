package api

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// violations is what is wrong with one value. It becomes a CodeInvalidParams error where it concerns params.
type violations []violation

func (v violations) Error() string {
	where := v[0].Pointer
	if where == "" {
		where = "the value"
	}
	text := where + " " + v[0].Message
	if n := len(v) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// asError is nil for no violations.
func asError(v []violation) error {
	if len(v) == 0 {
		return nil
	}
	return violations(v)
}

// invalidParams is the error of params that are wrong: the *Error that Validate returned, or a CodeInvalidParams error
// whose data lists the violations.
func invalidParams(err error) error {
	var own *Error
	var bad violations
	var panicked *PanicError
	switch {
	case errors.As(err, &panicked):
		return err
	case errors.As(err, &own):
		return own
	case errors.As(err, &bad):
		return Errorf(CodeInvalidParams, "invalid params: %v", bad).WithData([]violation(bad))
	}
	return Errorf(CodeInvalidParams, "invalid params: %v", err)
}

// maxPlace is how much of a pointer that the decoder made is repeated to whoever sent it.
const maxPlace = 1 << 10

// decodeViolation says in the terms of the schema what the decoder did not like, and where; k is the check of the whole
// value, nil when there is none.
func decodeViolation(err error, k *check) []violation {
	v := violation{Message: "is no valid JSON"}
	var sem *json.SemanticError
	var syn *jsontext.SyntacticError
	switch {
	case errors.As(err, &syn):
		v.Pointer = clip(string(syn.JSONPointer), maxPlace)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			v.Message = "stands twice"
		}
	case errors.As(err, &sem):
		v.Pointer = clip(string(sem.JSONPointer), maxPlace)
		v.Message = misfit(sem, k.at(sem.JSONPointer))
	}
	return []violation{v}
}

// misfit explains a value that is JSON and does not fit.
func misfit(err *json.SemanticError, k *check) string {
	var kind typeSet
	switch err.JSONKind {
	case 'n':
		kind = isNull
	case 't', 'f':
		kind = isBoolean
	case '0':
		kind = isInteger | isNumber
	case '"':
		kind = isString
	case '[', ']':
		kind = isArray
	case '{', '}':
		kind = isObject
	}
	switch {
	case err.Err == json.ErrUnknownName:
		return "is unknown"
	case k != nil && k.types != 0 && kind != 0 && k.types&kind == 0:
		return "must be " + k.types.String()
	case kind == isInteger|isNumber && errors.Is(err.Err, strconv.ErrSyntax) && strings.ContainsAny(string(err.JSONValue), ".eE"):
		return "must be an integer without fraction or exponent"
	case kind == isInteger|isNumber && (errors.Is(err.Err, strconv.ErrRange) || errors.Is(err.Err, strconv.ErrSyntax)):
		return "is out of range"
	case kind == isString && err.Err != nil:
		return "has not the right form"
	case kind == isArray && err.Err != nil:
		return "has not the right number of items"
	}
	return "does not fit"
}

// at returns the check of a place; nil when nothing is demanded there.
func (k *check) at(place jsontext.Pointer) *check {
	for token := range place.Tokens() {
		for k != nil && k.elem != nil {
			k = k.elem
		}
		if k == nil {
			return nil
		}
		if k.items != nil {
			k = k.items
			continue
		}
		k = k.named(token)
	}
	for k != nil && k.elem != nil {
		k = k.elem
	}
	return k
}

func (k *check) named(name string) *check {
	for i := range k.members {
		if k.members[i].name == name {
			return k.members[i].check
		}
	}
	return k.values
}
