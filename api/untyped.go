package api

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// Serve makes a Binding of a document that is known only at run time: what a mock, a gateway or a shell command serves.
// It binds the document's side and answers every incoming method with handle, whose params have been held against the
// method's schema; nil params are absent ones. A result is not checked. Handlers run one at a time per sender, or up
// to concurrent at once where that is not 0. The error names a method whose schema cannot be used, or says that the
// methods do not share one API's prefix.
func Serve(doc Document, concurrent int, handle func(ctx context.Context, m *DocumentMethod, params json.RawMessage) (json.RawMessage, error)) (Binding, error) {
	b := &documentBinding{doc: doc, handle: handle, methods: map[string]*untyped{}}
	for i, list := range [][]DocumentMethod{doc.Methods, doc.Outgoing} {
		for j := range list {
			if err := b.add(&list[j], i == 0, concurrent); err != nil {
				return nil, err
			}
		}
	}
	if b.side = doc.Side; b.side == "" {
		b.side, b.other = "server", "client"
	} else {
		b.other = doc.Other
	}
	b.hash = doc.Hash()
	return b, nil
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
	schema *jsonschema.Resolved
	array  bool
}

func (b *documentBinding) add(dm *DocumentMethod, incoming bool, concurrent int) error {
	name, short := "", dm.Name
	if i := strings.LastIndexByte(dm.Name, '.'); i >= 0 {
		name, short = dm.Name[:i], dm.Name[i+1:]
	}
	if len(b.methods) > 0 && name != b.name {
		return fmt.Errorf("api: the methods of one document share a prefix, but there are %q and %q", b.name, name)
	}
	b.name = name
	s, err := b.doc.paramsOf(dm)
	if err != nil {
		return fmt.Errorf("api: params of %s: %w", dm.Name, err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return fmt.Errorf("api: params of %s: %w", dm.Name, err)
	}
	m := &Method{Name: short, Wire: dm.Name, Doc: dm.Description, IsCall: dm.Result != nil, Incoming: incoming,
		Positional: dm.ParamStructure != "by-name", Idempotent: dm.Idempotent, MinRole: dm.Role, Concurrent: concurrent,
		Timeout: time.Duration(dm.TimeoutMS) * time.Millisecond}
	b.methods[short] = &untyped{m: m, doc: dm, schema: resolved, array: s.Type == "array"}
	if incoming {
		b.incoming = append(b.incoming, m)
	}
	return nil
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
	if u == nil || !u.m.Incoming {
		return dst, errNotFound
	}
	defer func() {
		if v := recover(); v != nil {
			out, err = dst, &PanicError{Method: u.m.Wire, Value: v, Stack: debug.Stack()}
		}
	}()
	raw := append(json.RawMessage(nil), params...)
	if err := u.check(raw); err != nil {
		return dst, err
	}
	result, err := b.handle(ctx, u.doc, raw)
	if err != nil {
		return dst, err
	}
	if len(result) == 0 || !u.m.IsCall {
		return append(dst, "null"...), nil
	}
	return append(dst, result...), nil
}

func (u *untyped) check(raw json.RawMessage) error {
	if len(raw) > 0 && raw[0] == '[' && !u.array {
		if !u.m.Positional {
			return Errorf(CodeInvalidParams, "%s takes params by name, not by position", u.m.Wire)
		}
		return nil
	}
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
		if u.array {
			raw = json.RawMessage("[]")
		}
	}
	var v any
	if err := unmarshal(raw, &v); err != nil {
		return paramsError(err)
	}
	if err := u.schema.Validate(v); err != nil {
		return Errorf(CodeInvalidParams, "invalid params: %s", Innermost(err))
	}
	return nil
}

// Innermost drops from an error of schema validation the path through the schema, and keeps what is wrong.
func Innermost(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || u.Unwrap() == nil {
			return err
		}
		err = u.Unwrap()
	}
}
