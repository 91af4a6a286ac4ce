package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"peermesh/api"
)

// maxInput is how much is read from stdin or a file.
const maxInput = 16 << 20

// readParams makes params of arguments: k=v, typed by the schema where there is one; k:=JSON; k=@file for a text;
// k:=@file for JSON; a single "-" for JSON on stdin; a single argument that begins with { or [ for JSON. No arguments
// are no params.
func (a *app) readParams(args []string, schema *jsonschema.Schema) (json.RawMessage, error) {
	if len(args) == 1 && args[0] == "-" {
		text, err := io.ReadAll(io.LimitReader(a.in, maxInput))
		if err != nil {
			return nil, err
		}
		return rawParams(text)
	}
	if len(args) == 1 && args[0] != "" && (args[0][0] == '{' || args[0][0] == '[') {
		return rawParams([]byte(args[0]))
	}
	if len(args) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	out.WriteByte('{')
	seen := map[string]bool{}
	for i, arg := range args {
		name, value, err := readParam(arg, schema)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, usageError("the parameter %s is given twice", name)
		}
		seen[name] = true
		if i > 0 {
			out.WriteByte(',')
		}
		key, _ := json.Marshal(name) // a string marshals
		out.Write(key)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func rawParams(text []byte) (json.RawMessage, error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || text[0] != '{' && text[0] != '[' || !json.Valid(text) {
		return nil, usageError("params are a JSON object or array")
	}
	return text, nil
}

func readParam(arg string, schema *jsonschema.Schema) (string, json.RawMessage, error) {
	name, text, ok := strings.Cut(arg, "=")
	if !ok || strings.TrimSuffix(name, ":") == "" {
		return "", nil, usageError("%q is no parameter: want name=value, name:=JSON or name=@file", arg)
	}
	asJSON := strings.HasSuffix(name, ":")
	name = strings.TrimSuffix(name, ":")
	var field *jsonschema.Schema
	if schema != nil && len(schema.Properties) > 0 {
		if field = schema.Properties[name]; field == nil && schema.AdditionalProperties == nil {
			return "", nil, usageError("there is no parameter %s%s; there are: %s", name, didYouMean(name, schema.PropertyOrder), strings.Join(schema.PropertyOrder, " "))
		}
	}
	if path, isFile := strings.CutPrefix(text, "@"); isFile {
		content, err := readFile(path)
		if err != nil {
			return "", nil, usageError("%s: %w", name, err)
		}
		text = content
		if !asJSON {
			raw, err := json.Marshal(text)
			return name, raw, err
		}
	}
	if asJSON {
		if !json.Valid([]byte(text)) {
			return "", nil, usageError("%s: %q is no JSON", name, clip(text, 40))
		}
		return name, json.RawMessage(text), nil
	}
	raw, err := typedValue(text, field)
	if err != nil {
		return "", nil, usageError("%s: %w", name, err)
	}
	return name, raw, nil
}

func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxInput))
	return string(text), err
}

// typedValue reads a text as its schema wants it. Without one: a number, true, false or null is that, all else a text.
func typedValue(text string, s *jsonschema.Schema) (json.RawMessage, error) {
	types := []string{}
	if s != nil {
		if types = s.Types; s.Type != "" {
			types = []string{s.Type}
		}
	}
	has := func(t string) bool { return slices.Contains(types, t) }
	switch {
	case len(types) == 0:
		if v := json.RawMessage(text); len(v) > 0 && v[0] != '"' && v[0] != '{' && v[0] != '[' && json.Valid(v) {
			return v, nil
		}
	case has("null") && text == "null":
		return json.RawMessage("null"), nil
	case has("integer"):
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			if _, err := strconv.ParseUint(text, 10, 64); err != nil {
				return nil, fmt.Errorf("%q is no integer", text)
			}
		}
		return json.RawMessage(text), nil
	case has("number"):
		if v := json.RawMessage(text); json.Valid(v) && (v[0] == '-' || v[0] >= '0' && v[0] <= '9') {
			return v, nil
		}
		return nil, fmt.Errorf("%q is no number", text)
	case has("boolean"):
		switch text {
		case "true", "false":
			return json.RawMessage(text), nil
		}
		return nil, fmt.Errorf("%q is neither true nor false", text)
	case has("array"), has("object"):
		if json.Valid([]byte(text)) {
			return json.RawMessage(text), nil
		}
		if has("array") && s.Items != nil { // a,b,c
			var parts []json.RawMessage
			for part := range strings.SplitSeq(text, ",") {
				v, err := typedValue(strings.TrimSpace(part), s.Items)
				if err != nil {
					return nil, err
				}
				parts = append(parts, v)
			}
			return json.Marshal(parts)
		}
		return nil, fmt.Errorf("%q is no JSON", clip(text, 40))
	}
	return json.Marshal(text)
}

// validate holds params against a method's schema.
func validate(doc api.Document, m *api.DocumentMethod, params json.RawMessage) error {
	err := doc.Validate(m, params)
	var own *api.Error
	if errors.As(err, &own) {
		return usageError("%s: %s", m.Name, own.Message)
	}
	return err
}
