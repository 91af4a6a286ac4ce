package codec

import "bytes"

// Terse is quickrpc's notation for a person at a terminal, protocol section 2, one message a line:
//
//	method key:value key:value        a notification; /id behind the method makes it a request
//	method/7 [value value]            params by position
//	[7]:value                         the response
//	[7]! code:-32601 message:"…"      the error
//
// Values are JSON's numbers, strings, true, false and null; 'base64' for binary (see Bytes); [v v] and {k:v k:v}. Commas
// count as white space. A method or key that is no plain word (letters, digits and _ . - $) stands in quotation marks.
//
// The Reader translates each line into a JSON-RPC frame, and Append translates back, so all else works on JSON, and
// what went one way and back is equal in value. A line that has no translation is an error that unwraps to ErrSyntax
// and tells the column; an empty line is an empty frame. Batches, meta and members that JSON-RPC 2.0 does not know have
// no form here, nor has rpc.secinfo: a terse port is for people, not for members.
var Terse Framing = terse{}

type terse struct{}

func (terse) Name() string { return "terse" }

func (terse) Cut(data []byte, from int) (text []byte, n, next int, err error) {
	i := bytes.IndexByte(data[from:], '\n')
	if i < 0 {
		return nil, 0, len(data), nil
	}
	end := from + i + 1
	line := bytes.Trim(data[:end], " \t\r\n")
	if len(line) == 0 {
		return nil, end, 0, nil
	}
	text, err = terseToJSON(line)
	return text, end, 0, err
}

func (terse) Skip(_ *SkipState, data []byte) (int, bool) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, true
	}
	return len(data), false
}

// Append translates a frame into a line. One that has no form here becomes an error line, so that the person sees that
// something came.
func (terse) Append(dst, frame []byte) []byte {
	var m Message
	if m.Parse(frame) != nil {
		return append(dst, "[null]! code:-32603 message:\"the message has no terse form\"\n"...)
	}
	switch m.Kind {
	case Response:
		dst = append(append(append(dst, '['), m.ID...), "]:"...)
		dst, _ = appendTerse(dst, m.Result, 0)
	case ErrorReply:
		dst = append(append(append(dst, '['), m.ID...), "]! "...)
		if m.Error[0] == '{' {
			dst, _ = appendTersePairs(dst, m.Error, 0)
			break
		}
		dst = append(dst, "message:"...) // it breaks section 5.1, and is shown all the same
		dst, _ = appendTerse(dst, m.Error, 0)
	default:
		dst = appendTerseName(dst, m.Method)
		if m.Kind == Request {
			dst = append(append(dst, '/'), m.ID...)
		}
		switch {
		case m.Params == nil:
		case m.Params[0] == '{' && m.Params[space(m.Params, 1)] != '}':
			dst, _ = appendTersePairs(append(dst, ' '), m.Params, 0)
		default:
			dst, _ = appendTerse(append(dst, ' '), m.Params, 0)
		}
	}
	return append(dst, '\n')
}

// isWord reports the characters that need no quotation marks in a method or key.
func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c) || c == '_' || c == '.' || c == '-' || c == '$'
}

func appendTerseName(dst, name []byte) []byte {
	for _, c := range name {
		if !isWord(c) {
			return appendText(dst, name)
		}
	}
	if len(name) == 0 {
		return append(dst, `""`...)
	}
	return append(dst, name...)
}

// appendTerse appends the value at b[i], which is valid JSON, and returns the offset behind it. It reads each byte
// once, however deep the value is.
func appendTerse(dst, b []byte, i int) ([]byte, int) {
	switch b[i] {
	case '{':
		if content, end := bytesObject(b, i); end > 0 {
			return append(append(append(dst, '\''), content...), '\''), end
		}
		dst, i = appendTersePairs(append(dst, '{'), b, i)
		return append(dst, '}'), i
	case '[':
		dst = append(dst, '[')
		for i = space(b, i+1); b[i] != ']'; {
			if dst[len(dst)-1] != '[' {
				dst = append(dst, ' ')
			}
			dst, i = appendTerse(dst, b, i)
			if i = space(b, i); b[i] == ',' {
				i = space(b, i+1)
			}
		}
		return append(dst, ']'), i + 1
	}
	end := scanValue(b, i, 0)
	return append(dst, b[i:end]...), end
}

// appendTersePairs appends the members of the object at b[i], which is valid JSON, and returns the offset behind it.
func appendTersePairs(dst, b []byte, i int) ([]byte, int) {
	first := true
	for i = space(b, i+1); b[i] != '}'; first = false {
		if !first {
			dst = append(dst, ' ')
		}
		end := scanString(b, i)
		dst = append(appendTerseName(dst, text(b[i:end])), ':')
		i = space(b, end)
		dst, i = appendTerse(dst, b, space(b, i+1))
		if i = space(b, i); b[i] == ',' {
			i = space(b, i+1)
		}
	}
	return dst, i + 1
}
