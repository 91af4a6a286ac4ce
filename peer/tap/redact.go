package tap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"peermesh/api"
)

// Redacted stands for a value that is not shown. What stands for a text that cannot be read begins with it too.
const Redacted = "•••"

const redactedValue = `"` + Redacted + `"`

// Redactor takes secrets out of what is shown of messages: their params, results and the data of their errors. Secret is
// what the schema of the method marks writeOnly, and what stands under a name that says so (password, api_key,
// sessionToken, …; but true, false and null stay: they tell whether there is one). Each such value, whatever it is,
// becomes Redacted; all else stays as it is written. A text that is no JSON is no better known than that, and so all of
// it becomes a string that tells its length.
//
// Ids, methods' names, the messages of errors and the texts of notes are not looked at. The zero Redactor knows no
// schemas and goes by names alone. A Redactor is safe for concurrent use.
type Redactor struct {
	methods map[string]*methodSecrets
}

// NewRedactor makes a Redactor that knows the schemas of these documents. Where they say different things of a method,
// what any of them calls secret is.
func NewRedactor(docs ...api.Document) *Redactor {
	r := &Redactor{methods: map[string]*methodSecrets{}}
	for i := range docs {
		for _, list := range [][]api.DocumentMethod{docs[i].Methods, docs[i].Outgoing} {
			for j := range list {
				r.learn(&docs[i], &list[j])
			}
		}
	}
	return r
}

// Record takes the secrets out of a record, and returns how many there were.
func (r *Redactor) Record(rec *Record) (hidden int) { return r.Beginning(rec, 0) }

// Beginning is Record for those who show no more than the first limit bytes of each value: at least so much of it stays,
// and it may end anywhere after that. Of secrets behind that nothing is told.
func (r *Redactor) Beginning(rec *Record, limit int) (hidden int) {
	m := r.methods[rec.Method]
	if m == nil {
		m = &methodSecrets{}
	}
	for _, x := range []struct {
		raw     *json.RawMessage
		secrets parts
	}{{&rec.Params, m.params}, {&rec.Result, m.result}, {&rec.Data, nil}} {
		n := 0
		*x.raw, n = redact(*x.raw, x.secrets, limit)
		hidden += n
	}
	return hidden
}

// errEnough ends the reading of a value of which no more is shown.
var errEnough = errors.New("enough")

// redact returns a JSON text without its secrets, and how many those were. limit 0: there is none.
func redact(raw json.RawMessage, secrets parts, limit int) (json.RawMessage, int) {
	if len(raw) == 0 {
		return raw, 0
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	r := redaction{raw: raw, d: d, limit: limit}
	err := r.value(secrets, false)
	if errors.Is(err, errEnough) {
		return append(r.out, raw[r.at:d.InputOffset()]...), r.hidden
	}
	if err == nil {
		_, err = d.ReadToken() // what follows a value is not looked at, and so must not be
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Appendf(nil, `"%s %d bytes that are no JSON"`, Redacted, len(raw)), 1
	}
	if r.hidden == 0 {
		return raw, 0
	}
	return append(r.out, raw[r.at:]...), r.hidden
}

// redaction copies a text and leaves values out.
type redaction struct {
	raw    []byte
	d      *jsontext.Decoder
	out    []byte
	at     int // up to here raw was copied
	hidden int
	limit  int
}

// value copies the next value, which stands under a secret name or not.
func (r *redaction) value(secrets parts, named bool) error {
	kind := r.d.PeekKind()
	if secrets.hide() || named && kind != 'n' && kind != 't' && kind != 'f' {
		v, err := r.d.ReadValue()
		if err != nil {
			return unexpected(err)
		}
		end := int(r.d.InputOffset())
		r.out = append(append(r.out, r.raw[r.at:end-len(v)]...), redactedValue...)
		r.at, r.hidden = end, r.hidden+1
		return nil
	}
	if kind != '{' && kind != '[' {
		return unexpected(r.d.SkipValue())
	}
	if _, err := r.d.ReadToken(); err != nil {
		return unexpected(err)
	}
	for i := 0; ; i++ {
		if r.limit > 0 && len(r.out)+int(r.d.InputOffset())-r.at > r.limit {
			return errEnough
		}
		switch r.d.PeekKind() {
		case '}', ']':
			_, err := r.d.ReadToken()
			return unexpected(err)
		}
		if kind == '[' {
			if err := r.value(secrets.item(i), false); err != nil {
				return err
			}
			continue
		}
		name, err := r.d.ReadToken()
		if err != nil {
			return unexpected(err)
		}
		text := name.String()
		var below parts
		if secrets != nil {
			below = secrets.member(strings.Clone(text)) // so that text need not be kept where there is none
		}
		if err := r.value(below, secretName(text)); err != nil {
			return err
		}
	}
}

// unexpected makes of the end of a text within a value another error than that of its end behind it.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
