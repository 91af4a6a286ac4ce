package api

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// What a document may ask for. Expressions are bounded because one of 100 bytes can compile to megabytes.
const (
	maxPatterns  = 64 << 10 // bytes of regular expressions
	maxPattern   = 1 << 10  // bytes of one
	maxExpansion = 1 << 12  // schemas that one value can be held against, all alternatives together
)

// check says what is wrong with a document.
func (d *Document) check() error {
	switch {
	case !strings.HasPrefix(d.OpenRPC, "1."):
		return fmt.Errorf("member openrpc is %q, want 1.x", d.OpenRPC)
	case d.Methods == nil:
		return errors.New("member methods is absent")
	}
	c := documentCheck{doc: d, schemas: map[string]*jsonschema.Schema{}}
	if d.Components != nil {
		for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
			if err := c.add(name, d.Components.Schemas[name]); err != nil {
				return fmt.Errorf("components/schemas/%s: %w", name, err)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(d.Components.Descriptors)) {
			if err := c.add("", d.Components.Descriptors[name].Schema); err != nil {
				return fmt.Errorf("components/contentDescriptors/%s: %w", name, err)
			}
		}
	}
	seen := map[string]int{}
	for i, list := range [][]DocumentMethod{d.Methods, d.Outgoing} {
		for j := range list {
			m := &list[j]
			switch {
			case m.Name == "" || m.Name == "rpc" || strings.HasPrefix(m.Name, "rpc.") || strings.HasPrefix(m.Name, "$/"):
				return fmt.Errorf("a method may not be called %q", m.Name)
			case seen[m.Name] == i+1, seen[m.Name] != 0 && !d.symmetric():
				return fmt.Errorf("method %s stands twice", m.Name)
			}
			seen[m.Name] = i + 1
			if err := c.method(m); err != nil {
				return fmt.Errorf("method %s: %w", m.Name, err)
			}
		}
	}
	return c.references()
}

// documentCheck gathers the schemas of a document, each of which is read once.
type documentCheck struct {
	doc      *Document
	schemas  map[string]*jsonschema.Schema // of the components
	others   []*jsonschema.Schema
	patterns int
}

func (c *documentCheck) method(m *DocumentMethod) error {
	switch m.ParamStructure {
	case "", "by-name", "by-position", "either":
	default:
		return fmt.Errorf("paramStructure is %q", m.ParamStructure)
	}
	if m.TimeoutMS < 0 {
		return errors.New("x-timeout-ms is negative")
	}
	names := map[string]bool{}
	for i := range m.Params {
		p, err := c.doc.descriptor(&m.Params[i])
		switch {
		case err != nil:
			return fmt.Errorf("param %d: %w", i, err)
		case p.Name == "" || names[p.Name]:
			return fmt.Errorf("param %d: its name is absent or stands twice", i)
		}
		names[p.Name] = true
		if err := c.add("", m.Params[i].Schema); err != nil {
			return fmt.Errorf("param %s: %w", p.Name, err)
		}
	}
	if err := c.add("", m.ParamsSchema); err != nil {
		return fmt.Errorf("x-params: %w", err)
	}
	if m.Result == nil {
		return nil
	}
	if _, err := c.doc.descriptor(m.Result); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	if err := c.add("", m.Result.Schema); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return nil
}

// add reads a schema and checks it by itself.
func (c *documentCheck) add(name string, raw stdjson.RawMessage) error {
	if raw == nil {
		return nil
	}
	s, err := parseSchema(raw)
	if err != nil {
		return err
	}
	eachSchema(s, func(sub *jsonschema.Schema, _ bool) {
		if err == nil {
			err = c.one(sub)
		}
	})
	if err != nil {
		return err
	}
	// Only what it says itself is resolved here: what it refers to need not be known yet.
	alone := s.CloneSchemas()
	eachSchema(alone, func(sub *jsonschema.Schema, _ bool) { sub.Ref = "" })
	if _, err := alone.Resolve(nil); err != nil {
		return err
	}
	if name == "" {
		c.others = append(c.others, s)
	} else {
		c.schemas[name] = s
	}
	return nil
}

func (c *documentCheck) one(s *jsonschema.Schema) error {
	if s.Ref != "" && !strings.HasPrefix(s.Ref, refInSchema) {
		return fmt.Errorf("a $ref leads to %q, which is not under %s", s.Ref, refInDocument)
	}
	if s.ID != "" || s.Anchor != "" || s.DynamicRef != "" || s.DynamicAnchor != "" || s.Vocabulary != nil || len(s.Defs)+len(s.Definitions) > 0 {
		return errors.New("$id, $anchor, $dynamicRef, $vocabulary, $defs and definitions are not for OpenRPC documents")
	}
	for _, p := range slices.Concat([]string{s.Pattern}, slices.Collect(maps.Keys(s.PatternProperties))) {
		if c.patterns += len(p); len(p) > maxPattern || c.patterns > maxPatterns {
			return errors.New("its regular expressions are too large")
		}
	}
	return nil
}

// references looks at what the schemas refer to: it must be there, and no value may be held against a schema by way of
// itself, nor against too many.
func (c *documentCheck) references() error {
	const busy = -1
	sizes, depth := map[string]int{}, 0
	var size func(name string) (int, error)
	measure := func(s *jsonschema.Schema) (n int, err error) {
		eachSchema(s, func(sub *jsonschema.Schema, here bool) {
			if err != nil || !here && sub.Ref == "" {
				return
			}
			below := 1
			if name, ok := strings.CutPrefix(sub.Ref, refInSchema); ok {
				switch {
				case c.schemas[name] == nil:
					err = fmt.Errorf("there is no components/schemas/%s", name)
				case here:
					below, err = size(name)
				}
			}
			if n += below; here && n > maxExpansion && err == nil {
				err = errors.New("its alternatives are too many")
			}
		})
		return n, err
	}
	size = func(name string) (int, error) {
		switch n := sizes[name]; n {
		case busy:
			return 0, fmt.Errorf("components/schemas/%s refers to itself without end", name)
		case 0:
		default:
			return n, nil
		}
		if depth++; depth > maxExpansion {
			return 0, errors.New("it leads from one schema to the next too often")
		}
		defer func() { depth-- }()
		sizes[name] = busy
		n, err := measure(c.schemas[name])
		if err != nil {
			return 0, err
		}
		sizes[name] = n + 1
		return n + 1, nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.schemas)) {
		if _, err := size(name); err != nil {
			return fmt.Errorf("components/schemas/%s: %w", name, err)
		}
	}
	for _, s := range c.others {
		if _, err := measure(s); err != nil {
			return err
		}
	}
	return nil
}
