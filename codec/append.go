package codec

import (
	"strconv"
	"unicode/utf8"

	"peermesh/api"
)

// The encoders append a message as compact JSON to dst, without a delimiter, and return the extended slice as append
// does. Raw parts (ids, params, results, meta) must be JSON in UTF-8 already and are not looked at again; the levels
// that they nest count towards the receiver's MaxDepth. An empty part is left out. With room in dst nothing is
// allocated.

// AppendRequest appends a request. Params are an object or array, meta an object.
func AppendRequest(dst []byte, id uint64, method string, params, meta []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	return appendCall(dst, method, params, meta)
}

// AppendNotification appends a notification. Params are an object or array, meta an object.
func AppendNotification(dst []byte, method string, params, meta []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0"`...)
	return appendCall(dst, method, params, meta)
}

func appendCall(dst []byte, method string, params, meta []byte) []byte {
	dst = append(dst, `,"method":`...)
	dst = AppendString(dst, method)
	if len(params) > 0 {
		dst = append(append(dst, `,"params":`...), params...)
	}
	return appendMeta(dst, meta)
}

// AppendResult appends a response with a result; an empty one is written as null: "this member is REQUIRED on success".
// A nil id is written as null.
func AppendResult(dst, id, result, meta []byte) []byte {
	dst = appendReply(dst, id)
	dst = append(dst, `,"result":`...)
	if len(result) == 0 {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, result...)
	}
	return appendMeta(dst, meta)
}

// AppendError appends an error response. A nil id is written as null: "if there was an error in detecting the id in the
// Request object (e.g. Parse error/Invalid Request), it MUST be Null". Data that is no JSON, or would nest the message
// too deep, is left out.
func AppendError(dst, id []byte, e *api.Error, meta []byte) []byte {
	dst = appendReply(dst, id)
	dst = append(dst, `,"error":{"code":`...)
	dst = strconv.AppendInt(dst, int64(e.Code), 10)
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, e.Message)
	if len(e.Data) > 0 && valid(e.Data, 2) {
		dst = append(append(dst, `,"data":`...), e.Data...)
	}
	return appendMeta(append(dst, '}'), meta)
}

func appendReply(dst, id []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	if id == nil {
		return append(dst, "null"...)
	}
	return append(dst, id...)
}

func appendMeta(dst, meta []byte) []byte {
	if len(meta) > 0 {
		dst = append(append(dst, `,"meta":`...), meta...)
	}
	return append(dst, '}')
}

// AppendString appends s as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte { return appendText(dst, s) }

func appendText[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0 // s before it is written
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			// A string of one character does not leave the stack.
			r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// appendEscape appends what stands for a byte that may not stand for itself.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	if c >= utf8.RuneSelf {
		return utf8.AppendRune(dst, utf8.RuneError)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
