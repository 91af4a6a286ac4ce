package codec

import (
	"bytes"
	"strconv"

	"peermesh/api"
)

// DecodeError reads the error member of an error response, which Parse has found. It always returns an error, so that a
// call ends with it: of one that is no error object in the sense of JSON-RPC 2.0, section 5.1 (a string, no code, a
// code that is no integer), the code is api.CodeInternal and the data is what the peer sent. Nothing of the result
// refers to raw.
func DecodeError(raw []byte) *api.Error {
	var code, message, data []byte
	for name, value := range members(raw) {
		switch string(name) {
		case "code":
			code = value
		case "message":
			message = value
		case "data":
			data = value
		}
	}
	// "code: A Number that indicates the error type that occurred. This MUST be an integer."
	n, err := strconv.Atoi(string(code))
	if err != nil || len(message) == 0 || message[0] != '"' {
		e := &api.Error{Code: api.CodeInternal, Message: "the peer sent a malformed error object"}
		if Valid(raw) {
			e.Data = bytes.Clone(raw)
		}
		return e
	}
	return &api.Error{Code: n, Message: string(text(message)), Data: bytes.Clone(data)}
}
