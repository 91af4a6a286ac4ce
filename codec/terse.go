package codec

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

// Terse is quickrpc's notation for a person at a terminal, one message a line:
//
//	method key:value key:value        a notification; /id behind the method makes it a request
//	method/7 [value value]            params by position
//	[7]:value                         the response
//	[7]! code:-32601 message:"…"      the error
//
// Values are JSON's numbers, strings, true, false and null; 'base64' for binary; [v v] and {k:v k:v}. Commas count as
// white space. A key, or a method, that is no plain word stands in quotation marks. The reader translates each line
// into a JSON-RPC frame and Append translates back, so all else works on JSON. Batches and meta have no form here.
// There is no secinfo either: a terse port is for people, not for members.
var Terse Framing = terse{}

type terse struct{}

func (terse) Name() string { return "terse" }

func (terse) Cut(data []byte, from int) (Frame, int, int, error) {
	i := bytes.IndexByte(data[from:], '\n')
	if i < 0 {
		return Frame{}, 0, len(data), nil
	}
	end := from + i + 1
	line := bytes.TrimSpace(data[:end])
	if len(line) == 0 {
		return Frame{}, end, 0, nil
	}
	text, err := terseToJSON(line)
	return Frame{Text: text, Err: err}, end, 0, nil
}

func (terse) Skip(_ *SkipState, data []byte) (int, bool) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, true
	}
	return len(data), false
}

// terseParser reads one line and writes JSON as it goes.
type terseParser struct {
	in  []byte
	i   int
	out []byte
}

// terseToJSON translates a line. The error unwraps to ErrSyntax and tells the column.
func terseToJSON(line []byte) ([]byte, error) {
	p := &terseParser{in: line, out: make([]byte, 0, 2*len(line)+32)}
	p.out = append(p.out, `{"jsonrpc":"2.0"`...)
	ok := false
	if line[0] == '[' {
		ok = p.reply()
	} else {
		ok = p.call()
	}
	if p.space(); !ok || p.i != len(p.in) {
		return nil, fmt.Errorf("%w: column %d of the line", ErrSyntax, p.i+1)
	}
	return append(p.out, '}'), nil
}

func (p *terseParser) space() {
	for p.i < len(p.in) && (p.in[p.i] == ' ' || p.in[p.i] == '\t' || p.in[p.i] == ',') {
		p.i++
	}
}

func (p *terseParser) at(c byte) bool { return p.i < len(p.in) && p.in[p.i] == c }

func (p *terseParser) take(c byte) bool {
	if !p.at(c) {
		return false
	}
	p.i++
	return true
}

func (p *terseParser) write(s string) { p.out = append(p.out, s...) }

// call reads a request or notification.
func (p *terseParser) call() bool {
	p.write(`,"method":`)
	if !p.name() {
		return false
	}
	if p.take('/') {
		p.write(`,"id":`)
		if !p.id() {
			return false
		}
	}
	if p.space(); p.i == len(p.in) {
		return true
	}
	p.write(`,"params":`)
	if p.at('[') || p.at('{') {
		return p.value(1)
	}
	p.write("{")
	if !p.pairs(1) {
		return false
	}
	p.write("}")
	return true
}

// reply reads a response or error.
func (p *terseParser) reply() bool {
	p.i++
	p.write(`,"id":`)
	if !p.id() || !p.take(']') {
		return false
	}
	if p.take(':') {
		p.write(`,"result":`)
		p.space()
		return p.value(1)
	}
	if !p.take('!') {
		return false
	}
	p.write(`,"error":{`)
	if p.space(); !p.pairs(2) {
		return false
	}
	p.write("}")
	return true
}

func (p *terseParser) id() bool {
	return p.i < len(p.in) && validID(p.in[p.i:]) && p.literal()
}

// literal copies a JSON string, number or word.
func (p *terseParser) literal() bool {
	end := scanValue(p.in, p.i, MaxDepth)
	if end < 0 {
		return false
	}
	p.out = append(p.out, p.in[p.i:end]...)
	p.i = end
	return true
}

// name copies a word or a quoted string, as a JSON string.
func (p *terseParser) name() bool {
	if p.at('"') {
		return p.literal()
	}
	start := p.i
	for p.i < len(p.in) && isWord(p.in[p.i]) {
		p.i++
	}
	p.out = append(p.out, '"')
	p.out = append(p.out, p.in[start:p.i]...)
	p.out = append(p.out, '"')
	return p.i > start
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c) || c == '_' || c == '.' || c == '-' || c == '$'
}

