package api_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"peermesh/api"
)

// members says what the objects of an OpenRPC 1.3.2 document must and may have, after the meta-schema: a member that
// ends in ! is required; the letters behind the colon are its type: s string, b boolean, * anything, o:NAME an object,
// a:NAME an array of objects, m:NAME a map of objects. Members that begin with x- are allowed everywhere.
var members = map[string][]string{
	"document":   {"openrpc!:s", "info!:o:info", "methods!:a:method", "components:o:components"},
	"info":       {"title!:s", "version!:s", "description:s"},
	"components": {"schemas:m:schema", "contentDescriptors:m:descriptor"},
	"method": {"name!:s", "description:s", "summary:s", "paramStructure:s", "params!:a:descriptor", "result:o:descriptor",
		"examples:a:pairing", "deprecated:b"},
	"descriptor": {"name!:s", "description:s", "summary:s", "schema!:*", "required:b", "deprecated:b"},
	"pairing":    {"name!:s", "description:s", "params!:a:example", "result:o:example"},
	"example":    {"name!:s", "summary:s", "description:s", "value!:*"},
	"schema":     nil,
}

var componentName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// checkOpenRPC holds a document against the specification, and against what this package promises of it.
func checkOpenRPC(t *testing.T, d api.Document) {
	t.Helper()
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if err := holds("document", v); err != nil {
		t.Errorf("%v\n%s", err, raw)
	}
	if v["openrpc"] != "1.3.2" {
		t.Errorf("openrpc is %v", v["openrpc"])
	}
	outgoing, _ := v["x-outgoing"].([]any)
	for _, m := range outgoing {
		if err := holds("method", m); err != nil {
			t.Errorf("x-outgoing: %v", err)
		}
	}
	refs := regexp.MustCompile(`"\$ref":"([^"]*)"`).FindAllStringSubmatch(string(raw), -1)
	for _, r := range refs {
		name := strings.TrimPrefix(r[1], "#/components/schemas/")
		if d.Components == nil || d.Components.Schemas[name] == nil || !componentName.MatchString(name) {
			t.Errorf("$ref %s leads nowhere", r[1])
		}
	}
	for _, m := range slices.Concat(d.Methods, d.Outgoing) {
		p, err := d.ParamsOf(&m)
		if err == nil {
			_, err = p.Resolve(nil)
		}
		if err != nil {
			t.Errorf("params of %s: %v", m.Name, err)
		}
		r, err := d.ResultOf(&m)
		if err == nil && r != nil {
			_, err = r.Resolve(nil)
		}
		if err != nil || (r == nil) != (m.Result == nil) {
			t.Errorf("result of %s: %v", m.Name, err)
		}
	}

	again, err := api.Parse(raw)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	if back, _ := json.Marshal(again); string(back) != string(raw) {
		t.Errorf("Parse and back:\n%s\n%s", raw, back)
	}
	twice, _ := json.Marshal(again.Invert().Invert())
	if string(twice) != string(raw) {
		t.Errorf("Invert twice:\n%s\n%s", raw, twice)
	}
	if h := d.Hash(); len(h) != 16 || h != again.Hash() || h != d.Invert().Hash() {
		t.Errorf("hash %s, parsed %s, inverted %s", h, again.Hash(), d.Invert().Hash())
	}
}

func holds(kind string, v any) error {
	if kind == "schema" {
		return nil // Resolve is the judge
	}
	o, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: no object: %v", kind, v)
	}
	allowed := map[string]string{}
	for _, m := range members[kind] {
		name, typ, _ := strings.Cut(m, ":")
		bare := strings.TrimSuffix(name, "!")
		allowed[bare] = typ
		if _, there := o[bare]; !there && bare != name {
			return fmt.Errorf("%s: %s is required", kind, bare)
		}
	}
	for name, v := range o {
		typ, ok := allowed[name]
		if !ok && !strings.HasPrefix(name, "x-") {
			return fmt.Errorf("%s: %s is not allowed", kind, name)
		}
		typ, inner, _ := strings.Cut(typ, ":")
		var err error
		switch typ {
		case "s":
			if s, ok := v.(string); !ok || s == "" && name == "name" {
				err = fmt.Errorf("no string: %v", v)
			}
		case "b":
			if _, ok := v.(bool); !ok {
				err = fmt.Errorf("no boolean: %v", v)
			}
		case "o":
			err = holds(inner, v)
		case "a":
			list, ok := v.([]any)
			if !ok {
				err = fmt.Errorf("no array: %v", v)
			}
			for _, e := range list {
				if err == nil {
					err = holds(inner, e)
				}
			}
		case "m":
			for key, e := range v.(map[string]any) {
				if err == nil {
					err = holds(inner, e)
				}
				if !componentName.MatchString(key) {
					err = fmt.Errorf("the key %q", key)
				}
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", kind, name, err)
		}
	}
	return nil
}
