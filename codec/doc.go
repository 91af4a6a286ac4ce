// Package codec turns bytes into messages and messages into bytes: the strict reader of the JSON-RPC 2.0 envelope, the
// framings that tell where a message ends, and the frame that carries a message's security info. It opens no sockets,
// starts no goroutines and keeps no global state. PROTOCOL.md beside this file is the wire protocol for those who write
// a client in another language.
//
// # Model
//
// A stream holds frames, and a frame holds one JSON text: a message, or a batch of them. A [Reader] cuts the frames
// out. [Message.Parse] reads the envelope of one and leaves params, results and error data as raw ranges of it, for
// whoever wants them; nothing is copied or decoded on the way. The Append functions write messages into a buffer of the
// caller's, and a [Framing] puts the delimiter behind.
//
//	r := codec.NewReader(conn, nil, 4<<20) // the framing is detected
//	frame, err := r.Next()
//	var m codec.Message
//	err = m.Parse(frame)
//	out = codec.AppendResult(out[:0], m.ID, result, nil)
//	_, err = conn.Write(r.Framing().Append(nil, out))
//
// # Framings
//
//   - [NUL] (jrpc): the text, then a zero byte. The default on byte streams.
//   - [LF] (jrpc:lf): the text on one line. For nc, log files and people. NUL ends a frame too.
//   - [LSP] (lsp): Content-Length headers, as editors and language servers speak.
//   - [WS] (ws): a WebSocket message, whose end counts as NUL.
//   - [Terse] (terse): "method key:value", a notation for people at a terminal.
//
// A frame ends at its delimiter, never at a brace. An empty frame is a keep-alive. A Reader without a framing looks at
// the first bytes, with [Detect]; [Sniff] tells before that whether they are TLS or HTTP.
//
// # What is refused
//
// Parse checks a frame in one pass and returns one of two errors. [ErrSyntax] is for what is no JSON: RFC 8259 to the
// letter, in UTF-8, at most [MaxDepth] levels deep; it stands for the code -32700. An [*InvalidError] is for JSON that is
// no message: another version than "2.0", a member twice, names in other case, an id that is no string, number or null,
// params that are no object or array; it stands for -32600 and knows the id to answer with. It is Silent for
// notifications and responses, which are never answered, whatever is wrong with them. Members that are unknown are
// ignored.
//
//	switch err := m.Parse(frame); {
//	case errors.Is(err, codec.ErrSyntax): // -32700, id null
//	case errors.As(err, &invalid) && invalid.Silent: // nothing
//	case err != nil: // codec.AppendError(nil, invalid.ID, invalid.RPC(), nil)
//	}
//
// One refused frame does not end a stream. What ends it is a stream that cannot be cut: [ErrHeader], [ErrNoFraming].
//
// # Limits
//
// No input makes this package panic, loop, or take more than linear time. A Reader holds at most its limit and 4 KiB,
// and never allocates because of a length that was only announced; a larger frame is skipped as it comes, and reported
// as a [*TooLargeError]. A batch has at most [MaxBatch] elements, a secinfo frame at most [MaxSecInfo] bytes. What stands
// without its delimiter at the end of a stream is dropped, and reported as [ErrTruncated].
//
// # Security info
//
// A protected frame follows a notification rpc.secinfo. [ParseSecInfo] recognises it and hands out its params, which
// package security reads; the payload is signed as the bytes that Reader.Next returns.
//
// # Ownership
//
// What Reader.Next returns is valid until the next call, and the parts of a Message are ranges of the frame it was
// parsed from; copy what lives longer. Errors are copies, but for [InvalidError].ID.
//
// # Concurrency
//
// Framings and functions may be used from any number of goroutines. A Reader and a Message belong to one at a time.
//
// # Cost
//
// An ordinary request of 140 bytes is cut in about 40 ns and parsed in about 100 ns, without allocation. Strings are
// searched eight bytes at a time.
package codec