// pairs reads key:value pairs up to a closing brace or the end.
func (p *terseParser) pairs(depth int) bool {
	for first := true; p.i < len(p.in) && !p.at('}'); first = false {
		if !first {
			p.write(",")
		}
		if !p.name() {
			return false
		}
		if !p.take(':') {
			return false
		}
		p.write(":")
		if p.space(); !p.value(depth) {
			return false
		}
		before := p.i
		if p.space(); p.i == before && p.i < len(p.in) && !p.at('}') {
			return false // values are separated
		}
	}
	return true
}

func (p *terseParser) value(depth int) bool {
	switch {
	case p.i >= len(p.in):
		return false
	case p.at('\''):
		return p.binary()
	case p.at('{'):
		p.i++
		p.write("{")
		p.space()
		if depth >= MaxDepth || !p.pairs(depth+1) || !p.take('}') {
			return false
		}
		p.write("}")
		return true
	case p.at('['):
		return depth < MaxDepth && p.array(depth+1)
	}
	return p.literal()
}

func (p *terseParser) array(depth int) bool {
	p.i++
	p.write("[")
	p.space()
	for first := true; !p.at(']'); first = false {
		if !first {
			p.write(",")
		}
		if !p.value(depth) {
			return false
		}
		before := p.i
		if p.space(); p.i == before && !p.at(']') {
			return false
		}
	}
	p.i++
	p.write("]")
	return true
}

func (p *terseParser) binary() bool {
	p.i++
	end := bytes.IndexByte(p.in[p.i:], '\'')
	if end < 0 {
		return false
	}
	content := p.in[p.i : p.i+end]
	if _, err := base64.StdEncoding.Strict().DecodeString(string(content)); err != nil {
		return false
	}
	p.write(`{"__bytes":"`)
	p.out = append(p.out, content...)
	p.write(`"}`)
	p.i += end + 1
	return true
}

// Append translates a frame into a line. What has no form here, such as a batch, becomes an error line.
func (terse) Append(dst, frame []byte) []byte {
	var m Message
	if m.Parse(frame) != nil {
		return append(dst, "[null]! code:-32603 message:\"the message has no terse form\"\n"...)
	}
	switch m.Kind {
	case Response:
		dst = append(append(append(dst, '['), m.ID...), "]:"...)
		dst = appendTerse(dst, m.Result)
	case ErrorReply:
		dst = append(append(append(dst, '['), m.ID...), "]!"...)
		if m.Error[0] != '{' {
			dst = append(dst, " message:"...)
			dst = appendTerse(dst, m.Error)
			break
		}
		dst = appendPairs(append(dst, ' '), m.Error)
	default:
		dst = appendName(dst, m.Method)
		if m.Kind == Request {
			dst = append(append(dst, '/'), m.ID...)
		}
		switch {
		case len(m.Params) == 0:
		case m.Params[0] == '{' && len(bytes.TrimSpace(m.Params[1:])) > 1:
			dst = appendPairs(append(dst, ' '), m.Params)
		default:
			dst = appendTerse(append(dst, ' '), m.Params)
		}
	}
	return append(dst, '\n')
}

func appendName(dst, name []byte) []byte {
	for _, c := range name {
		if !isWord(c) {
			return AppendString(dst, string(name))
		}
	}
	if len(name) == 0 {
		return append(dst, `""`...)
	}
	return append(dst, name...)
}

func appendPairs(dst, object []byte) []byte {
	first := true
	for name, value := range members(object) {
		if !first {
			dst = append(dst, ' ')
		}
		first = false
		dst = appendTerse(append(appendName(dst, name), ':'), value)
	}
	return dst
}

func appendTerse(dst, value []byte) []byte {
	switch value[0] {
	case '{':
		if data, ok := decodeBytes(value); ok {
			dst = base64.StdEncoding.AppendEncode(append(dst, '\''), data)
			return append(dst, '\'')
		}
		return append(appendPairs(append(dst, '{'), value), '}')
	case '[':
		dst = append(dst, '[')
		first := true
		for element := range elements(value) {
			if !first {
				dst = append(dst, ' ')
			}
			first = false
			dst = appendTerse(dst, element)
		}
		return append(dst, ']')
	}
	return append(dst, value...)
}

// elements yields the elements of an array that is known to be valid.
func elements(b []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := space(b, 1); i < len(b) && b[i] != ']'; {
			start := i
			if i = scanValue(b, start, 1); i < 0 || !yield(b[start:i]) {
				return
			}
			if i = space(b, i); i >= len(b) || b[i] != ',' {
				return
			}
			i = space(b, i+1)
		}
	}
}
