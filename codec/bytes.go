package codec

import (
	"bytes"
	"encoding/base64"
	"errors"
)

// Bytes is binary data in quickrpc's form, {"__bytes":"<base64>"}, protocol section 1. Use it in params and results
// that are exchanged with quickrpc programs; a plain []byte is a base64 string, as its schema says. Only an object
// whose single member is __bytes is binary, so a map that happens to hold the name among others stays a map.
type Bytes []byte

const bytesName = `"__bytes"`

// MarshalJSON writes the object form, of nil as of empty data.
func (b Bytes) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, len(`{:""}`)+len(bytesName)+base64.StdEncoding.EncodedLen(len(b)))
	out = append(append(append(out, '{'), bytesName...), `:"`...)
	out = base64.StdEncoding.AppendEncode(out, b)
	return append(out, `"}`...), nil
}

// UnmarshalJSON reads the object form into new memory. Standard base64 with padding is wanted, and no escapes; null
// makes b nil; anything else is an error and leaves b as it was.
func (b *Bytes) UnmarshalJSON(raw []byte) error {
	raw = bytes.Trim(raw, " \t\r\n")
	if string(raw) == "null" {
		*b = nil
		return nil
	}
	content, end := bytesObject(raw, 0)
	if end == 0 || end != len(raw) {
		return errors.New(`codec: want {"__bytes":"<base64>"}`)
	}
	data, _ := base64.StdEncoding.Strict().DecodeString(string(content)) // bytesObject has tried it
	*b = data
	return nil
}

// bytesObject returns the base64 of the object at b[i] and the offset behind the object, which is 0 when it is not
// binary data.
func bytesObject(b []byte, i int) (content []byte, end int) {
	if i >= len(b) || b[i] != '{' {
		return nil, 0
	}
	i = space(b, i+1)
	if !bytes.HasPrefix(b[min(i, len(b)):], []byte(bytesName)) {
		return nil, 0
	}
	i = space(b, i+len(bytesName))
	if i >= len(b) || b[i] != ':' {
		return nil, 0
	}
	i = space(b, i+1)
	if i >= len(b) || b[i] != '"' {
		return nil, 0
	}
	i++
	n := bytes.IndexByte(b[i:], '"')
	if n < 0 || !isBase64(b[i:i+n]) {
		return nil, 0
	}
	content = b[i : i+n]
	i = space(b, i+n+1)
	if i >= len(b) || b[i] != '}' {
		return nil, 0
	}
	return content, i + 1
}

// isBase64 reports whether b is standard base64 as an encoder writes it: padded, without line breaks.
func isBase64(b []byte) bool {
	if bytes.IndexByte(b, '\r') >= 0 || bytes.IndexByte(b, '\n') >= 0 {
		return false // the decoder would skip them
	}
	_, err := base64.StdEncoding.Strict().DecodeString(string(b))
	return err == nil
}
