package codec

import (
	"bytes"
	"errors"
)

// MaxSecInfo is the largest secinfo frame.
const MaxSecInfo = 2048

// MethodSecInfo is the method of the frame that carries the security info of the next one.
const MethodSecInfo = "rpc.secinfo"

const secInfoPrefix = `{"jsonrpc":"2.0","method":"rpc.secinfo","params":`

// ErrSecInfo is returned for a frame that wants to be secinfo and breaks the rules of protocol section 3. The link it
// came on is closed.
var ErrSecInfo = errors.New("codec: malformed rpc.secinfo frame")

// ParseSecInfo reports whether a frame is a secinfo frame, and returns its params: an object whose content is the
// security provider's to check. A secinfo frame is at most 2048 bytes and an object with exactly the members jsonrpc,
// method and params; anything else that names the method is ErrSecInfo.
func ParseSecInfo(frame []byte) (params []byte, ok bool, err error) {
	// Our own peers write the members in this order and without spaces; the params' own parser finds what follows a
	// brace that comes too early.
	if len(frame) <= MaxSecInfo && len(frame) > len(secInfoPrefix) && string(frame[:len(secInfoPrefix)]) == secInfoPrefix &&
		frame[len(frame)-1] == '}' {
		return frame[len(secInfoPrefix) : len(frame)-1], true, nil
	}
	if !bytes.Contains(frame[:min(len(frame), MaxSecInfo)], []byte(`"`+MethodSecInfo+`"`)) {
		return nil, false, nil
	}
	var m Message
	if m.Parse(frame) != nil || string(m.Method) != MethodSecInfo {
		return nil, false, nil // it only mentions the name
	}
	count := 0
	for range members(frame) {
		count++
	}
	if len(frame) > MaxSecInfo || count != 3 || m.Kind != Notification || len(m.Params) == 0 || m.Params[0] != '{' ||
		bytes.IndexByte(frame, '\\') >= 0 {
		return nil, true, ErrSecInfo
	}
	return m.Params, true, nil
}

// AppendSecInfo appends the secinfo frame with these params, without a delimiter.
func AppendSecInfo(dst, params []byte) []byte {
	dst = append(dst, secInfoPrefix...)
	return append(append(dst, params...), '}')
}
