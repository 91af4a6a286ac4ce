package api

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/jsonschema-go/jsonschema"
)

// field is a struct field that becomes a member of the JSON object.
type field struct {
	reflect.StructField
	name    string // of the member
	index   []int  // from the outermost struct
	tagged  bool   // the tag names it
	maybe   bool   // it is in a struct embedded by pointer, which may be nil
	options []string
}

func (f *field) has(option string) bool { return slices.Contains(f.options, option) }

// object makes the schema of a struct: open, its members in the order of the fields.
func (w *schemas) object(t reflect.Type, at string) (*jsonschema.Schema, error) {
	if err := carried(t); err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	fields, rest, err := membersOf(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}}
	for _, f := range fields {
		where := at + "." + f.Name
		p, err := w.member(&f, where)
		if err != nil {
			return nil, err
		}
		s.Properties[f.name] = p
		s.PropertyOrder = append(s.PropertyOrder, f.name)
		if !f.maybe && !f.has("omitempty") && !f.has("omitzero") && p.Default == nil {
			s.Required = append(s.Required, f.name)
		}
	}
	if rest != nil && rest.Kind() == reflect.Map {
		values, err := w.schema(rest.Elem(), at+"[]")
		if err != nil {
			return nil, err
		}
		s.AdditionalProperties = values
	}
	return s, nil
}

// carried asks the JSON package whether it can carry the struct at all: whether its tags are sound and its members
// do not clash.
func carried(t reflect.Type) error {
	err := json.Unmarshal([]byte("{}"), reflect.New(t).Interface())
	var sem *json.SemanticError
	if errors.As(err, &sem) && sem.Err != nil {
		return sem.Err
	}
	return err
}

func (w *schemas) member(f *field, at string) (*jsonschema.Schema, error) {
	if slices.ContainsFunc(f.options, func(o string) bool { return strings.HasPrefix(o, "case:") }) {
		return nil, fmt.Errorf("%s: member names are case-sensitive, so there is no option case", at)
	}
	p, err := w.schema(f.Type, at)
	if err != nil {
		return nil, err
	}
	if f.has("string") {
		if p, err = quoted(p, f.Type); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
	return p, applyTags(p, f, at)
}

// quoted is the schema of a number with the option string.
func quoted(p *jsonschema.Schema, t reflect.Type) (*jsonschema.Schema, error) {
	number := func(s string) bool { return s == "integer" || s == "number" }
	switch {
	case number(p.Type):
		return &jsonschema.Schema{Type: "string"}, nil
	case len(p.Types) == 2 && number(p.Types[0]):
		return &jsonschema.Schema{Types: []string{"string", "null"}}, nil
	}
	return nil, fmt.Errorf("the option string is for numbers, not for %s", t)
}

// membersOf lists the members of a struct as the JSON package sees them: embedded structs are laid open, and of several
// members of one name the one at the shallowest depth counts, or the one that a tag names, or none. rest is the type of
// the field that takes what is not listed, if there is one.
func membersOf(root reflect.Type) (fields []field, rest reflect.Type, err error) {
	type embedded struct {
		t     reflect.Type
		index []int
		maybe bool // embedded by pointer, or within such a struct
		first bool // seen for the first time: what is embedded in it counts too
	}
	var all []field
	seen := map[reflect.Type]bool{root: true}
	for queue := []embedded{{root, nil, false, true}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for i := range at.t.NumField() {
			f := at.t.Field(i)
			tag := f.Tag.Get("json")
			if tag == "-" || !f.IsExported() && !f.Anonymous {
				continue
			}
			name, options, _ := strings.Cut(tag, ",")
			m := field{StructField: f, name: cmp.Or(name, f.Name), tagged: name != "", maybe: at.maybe,
				index: append(slices.Clone(at.index), i), options: strings.Split(options, ",")}
			if !m.has("embed") && (!f.Anonymous || m.tagged) {
				all = append(all, m)
				continue
			}
			t, maybe := f.Type, at.maybe
			if t.Kind() == reflect.Pointer && t.Name() == "" {
				t, maybe = t.Elem(), true
				if !f.IsExported() {
					return nil, nil, fmt.Errorf("the embedded pointer %s cannot be set, because its type is not exported", f.Name)
				}
			}
			switch {
			case t.Kind() != reflect.Struct:
				rest = cmp.Or(rest, t)
			case at.first:
				queue = append(queue, embedded{t, m.index, maybe, !seen[t]})
				seen[t] = true
			}
		}
	}
	slices.SortStableFunc(all, func(a, b field) int {
		tagged := func(f field) int {
			if f.tagged {
				return 0
			}
			return 1
		}
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(len(a.index), len(b.index)), cmp.Compare(tagged(a), tagged(b)))
	})
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].name == all[0].name {
			n++
		}
		if n == 1 || len(all[0].index) != len(all[1].index) || all[0].tagged != all[1].tagged {
			fields = append(fields, all[0])
		}
		all = all[n:]
	}
	slices.SortFunc(fields, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return fields, rest, nil
}
