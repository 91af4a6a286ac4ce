package codec

import "bytes"

// The framings that end each frame with a delimiter, protocol section 2. A frame ends there and never at a brace. White
// space around the text, a CR before an LF too, is part of the frame.
var (
	// NUL ends each frame with a zero byte, which no JSON text holds. It is the default on byte streams.
	NUL Framing = byNUL
	// WS is NUL for streams that are made of WebSocket messages, where a message's end counts as a zero byte.
	WS Framing = byMessage
	// LF ends frames at a line feed, and at NUL too. A line of nothing but white space is an empty frame. Append
	// drops the line breaks between the values of a frame, which raw params may hold; a frame that is signed must
	// have lost them before, see Compact.
	LF Framing = byLine
)

// delimited is a number and no more, so that what Cut asks for does not share memory with what others write.
type delimited uint8

const (
	byNUL delimited = iota
	byMessage
	byLine
)

func (d delimited) Name() string { return [...]string{"jrpc", "ws", "jrpc:lf"}[d] }

func (d delimited) delim() byte {
	if d == byLine {
		return '\n'
	}
	return 0
}

// index returns the offset of the first delimiter in data, or -1.
func (d delimited) index(data []byte) int {
	if d != byLine {
		return bytes.IndexByte(data, 0)
	}
	// A window at a time, so that a stream that holds one of the two delimiters alone is not searched to its end for
	// the other at every frame.
	const window = 1 << 10
	for start := 0; start < len(data); start += window {
		w := data[start:min(start+window, len(data))]
		i := bytes.IndexByte(w, '\n')
		if i >= 0 {
			w = w[:i]
		}
		if j := bytes.IndexByte(w, 0); j >= 0 {
			i = j
		}
		if i >= 0 {
			return start + i
		}
	}
	return -1
}

func (d delimited) Cut(data []byte, from int) (text []byte, n, next int, err error) {
	i := d.index(data[from:])
	if i < 0 {
		return nil, 0, len(data), nil
	}
	text = data[: from+i : from+i]
	if d == byLine && len(bytes.TrimRight(text, " \t\r")) == 0 {
		text = text[:0] // an empty line, typed or sent with CR LF, is a keep-alive
	}
	return text, from + i + 1, 0, nil
}

func (d delimited) Skip(_ *SkipState, data []byte) (int, bool) {
	if i := d.index(data); i >= 0 {
		return i + 1, true
	}
	return len(data), false
}

func (d delimited) Append(dst, frame []byte) []byte {
	if d == byLine && bytes.IndexByte(frame, '\n') >= 0 {
		frame = Compact(frame)
	}
	return append(append(dst, frame...), d.delim())
}

// Compact returns a JSON text without line breaks, as LF framing needs it before the frame is signed. It returns frame
// itself when there are none, and a copy otherwise.
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
		case (c == '\n' || c == '\r') && !inString: // within a string they stand escaped
			continue
		}
		out = append(out, frame[i])
	}
	return out
}
