package codec

import (
	"encoding/base64"
	"encoding/json"
	"errors"
)

// Bytes is binary data in quickrpc's form, {"__bytes":"<base64>"}. Use it in params and results that are exchanged with
// quickrpc programs; a plain []byte is a base64 string, as its schema says. Only an object whose single member is
// __bytes is binary, so a map that happens to hold the name among others stays a map.
type Bytes []byte

// MarshalJSON writes the object form.
func (b Bytes) MarshalJSON() ([]byte, error) {
	out := append([]byte(nil), `{"__bytes":"`...)
	out = base64.StdEncoding.AppendEncode(out, b)
	return append(out, `"}`...), nil
}

// UnmarshalJSON reads the object form; anything else is an error.
func (b *Bytes) UnmarshalJSON(raw []byte) error {
	data, ok := decodeBytes(raw)
	if !ok {
		return errors.New(`codec: want {"__bytes":"<base64>"}`)
	}
	*b = data
	return nil
}

// decodeBytes returns the binary data of an object with the single member __bytes.
func decodeBytes(raw []byte) ([]byte, bool) {
	var content []byte
	count := 0
	for name, value := range members(raw) {
		if count++; count == 1 && string(name) == "__bytes" && value[0] == '"' {
			content = value
		}
	}
	if count != 1 || content == nil {
		return nil, false
	}
	var s string
	if json.Unmarshal(content, &s) != nil {
		return nil, false
	}
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	return data, err == nil
}
