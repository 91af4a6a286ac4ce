package codec

import (
	"bytes"
	"errors"
)

// MaxSecInfo is the length of the largest secinfo frame.
const MaxSecInfo = 2048

// MethodSecInfo is the method of the frame that carries the security info of the next one.
const MethodSecInfo = "rpc.secinfo"

const secInfoPrefix = `{"jsonrpc":"2.0","method":"rpc.secinfo","params":`

// ErrSecInfo is returned for a frame that wants to be secinfo and breaks the rules of protocol section 3. The link that
// it came on is closed.
var ErrSecInfo = errors.New("codec: malformed rpc.secinfo frame")

// ParseSecInfo reports whether a frame is a secinfo frame, and returns its params, a range of the frame. A secinfo frame
// is at most MaxSecInfo bytes and an object with exactly the members jsonrpc, method and params, without escapes;
// anything else whose method is rpc.secinfo is ErrSecInfo. A frame that is no JSON, or spells the name with escapes, is
// no secinfo frame.
//
// The params are not read: whoever takes them must want exactly one JSON object, and refuse what follows its last
// brace. Only then is the whole frame one object too.
func ParseSecInfo(frame []byte) (params []byte, ok bool, err error) {
	// Our own peers write the members in this order and without spaces.
	if len(frame) > len(secInfoPrefix) && len(frame) <= MaxSecInfo && string(frame[:len(secInfoPrefix)]) == secInfoPrefix &&
		frame[len(frame)-1] == '}' {
		return frame[len(secInfoPrefix) : len(frame)-1 : len(frame)-1], true, nil
	}
	// A name that stands behind the first 2048 bytes belongs to a frame that is too large anyway; it is no secinfo, and
	// the method is refused where it would be dispatched.
	if !bytes.Contains(frame[:min(len(frame), MaxSecInfo)], []byte(`.secinfo"`)) {
		return nil, false, nil
	}
	i := space(frame, 0)
	var e envelope
	if i >= len(frame) || frame[i] != '{' {
		return nil, false, nil
	}
	if i = e.scan(frame, i); i < 0 || space(frame, i) != len(frame) || e.method == nil || !isText(e.method, MethodSecInfo) {
		return nil, false, nil // it only mentions the name
	}
	var m Message
	if len(frame) > MaxSecInfo || e.fill(&m) != "" || m.Kind != Notification || len(m.Params) == 0 || m.Params[0] != '{' ||
		count(members(frame)) != 3 || bytes.IndexByte(frame, '\\') >= 0 {
		return nil, true, ErrSecInfo
	}
	return m.Params, true, nil
}

// StartsSecInfo reports whether a frame begins as AppendSecInfo writes it. It is cheaper than ParseSecInfo, for frames in
// which another spelling is noticed anyway: those whose signature is checked next.
func StartsSecInfo(frame []byte) bool { return bytes.HasPrefix(frame, []byte(secInfoPrefix)) }

// count returns the number of members.
func count(members func(yield func(name, value []byte) bool)) int {
	n := 0
	for range members {
		n++
	}
	return n
}

// AppendSecInfo appends the secinfo frame with these params, a JSON object, without a delimiter.
func AppendSecInfo(dst, params []byte) []byte {
	dst = append(dst, secInfoPrefix...)
	return append(append(dst, params...), '}')
}
