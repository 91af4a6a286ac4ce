package api

import (
	stdjson "encoding/json"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Document is an OpenRPC 1.3.2 document of one side of an API: what the side handles under Methods, what it sends under
// Outgoing ("x-outgoing"). It marshals to JSON and is read back by Parse, which is the inverse. What this package has
// no field for is kept under Extra, here and below, and written back.
//
// A Document is a value, but its slices are shared: clone what you change. Reading one is safe for concurrent use.
type Document struct {
	OpenRPC    string              `json:"openrpc"`
	Info       DocumentInfo        `json:"info"`
	Side       string              `json:"x-side,omitzero"`     // the role of this side, in lower case
	Other      string              `json:"x-other,omitzero"`    // the role of the other side
	Inverted   bool                `json:"x-inverted,omitzero"` // whether this is the far side of the definition
	Methods    []DocumentMethod    `json:"methods"`
	Outgoing   []DocumentMethod    `json:"x-outgoing,omitzero"`
	APIs       map[string]APIInfo  `json:"x-apis,omitzero"` // of a peer's whole document: what it binds
	Components *DocumentComponents `json:"components,omitzero"`
	Extra      jsontext.Value      `json:",embed"`
}

// DocumentInfo names the API.
type DocumentInfo struct {
	Title       string         `json:"title"`
	Version     string         `json:"version"`
	Description string         `json:"description,omitzero"`
	Extra       jsontext.Value `json:",embed"`
}

// DocumentComponents holds what is referred to from several places.
type DocumentComponents struct {
	Schemas     map[string]stdjson.RawMessage `json:"schemas,omitzero"`
	Descriptors map[string]DocumentDescriptor `json:"contentDescriptors,omitzero"`
	Extra       jsontext.Value                `json:",embed"`
}

// DocumentMethod describes a method by its name on the wire. A notification has no Result.
type DocumentMethod struct {
	Name           string               `json:"name"`
	Description    string               `json:"description,omitzero"`
	ParamStructure string               `json:"paramStructure,omitzero"` // by-name, by-position or either
	Params         []DocumentDescriptor `json:"params"`
	ParamsSchema   stdjson.RawMessage   `json:"x-params,omitzero"` // of params that are not a struct
	Result         *DocumentDescriptor  `json:"result,omitzero"`
	Role           string               `json:"x-role,omitzero"` // who may call it at least; absent: member
	Idempotent     bool                 `json:"x-idempotent,omitzero"`
	TimeoutMS      int64                `json:"x-timeout-ms,omitzero"`
	Examples       []DocumentExample    `json:"examples,omitzero"`
	Extra          jsontext.Value       `json:",embed"`
}

// DocumentDescriptor describes one parameter, or the result; or it refers to a description among the components, then
// only Ref is set.
type DocumentDescriptor struct {
	Ref         string             `json:"$ref,omitzero"`
	Name        string             `json:"name,omitzero"`
	Description string             `json:"description,omitzero"`
	Required    bool               `json:"required,omitzero"`
	Schema      stdjson.RawMessage `json:"schema,omitzero"`
	Extra       jsontext.Value     `json:",embed"`
}

// DocumentExample pairs params with a result.
type DocumentExample struct {
	Name   string          `json:"name,omitzero"`
	Params []DocumentValue `json:"params,omitzero"`
	Result *DocumentValue  `json:"result,omitzero"`
	Extra  jsontext.Value  `json:",embed"`
}

// DocumentValue is a value in an example.
type DocumentValue struct {
	Name  string             `json:"name,omitzero"`
	Value stdjson.RawMessage `json:"value,omitzero"`
	Extra jsontext.Value     `json:",embed"`
}

// OpenRPCVersion is the version of the documents that are written.
const OpenRPCVersion = "1.3.2"

// plainDocument has the members of a Document and none of its methods.
type plainDocument Document

// MarshalJSON writes the document. The same document is always the same text.
func (d Document) MarshalJSON() ([]byte, error) {
	return json.Marshal(plainDocument(d), json.Deterministic(true))
}

// UnmarshalJSON reads a document without the checks of Parse.
func (d *Document) UnmarshalJSON(data []byte) error {
	var p plainDocument
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	*d = Document(p)
	return nil
}

// Parse reads an OpenRPC document of any 1.x version, as a stranger may have written it: it is safe to use whatever
// Parse accepts. A document without x-outgoing describes a side that sends nothing. The error names the member that is
// wrong. Besides what is no OpenRPC, these are errors: a method's name that stands twice, that is empty, or that
// JSON-RPC reserves; a $ref to something else than the document's own components/schemas or
// components/contentDescriptors; schemas that refer to themselves without end, or branch beyond 4096 alternatives; and
// documents beyond 4 MiB, 64 levels of nesting, 1 KiB for one regular expression or 64 KiB for all.
//
// Marshalling what Parse read gives back the document. Members may change places, and those that only repeat OpenRPC's
// default, such as "required": false, go away; documents of this package come back byte for byte.
func Parse(data []byte) (Document, error) {
	d, err := parse(data)
	if err != nil {
		return Document{}, fmt.Errorf("api: OpenRPC document: %w", err)
	}
	return d, nil
}

func parse(data []byte) (Document, error) {
	var d Document
	if len(data) > maxDocument {
		return d, fmt.Errorf("it is larger than %d bytes", maxDocument)
	}
	if deeper(data, maxDepth) {
		return d, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	if err := d.UnmarshalJSON(data); err != nil {
		return d, violations(decodeViolation(err, nil))
	}
	if len(d.Outgoing) == 0 {
		d.Outgoing = nil // as if it were absent, so that inverting twice gives back the same
	}
	return d, d.check()
}

// maxDocument bounds what Parse reads.
const maxDocument = 4 << 20

// deeper reports whether a JSON text is nested deeper than n levels.
func deeper(text []byte, n int) bool {
	depth := 0
	for len(text) > 0 {
		switch text[0] {
		case '"':
			rest, ok := skipString(text)
			if !ok {
				return false // no JSON
			}
			text = rest
			continue
		case '{', '[':
			if depth++; depth > n {
				return true
			}
		case '}', ']':
			depth--
		}
		text = text[1:]
	}
	return false
}

// Find returns the method of that name on the wire and whether this side handles it; nil when the document has none.
func (d Document) Find(wire string) (m *DocumentMethod, incoming bool) {
	for i := range d.Methods {
		if d.Methods[i].Name == wire {
			return &d.Methods[i], true
		}
	}
	for i := range d.Outgoing {
		if d.Outgoing[i].Name == wire {
			return &d.Outgoing[i], false
		}
	}
	return nil, false
}

// Invert returns the document of the other side: methods and x-outgoing change places. Inverting twice gives back the
// same document; the document of a mesh of equals is its own inverse.
func (d Document) Invert() Document {
	if d.symmetric() {
		return d
	}
	d.Methods, d.Outgoing = d.Outgoing, d.Methods
	if d.Methods == nil {
		d.Methods = []DocumentMethod{}
	}
	if len(d.Outgoing) == 0 {
		d.Outgoing = nil
	}
	d.Side, d.Other = d.Other, d.Side
	d.Inverted = !d.Inverted
	return d
}

func (d *Document) symmetric() bool { return d.Side != "" && d.Side == d.Other }
