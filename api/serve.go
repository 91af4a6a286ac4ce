package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// Serve makes a Binding of a document that is known only at run time: what a mock, a gateway or a shell command serves.
// It binds the document's side and answers every incoming method with handle, whose params have been held against the
// method's schema; nil params are absent ones, and params by position have become an object where the document names
// them. handle may keep them. Of its result only that it is JSON is checked; nothing is null. Its errors and panics are
// those of a typed handler. Handlers run one at a time per sender, or up to concurrent at once where that is not 0.
//
// The error says what is wrong with the document, or that its methods do not share one API's prefix.
func Serve(doc Document, concurrent int, handle func(ctx context.Context, m *DocumentMethod, params json.RawMessage) (json.RawMessage, error)) (Binding, error) {
	if err := doc.check(); err != nil {
		return nil, fmt.Errorf("api: OpenRPC document: %w", err)
	}
	b := &documentBinding{doc: doc, handle: handle, methods: map[string]*untyped{}, side: doc.Side, other: doc.Other, hash: doc.Hash()}
	if doc.Side == "" {
		b.side, b.other = "server", "client"
	}
	var err error
	if b.name, err = doc.prefix(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	for i := range doc.Methods {
		if err := b.add(&doc.Methods[i], true, concurrent); err != nil {
			return nil, err
		}
	}
	for i := range doc.Outgoing {
		if err := b.add(&doc.Outgoing[i], false, concurrent); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// prefix finds the name of the API: the title of a document of ours, else what stands before the last dot.
func (d *Document) prefix() (string, error) {
	all := slices.Concat(d.Methods, d.Outgoing)
	titled := d.Info.Title + "."
	if d.Side != "" && d.Info.Title == "" || !slices.ContainsFunc(all, func(m DocumentMethod) bool { return !strings.HasPrefix(m.Name, titled) }) {
		return d.Info.Title, nil
	}
	name := ""
	for i, m := range all {
		own := ""
		if dot := strings.LastIndexByte(m.Name, '.'); dot >= 0 {
			own = m.Name[:dot]
		}
		if i > 0 && own != name {
			return "", fmt.Errorf("the methods of one document share a prefix, but there are %q and %q", name, own)
		}
		name = own
	}
	return name, nil
}

type documentBinding struct {
	doc               Document
	name, side, other string
	hash              string
	methods           map[string]*untyped
	incoming          []*Method
	handle            func(context.Context, *DocumentMethod, json.RawMessage) (json.RawMessage, error)
}

// untyped is one method of a documentBinding.
type untyped struct {
	m      *Method
	doc    *DocumentMethod
	schema *jsonschema.Schema
	all    *jsonschema.Resolved // of schema
	check  *check               // of schema, as far as it goes: it says more clearly what is wrong
	fields []string             // by position; nil when the params are no object
}

func (b *documentBinding) add(dm *DocumentMethod, incoming bool, concurrent int) error {
	short := dm.Name
	if b.name != "" {
		short = strings.TrimPrefix(dm.Name, b.name+".")
	}
	if b.methods[short] != nil {
		return nil // a mesh of equals lists each method twice
	}
	u, err := newUntyped(b.doc, dm, short, incoming, concurrent)
	if err != nil {
		return err
	}
	b.methods[short] = u
	if incoming {
		b.incoming = append(b.incoming, u.m)
	}
	return nil
}

// newUntyped reads the schema of a method.
func newUntyped(doc Document, dm *DocumentMethod, short string, incoming bool, concurrent int) (*untyped, error) {
	s, err := doc.ParamsOf(dm)
	var all *jsonschema.Resolved
	if err == nil {
		all, err = s.Resolve(nil)
	}
	if err != nil {
		return nil, fmt.Errorf("api: params of %s: %w", dm.Name, err)
	}
	u := &untyped{doc: dm, schema: s, all: all, check: compileCheck(s), m: &Method{Name: short, Wire: dm.Name, Doc: dm.Description,
		IsCall: dm.Result != nil, nearHandles: incoming, Positional: dm.ParamStructure != "by-name", Idempotent: dm.Idempotent,
		MinRole: dm.Role, Concurrent: concurrent, Timeout: time.Duration(dm.TimeoutMS) * time.Millisecond}}
	if dm.ParamsSchema == nil {
		u.fields = slices.Concat([]string{}, s.PropertyOrder)
	}
	return u, nil
}

func (b *documentBinding) API() (name, version, side, other string) {
	return b.name, b.doc.Info.Version, b.side, b.other
}

func (b *documentBinding) Hash() string        { return b.hash }
func (b *documentBinding) Document() Document  { return b.doc }
func (b *documentBinding) Incoming() []*Method { return b.incoming }
func (b *documentBinding) Unhandled() []string { return nil }

func (b *documentBinding) Method(name string) *Method {
	if u := b.methods[name]; u != nil {
		return u.m
	}
	return nil
}

func (b *documentBinding) Dispatch(ctx context.Context, method string, params, dst []byte) (out []byte, err error) {
	u := b.methods[method]
	if u == nil || !u.m.nearHandles {
		return dst, errNotFound
	}
	raw, err := u.read(params)
	if err != nil {
		return dst, err
	}
	result, err := b.run(ctx, u, raw)
	switch {
	case errors.Is(err, ErrPass):
		return dst, errNotFound
	case err != nil:
		return dst, err
	case len(result) == 0 || !u.m.IsCall:
		return append(dst, "null"...), nil
	case !jsontext.Value(result).IsValid():
		return dst, Errorf(CodeInternal, "the result of %s is no valid JSON", u.m.Wire)
	}
	return append(dst, result...), nil
}

func (b *documentBinding) run(ctx context.Context, u *untyped, params json.RawMessage) (result json.RawMessage, err error) {
	defer recovered(u.m.Wire, &err)
	return b.handle(ctx, u.doc, params)
}

// read holds params against the schema and returns a copy of them, as an object where they are one.
func (u *untyped) read(params []byte) (json.RawMessage, error) {
	raw := skipSpace(params)
	if len(raw) == 0 {
		empty := json.RawMessage("{}")
		if u.schema.Type == "array" {
			empty = json.RawMessage("[]")
		}
		return nil, u.verify(empty)
	}
	if raw[0] == '[' && u.fields != nil {
		if !u.m.Positional {
			return nil, Errorf(CodeInvalidParams, "%s takes params by name, not by position", u.m.Wire)
		}
		named, err := byName(u.m.Wire, u.fields, u.schema.Required, raw)
		if err != nil {
			return nil, err
		}
		return named, u.verify(named)
	}
	return append(json.RawMessage(nil), raw...), u.verify(raw)
}

func (u *untyped) verify(raw json.RawMessage) error {
	if bad := u.check.verify(raw, true); len(bad) > 0 {
		return invalidParams(violations(bad))
	}
	var v any
	if err := unmarshal(raw, &v); err != nil {
		return invalidParams(violations(decodeViolation(err, u.check)))
	}
	if err := u.all.Validate(v); err != nil {
		return Errorf(CodeInvalidParams, "invalid params: %v", innermost(err))
	}
	return nil
}

// innermost drops from an error of schema validation the path through the schema, and keeps what is wrong.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
