package codec

import "bytes"

// Detect decides the framing from the first bytes of a stream, protocol section 2, which the caller has found to be
// neither TLS nor HTTP (see Sniff). skip is how many of the bytes belong to no frame. A nil framing asks for more
// bytes. No JSON is parsed.
//
// "Content-" in any case, at the very first byte, is lsp. In anything else NUL, LF, CR, space, tab and one byte order
// mark are skipped, and then the first NUL or LF decides: NUL is NUL framing; LF is LF framing, except that a first
// line holding only { or [ and white space is pretty-printed JSON, which is NUL framing.
func Detect(data []byte) (framing Framing, skip int) {
	var d detector
	return d.detect(data)
}

// detector is Detect for a stream that arrives in pieces. What it says to skip must be gone from the next data.
type detector struct {
	began  bool // the very first bytes are no header
	marked bool // a byte order mark was skipped
	from   int  // data before it holds no delimiter
}

var bom = []byte("\xef\xbb\xbf")

func (d *detector) detect(data []byte) (framing Framing, skip int) {
	if !d.began {
		const header = "content-"
		if n := min(len(data), len(header)); bytes.EqualFold(data[:n], []byte(header[:n])) {
			if n < len(header) {
				return nil, 0
			}
			return LSP, 0
		}
		d.began = true
	}
	if d.from == 0 {
		skip = d.leading(data)
	}
	rest := data[skip:]
	i := byLine.index(rest[d.from:])
	if i < 0 {
		d.from = len(rest)
		if d.from < len(bom) && !d.marked {
			d.from = 0 // it may be the beginning of a byte order mark
		}
		return nil, skip
	}
	i += d.from
	line := bytes.Trim(rest[:i], " \t\r")
	if rest[i] == 0 || string(line) == "{" || string(line) == "[" {
		return NUL, skip
	}
	return LF, skip
}

// leading returns how many bytes of white space, empty frames and one byte order mark stand at the beginning. A part
// of a byte order mark counts as nothing yet.
func (d *detector) leading(data []byte) int {
	for n := 0; n < len(data); {
		switch c := data[n]; {
		case c == 0 || c == '\n' || c == '\r' || c == ' ' || c == '\t':
			n++
		case !d.marked && bytes.HasPrefix(data[n:], bom):
			d.marked = true
			n += len(bom)
		default:
			return n
		}
	}
	return len(data)
}
