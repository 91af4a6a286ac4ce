package codec

import "fmt"

// Framing cuts frames out of a byte stream and puts them into one, protocol section 2. A Framing holds no state and is
// safe for concurrent use; two are the same when they are equal. Most programs hand one to a Reader and call Append;
// Cut and Skip are what a Reader is made of.
type Framing interface {
	// Name is the codec expression: jrpc, jrpc:lf, lsp, ws or terse.
	Name() string
	// Cut finds the first frame in data, the beginning of a stream. Its text is empty for a keep-alive; it is a range of
	// data, except in Terse, which translates. n is how much of data the frame takes, with its delimiter or headers; 0
	// when the end is not there yet. Then next is to be handed to the next Cut, as from, with more data; it tells where
	// the search goes on, or where the frame will end if that is known. The first Cut gets 0. An error with n > 0 is
	// one of Terse: why the line has no JSON; it unwraps to ErrSyntax. One without means that the stream cannot be
	// read on.
	Cut(data []byte, from int) (text []byte, n, next int, err error)
	// Skip drops what it can of a frame that is too large to be kept, and for which Cut has returned n == 0. It
	// returns how much of data it takes and whether the frame ends there. If not, it is called again with what
	// follows. It stores nothing.
	Skip(s *SkipState, data []byte) (n int, done bool)
	// Append appends a frame with its delimiter or headers to dst. The frame is JSON, which is not checked.
	Append(dst, frame []byte) []byte
}

// SkipState remembers how much of an oversized frame is still to come. The zero value begins a frame.
type SkipState struct{ left int }

// ParseFraming returns the framing of a codec expression: "jrpc" (NUL after each frame), "jrpc:lf" (LF or NUL), "lsp"
// (Content-Length headers), "ws" (NUL, for streams made of WebSocket messages) or "terse". Any other is an error that
// lists them.
func ParseFraming(expr string) (Framing, error) {
	for _, f := range [...]Framing{NUL, LF, LSP, WS, Terse} {
		if f.Name() == expr {
			return f, nil
		}
	}
	return nil, fmt.Errorf("codec: no framing is called %q: there are jrpc, jrpc:lf, lsp, ws and terse", expr)
}
