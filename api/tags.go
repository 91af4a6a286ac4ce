package api

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// constraintTags are the field tags that carry a JSON Schema keyword of the same name, in the order in which they are
// read: a default is held against all others.
var constraintTags = []struct {
	name  string
	types []string // that it constrains; nil: every type
	apply func(s *jsonschema.Schema, text string) error
}{
	{"jsonschema", nil, func(s *jsonschema.Schema, text string) error { s.Description = text; return nil }},
	{"writeOnly", nil, func(s *jsonschema.Schema, text string) (err error) {
		s.WriteOnly, err = strconv.ParseBool(text)
		return err
	}},
	{"minimum", []string{"integer", "number"}, func(s *jsonschema.Schema, text string) error { return readLimit(&s.Minimum, text) }},
	{"maximum", []string{"integer", "number"}, func(s *jsonschema.Schema, text string) error { return readLimit(&s.Maximum, text) }},
	{"minLength", []string{"string"}, func(s *jsonschema.Schema, text string) error { return readCount(&s.MinLength, text) }},
	{"maxLength", []string{"string"}, func(s *jsonschema.Schema, text string) error { return readCount(&s.MaxLength, text) }},
	{"pattern", []string{"string"}, func(s *jsonschema.Schema, text string) error {
		_, err := regexp.Compile(text)
		s.Pattern = text
		return err
	}},
	{"minItems", []string{"array"}, func(s *jsonschema.Schema, text string) error { return readCount(&s.MinItems, text) }},
	{"maxItems", []string{"array"}, func(s *jsonschema.Schema, text string) error { return readCount(&s.MaxItems, text) }},
	{"enum", []string{"string", "integer", "number", "boolean"}, readEnum},
	{"default", nil, func(s *jsonschema.Schema, text string) (err error) {
		s.Default, err = tagValue(s, text)
		return err
	}},
}

// applyTags adds to the schema of a field what its tags say. A tag that does not fit the field's type is an error.
func applyTags(s *jsonschema.Schema, f *field, at string) error {
	for _, tag := range constraintTags {
		text, ok := f.Tag.Lookup(tag.name)
		if !ok {
			continue
		}
		err := errors.New("it constrains " + strings.Join(tag.types, " and ") + " only")
		if tag.types == nil || constrains(s, tag.types) {
			err = tag.apply(s, text)
		}
		if err != nil {
			return fmt.Errorf("%s: tag %s:%q: %w", at, tag.name, text, err)
		}
	}
	if s.Minimum != nil && s.Maximum != nil && *s.Minimum > *s.Maximum || crossed(s.MinLength, s.MaxLength) || crossed(s.MinItems, s.MaxItems) {
		return fmt.Errorf("%s: no value is within its limits", at)
	}
	if s.Default == nil {
		return nil
	}
	if bad := compileCheck(s).verify(s.Default, true); len(bad) > 0 {
		return fmt.Errorf("%s: default %s: %w", at, s.Default, asError(bad))
	}
	if f.has("string") {
		return nil // its number stands in quotes, which only the struct knows
	}
	if err := unmarshal(s.Default, reflect.New(f.Type).Interface()); err != nil {
		return fmt.Errorf("%s: default %s: %w", at, s.Default, asError(decodeViolation(err, nil)))
	}
	return nil
}

func constrains(s *jsonschema.Schema, types []string) bool {
	if s.ContentEncoding != "" {
		return false
	}
	return slices.ContainsFunc(types, func(t string) bool { return s.Type == t || slices.Contains(s.Types, t) })
}

func crossed(low, high *int) bool { return low != nil && high != nil && *low > *high }

func readLimit(dst **float64, text string) error {
	if v := jsontext.Value(text); v.Kind() != '0' || !v.IsValid() {
		return errors.New("not a number")
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return errors.New("out of range")
	}
	d := parseDecimal([]byte(text))
	if held := newBound(&n); held.compare(&d) != 0 {
		return fmt.Errorf("schemas cannot hold it exactly, only %s", held.text)
	}
	*dst = &n
	return nil
}

func readCount(dst **int, text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return errors.New("not a count")
	}
	count := int(n)
	*dst = &count
	return nil
}

// readEnum reads values that are parted by commas.
func readEnum(s *jsonschema.Schema, text string) error {
	bare := compileCheck(&jsonschema.Schema{Type: s.Type, Types: s.Types})
	for part := range strings.SplitSeq(text, ",") {
		raw, err := tagValue(s, strings.TrimSpace(part))
		if err != nil {
			return err
		}
		if len(bare.verify(raw, true)) > 0 {
			return fmt.Errorf("%s is not of the field's type", raw)
		}
		var v any = stdjson.Number(raw) // exact, unlike a float64
		if !startsNumber(raw[0]) {
			if err := stdjson.Unmarshal(raw, &v); err != nil {
				return err
			}
		}
		s.Enum = append(s.Enum, v)
	}
	if s.Types != nil { // a pointer: null is always among the values
		s.Enum = append(s.Enum, nil)
	}
	return nil
}

// tagValue reads a tag's text as a value of the field's type: a string field takes the text as it is, any other JSON.
func tagValue(s *jsonschema.Schema, text string) (stdjson.RawMessage, error) {
	if s.Type == "string" || slices.Contains(s.Types, "string") {
		return stdjson.Marshal(text)
	}
	raw := jsontext.Value(text)
	if !raw.IsValid() {
		return nil, errors.New("not a JSON value")
	}
	return stdjson.RawMessage(raw), nil
}
