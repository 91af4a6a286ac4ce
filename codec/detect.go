package codec

import "bytes"

// Detect decides the framing from the first bytes of a stream, which the caller has found to be neither TLS nor HTTP
// (see Sniff). skip is how many of the bytes belong to no frame. A nil framing asks for more bytes. No JSON is parsed.
//
// "Content-" in any case is lsp. In anything else the first NUL or LF decides: NUL is NUL framing; LF is LF framing,
// except that a first line holding only { or [ and white space is pretty-printed JSON, which is NUL framing.
func Detect(data []byte) (framing Framing, skip int) {
	const header = "content-"
	if n := min(len(data), len(header)); bytes.EqualFold(data[:n], []byte(header[:n])) {
		if n < len(header) {
			return nil, 0
		}
		return LSP, 0
	}
	skip = leading(data)
	rest := data[skip:]
	for i, c := range rest {
		switch c {
		case 0:
			return NUL, skip
		case '\n':
			if line := bytes.TrimSpace(rest[:i]); string(line) == "{" || string(line) == "[" {
				return NUL, skip
			}
			return LF, skip
		}
	}
	return nil, skip
}

var bom = []byte("\xef\xbb\xbf")

// leading returns how many bytes of white space, empty frames and one byte order mark stand at the beginning. A part
// of a byte order mark counts as nothing yet.
func leading(data []byte) int {
	n := 0
	for marked := false; n < len(data); {
		switch c := data[n]; {
		case c == 0 || c == '\n' || c == '\r' || c == ' ' || c == '\t':
			n++
		case !marked && bytes.HasPrefix(data[n:], bom):
			marked = true
			n += len(bom)
		default:
			return n
		}
	}
	return n
}

// Protocol is what a connection speaks, as far as its first bytes tell.
type Protocol uint8

// The protocols that share a port.
const (
	Undecided Protocol = iota // more bytes are needed
	TLS                       // a TLS record
	HTTP                      // an HTTP/1.1 request
	Frames                    // JSON-RPC frames in a framing that Detect tells
)

var httpMethods = []string{"GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE ", "OPTIONS ", "CONNECT ", "TRACE ", "PRI "}

// Sniff decides the protocol from the first bytes of a connection; nine bytes always suffice.
func Sniff(data []byte) Protocol {
	if len(data) == 0 {
		return Undecided
	}
	if data[0] == 0x16 {
		return TLS
	}
	for _, m := range httpMethods {
		n := min(len(data), len(m))
		if string(data[:n]) == m[:n] {
			if n == len(m) {
				return HTTP
			}
			return Undecided
		}
	}
	return Frames
}
