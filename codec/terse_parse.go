package codec

import (
	"bytes"
	"fmt"
)

// terseParser reads one line and writes JSON as it goes.
type terseParser struct {
	in  []byte
	i   int
	out []byte
}

// terseToJSON translates a line, which is not empty. The error unwraps to ErrSyntax and tells the column.
func terseToJSON(line []byte) ([]byte, error) {
	p := &terseParser{in: line, out: make([]byte, 0, 2*len(line)+32)}
	p.out = append(p.out, `{"jsonrpc":"2.0"`...)
	ok := false
	if p.at('[') {
		ok = p.reply()
	} else {
		ok = p.call()
	}
	if p.space(); !ok || p.i != len(p.in) {
		return nil, fmt.Errorf("%w: column %d of the line", ErrSyntax, p.i+1)
	}
	return append(p.out, '}'), nil
}

// space skips what separates values, and reports whether there was any. The end of the line separates too.
func (p *terseParser) space() bool {
	start := p.i
	for p.i < len(p.in) && (p.in[p.i] == ' ' || p.in[p.i] == '\t' || p.in[p.i] == ',') {
		p.i++
	}
	return p.i > start || p.i == len(p.in)
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
	if !p.space() {
		return false
	}
	if p.i == len(p.in) {
		return true
	}
	p.write(`,"params":`)
	if p.at('[') || p.at('{') {
		return p.value(1)
	}
	return p.object(1)
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
	p.write(`,"error":`)
	p.space()
	return p.object(1)
}

func (p *terseParser) id() bool {
	return p.i < len(p.in) && validID(p.in[p.i:]) && p.literal()
}

// literal copies a JSON string, number or word. What else there is, is a container, and too deep.
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

// value reads a value within depth containers.
func (p *terseParser) value(depth int) bool {
	switch {
	case p.take('\''):
		return depth < MaxDepth && p.binary()
	case p.take('{'):
		p.space()
		return depth < MaxDepth && p.object(depth) && p.take('}')
	case p.take('['):
		p.space()
		return depth < MaxDepth && p.array(depth+1)
	}
	return p.literal()
}

// object reads key:value pairs up to a closing brace or the end of the line.
func (p *terseParser) object(depth int) bool {
	p.write("{")
	for first := true; p.i < len(p.in) && !p.at('}'); first = false {
		if !first {
			p.write(",")
		}
		if !p.name() || !p.take(':') {
			return false
		}
		p.write(":")
		p.space()
		if !p.value(depth+1) || !p.space() && !p.at('}') {
			return false
		}
	}
	p.write("}")
	return true
}

// array reads values up to the closing bracket.
func (p *terseParser) array(depth int) bool {
	p.write("[")
	for first := true; !p.at(']'); first = false {
		if !first {
			p.write(",")
		}
		if !p.value(depth) || !p.space() && !p.at(']') {
			return false
		}
	}
	p.i++
	p.write("]")
	return true
}

// binary reads base64 up to the closing apostrophe.
func (p *terseParser) binary() bool {
	end := bytes.IndexByte(p.in[p.i:], '\'')
	if end < 0 || !isBase64(p.in[p.i:p.i+end]) {
		return false
	}
	p.write(`{"__bytes":"`)
	p.out = append(p.out, p.in[p.i:p.i+end]...)
	p.write(`"}`)
	p.i += end + 1
	return true
}
