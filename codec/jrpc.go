package codec

import "bytes"

// The framings that end each frame with a delimiter. A frame ends there and never at a brace.
var (
	NUL Framing = delimited{name: "jrpc", delim: 0}
	WS  Framing = delimited{name: "ws", delim: 0}
	// LF ends frames at a line break, and at NUL too. On the way out line breaks between the values of a frame, which
	// raw params may hold, are dropped.
	LF Framing = delimited{name: "jrpc:lf", delim: '\n'}
)

type delimited struct {
	name  string
	delim byte
}

func (d delimited) Name() string { return d.name }

func (d delimited) index(data []byte) int {
	if d.delim == 0 {
		return bytes.IndexByte(data, 0)
	}
	i := bytes.IndexByte(data, d.delim)
	if i < 0 {
		return bytes.IndexByte(data, 0)
	}
	if j := bytes.IndexByte(data[:i], 0); j >= 0 {
		return j
	}
	return i
}

func (d delimited) Cut(data []byte, from int) (Frame, int, int, error) {
	i := d.index(data[from:])
	if i < 0 {
		return Frame{}, 0, len(data), nil
	}
	text := data[: from+i : from+i]
	if d.delim == '\n' && len(bytes.TrimRight(text, "\r \t")) == 0 {
		text = text[:0] // an empty line, typed or sent with CR LF, is a keep-alive
	}
	return Frame{Text: text}, from + i + 1, 0, nil
}

func (d delimited) Skip(_ *SkipState, data []byte) (int, bool) {
	if i := d.index(data); i >= 0 {
		return i + 1, true
	}
	return len(data), false
}

func (d delimited) Append(dst, frame []byte) []byte {
	return append(append(dst, frame...), d.delim)
}

// Compact returns frame without line breaks, as LF framing needs it before the frame is signed. It returns frame
// itself when there are none.
func Compact(frame []byte) []byte {
	if bytes.IndexByte(frame, '\n') < 0 && bytes.IndexByte(frame, '\r') < 0 {
		return frame
	}
	out := make([]byte, 0, len(frame))
	inString := false
	for i := 0; i < len(frame); i++ {
		switch c := frame[i]; {
		case c == '"':
			inString = !inString
		case c == '\\' && inString && i+1 < len(frame):
			out = append(out, c)
			i++
		case (c == '\n' || c == '\r') && !inString:
			continue
		}
		out = append(out, frame[i])
	}
	return out
}
