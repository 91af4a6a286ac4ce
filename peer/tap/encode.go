package tap

import (
	"strconv"

	"peermesh/codec"
)

// AppendJSON appends s as package encoding/json writes it, and is several times as fast: a peer that is watched writes
// thousands in a second. Its raw members must be JSON.
func (s *Sighting) AppendJSON(dst []byte) []byte {
	dst = strconv.AppendUint(append(dst, `{"n":`...), s.N, 10)
	dst = codec.AppendString(append(dst, `,"what":`...), s.What)
	dst = strconv.AppendInt(append(dst, `,"t":`...), s.T, 10)
	dst = appendText(dst, "peer", s.Peer)
	dst = appendText(dst, "sid", s.Session)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), s.Seq, 10)
	dst = appendInt(dst, "index", int64(s.Index))
	if s.Group != 0 {
		dst = strconv.AppendUint(append(dst, `,"group":`...), s.Group, 10)
	}
	if s.Again != 0 {
		dst = strconv.AppendUint(append(dst, `,"again":`...), s.Again, 10)
	}
	dst = appendText(dst, "kind", s.Kind)
	dst = appendText(dst, "method", s.Method)
	dst = appendRaw(dst, "id", s.ID)
	dst = appendInt(dst, "bytes", int64(s.Bytes))
	dst = appendInt(dst, "code", int64(s.Code))
	dst = appendText(dst, "message", s.Message)
	dst = appendText(dst, "reason", s.Reason)
	dst = appendInt(dst, "queued_us", s.Queued)
	dst = appendInt(dst, "start", s.Start)
	dst = appendInt(dst, "ran_us", s.Ran)
	dst = appendRaw(dst, "params", s.Params)
	dst = appendRaw(dst, "result", s.Result)
	dst = appendRaw(dst, "data", s.Data)
	if s.Cut {
		dst = append(dst, `,"cut":true`...)
	}
	dst = appendText(dst, "via", s.Via)
	dst = appendText(dst, "alg", s.Alg)
	if s.Sealed {
		dst = append(dst, `,"sealed":true`...)
	}
	dst = appendText(dst, "address", s.Address)
	if s.APIs != nil {
		dst = append(dst, `,"apis":[`...)
		for i, a := range s.APIs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = codec.AppendString(dst, a)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendName(dst []byte, name string) []byte {
	return append(append(append(dst, `,"`...), name...), `":`...)
}

func appendText(dst []byte, name, v string) []byte {
	if v == "" {
		return dst
	}
	return codec.AppendString(appendName(dst, name), v)
}

func appendInt(dst []byte, name string, v int64) []byte {
	if v == 0 {
		return dst
	}
	return strconv.AppendInt(appendName(dst, name), v, 10)
}

func appendRaw(dst []byte, name string, v []byte) []byte {
	if v == nil {
		return dst
	}
	return append(appendName(dst, name), v...)
}
