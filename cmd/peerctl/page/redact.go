package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// hiddenValue stands for a value that is not shown.
const hiddenValue = `"•••"`

// secretWords make a member's value a secret when its name contains one as a word: api_key, sessionToken, Password2.
var secretWords = map[string]bool{"password": true, "passwd": true, "passphrase": true, "pwd": true, "secret": true, "secrets": true, "token": true,
	"tokens": true, "key": true, "keys": true, "apikey": true, "authorization": true, "credential": true, "credentials": true, "cookie": true, "bearer": true}

// secretName reports whether a member of that name holds a secret.
func secretName(name string) bool {
	start := -1
	var last rune
	for i, r := range name {
		letter := unicode.IsLetter(r)
		if start >= 0 && (!letter || unicode.IsUpper(r) && unicode.IsLower(last)) {
			if secretWords[strings.ToLower(name[start:i])] {
				return true
			}
			start = -1
		}
		if start < 0 && letter {
			start = i
		}
		last = r
	}
	return start >= 0 && secretWords[strings.ToLower(name[start:])]
}

// errEnough ends the reading of a value of which no more is shown.
var errEnough = errors.New("enough")

// redact returns a JSON text without the values that are secrets by their names or by the mask, and how many those
// were. All else stays as it is written. A text that is no JSON is hidden as a whole. Of a text that is longer than limit,
// if there is one, at least so much comes back, and nothing that is not redacted.
func redact(raw json.RawMessage, m *mask, limit int) (json.RawMessage, int) {
	if len(raw) == 0 {
		return raw, 0
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	r := redactor{raw: raw, d: d, limit: limit}
	switch err := r.value(m, false); {
	case errors.Is(err, errEnough):
		return append(r.out, raw[r.at:d.InputOffset()]...), r.hidden
	case err != nil:
		return json.RawMessage(hiddenValue), 1
	case r.hidden == 0:
		return raw, 0
	}
	return append(r.out, raw[r.at:]...), r.hidden
}

// redactor copies a text and leaves values out.
type redactor struct {
	raw    []byte
	d      *jsontext.Decoder
	out    []byte
	at     int // up to here raw was copied
	hidden int
	limit  int
}

func (r *redactor) value(m *mask, named bool) error {
	kind := r.d.PeekKind()
	if (named || m.all()) && kind != 'n' && kind != 't' && kind != 'f' && kind != 0 {
		v, err := r.d.ReadValue()
		if err != nil {
			return err
		}
		end := int(r.d.InputOffset())
		r.out = append(append(r.out, r.raw[r.at:end-len(v)]...), hiddenValue...)
		r.at, r.hidden = end, r.hidden+1
		return nil
	}
	if kind != '{' && kind != '[' {
		return r.d.SkipValue()
	}
	if _, err := r.d.ReadToken(); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if r.limit > 0 && len(r.out)+int(r.d.InputOffset())-r.at > r.limit {
			return errEnough
		}
		switch r.d.PeekKind() {
		case '}', ']':
			_, err := r.d.ReadToken()
			return err
		}
		if kind == '[' {
			if err := r.value(m.item(i), false); err != nil {
				return err
			}
			continue
		}
		name, err := r.d.ReadToken()
		if err != nil {
			return err
		}
		text := name.String()
		if err := r.value(m.member(text), secretName(text)); err != nil {
			return err
		}
	}
}
