package tap

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"peermesh/api"
)

// Redacted stands for a value that is not shown.
const Redacted = "•••"

// Redactor takes secrets out of records: the values of members that a method's schema marks writeOnly, and of members
// whose names say that they are secret (password, secret, token, key and the like), at any depth. It is safe for
// concurrent use once it is made.
type Redactor struct {
	secret map[string][]string // by the method's name: pointers into its params and result, as "params /a/b"
}

// NewRedactor makes a Redactor that knows the schemas of these documents.
func NewRedactor(docs ...api.Document) *Redactor {
	r := &Redactor{secret: map[string][]string{}}
	for _, d := range docs {
		for _, m := range append(append([]api.DocumentMethod(nil), d.Methods...), d.Outgoing...) {
			for _, p := range m.Params {
				if raw, err := json.Marshal(p.Schema); err == nil {
					r.find(m.Name, "params /"+escape(p.Name), raw, d, 0)
				}
			}
			if m.Result != nil {
				if raw, err := json.Marshal(m.Result.Schema); err == nil {
					r.find(m.Name, "result ", raw, d, 0)
				}
			}
		}
	}
	return r
}

// schemaPart is what matters of a schema here.
type schemaPart struct {
	WriteOnly  bool                       `json:"writeOnly"`
	Ref        string                     `json:"$ref"`
	Properties map[string]json.RawMessage `json:"properties"`
	Items      json.RawMessage            `json:"items"`
}

func (r *Redactor) find(method, at string, raw json.RawMessage, d api.Document, depth int) {
	var s schemaPart
	if depth > 16 || json.Unmarshal(raw, &s) != nil {
		return
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok && d.Components != nil {
		if def, ok := d.Components.Schemas[name]; ok {
			if raw, err := json.Marshal(def); err == nil {
				r.find(method, at, raw, d, depth+1)
			}
		}
	}
	if s.WriteOnly {
		r.secret[method] = append(r.secret[method], at)
	}
	for name, p := range s.Properties {
		r.find(method, at+"/"+escape(name), p, d, depth+1)
	}
	if s.Items != nil {
		r.find(method, at+"/*", s.Items, d, depth+1)
	}
}

func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// Record takes the secrets out of a record.
func (r *Redactor) Record(rec *Record) {
	rec.Params = r.redact(rec.Params, "params ", rec.Method)
	rec.Result = r.redact(rec.Result, "result ", rec.Method)
	rec.Data = r.redact(rec.Data, "data ", rec.Method)
}

// secretNames are parts of the names of members that hold secrets.
var secretNames = []string{"password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "authorization", "credential", "private_key", "privatekey"}

func secretName(name string) bool {
	name = strings.ToLower(name)
	if name == "key" || name == "pin" || name == "auth" {
		return true
	}
	for _, s := range secretNames {
		if strings.Contains(name, s) {
			return true
		}
	}
	return false
}

func (r *Redactor) redact(raw json.RawMessage, where, method string) json.RawMessage {
	if len(raw) == 0 {
		return raw
	}
	dec := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true))
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out, jsontext.AllowDuplicateNames(true))
	changed := false
	for {
		t, err := dec.ReadToken()
		if err != nil {
			break
		}
		isName := false
		if kind, length := dec.StackIndex(dec.StackDepth()); kind == '{' && length%2 == 1 && t.Kind() == '"' {
			isName = true
		}
		name := ""
		if isName {
			name = t.String()
		}
		if err := enc.WriteToken(t); err != nil {
			return raw
		}
		if isName && (secretName(name) || r.marked(method, where+string(dec.StackPointer()))) {
			if err := dec.SkipValue(); err != nil {
				return raw
			}
			if err := enc.WriteToken(jsontext.String(Redacted)); err != nil {
				return raw
			}
			changed = true
		}
	}
	if !changed {
		return raw
	}
	return json.RawMessage(bytes.TrimSpace(out.Bytes()))
}

// marked reports whether the schema marks what a pointer leads to. Elements of arrays are one and the same.
func (r *Redactor) marked(method, pointer string) bool {
	for _, p := range r.secret[method] {
		if matchPointer(p, pointer) {
			return true
		}
	}
	return false
}

func matchPointer(pattern, pointer string) bool {
	a, b := strings.Split(pattern, "/"), strings.Split(pointer, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && a[i] != "*" {
			return false
		}
	}
	return true
}
