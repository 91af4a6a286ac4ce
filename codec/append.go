package codec

import (
	"encoding/json"
	"strconv"

	"peermesh/api"
)

// The encoders append a message as compact JSON to dst. Raw parts (ids, params, results, meta) are JSON already and
// are not looked at again; an empty part is left out.

// AppendRequest appends a request.
func AppendRequest(dst []byte, id uint64, method string, params, meta []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	return appendCall(dst, method, params, meta)
}

// AppendNotification appends a notification.
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

// AppendResult appends a response with a result; an empty result is null.
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

// AppendError appends an error response. A nil id is written as null.
func AppendError(dst, id []byte, e *api.Error, meta []byte) []byte {
	dst = appendReply(dst, id)
	dst = append(dst, `,"error":{"code":`...)
	dst = strconv.AppendInt(dst, int64(e.Code), 10)
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, e.Message)
	if len(e.Data) > 0 && Valid(e.Data) {
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

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			raw, _ := json.Marshal(s) // a string always marshals
			return append(dst, raw...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
