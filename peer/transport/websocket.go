package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"

	"github.com/coder/websocket"
)

// Subprotocol is what our own peers ask for: with it, several frames may share a message.
const Subprotocol = "jsonrpc.mesh.v1"

// maxShared is the greatest length of a message that holds several frames.
const maxShared = 64 << 10

// webSocket is a net.Conn whose stream is the messages, each with a NUL behind it. Deadlines and addresses are those
// of the connection underneath, so that no context is needed for a read or a write.
type webSocket struct {
	net.Conn // the connection underneath
	ws       *websocket.Conn
	share    bool

	message io.Reader // the rest of the message being read
	ended   bool      // a message has ended and its NUL is still to be delivered
}

func newWebSocket(ws *websocket.Conn, raw net.Conn) *webSocket {
	ws.SetReadLimit(-1) // the frames are bounded where they are cut out of the stream, and nothing is stored before
	return &webSocket{Conn: raw, ws: ws, share: ws.Subprotocol() == Subprotocol}
}

func (c *webSocket) Read(p []byte) (int, error) {
	for {
		if len(p) == 0 {
			return 0, nil
		}
		if c.ended {
			c.ended = false
			p[0] = 0
			return 1, nil
		}
		if c.message == nil {
			_, r, err := c.ws.Reader(context.Background())
			if err != nil {
				return 0, closeError(err)
			}
			c.message = r
		}
		n, err := c.message.Read(p)
		if err == io.EOF {
			c.message, c.ended, err = nil, true, nil
			if n == 0 {
				continue
			}
		}
		if err != nil {
			err = closeError(err)
		}
		return n, err
	}
}

// closeError takes a regular close for the end of the stream.
func closeError(err error) error {
	var closed websocket.CloseError
	if errors.As(err, &closed) && (closed.Code == websocket.StatusNormalClosure || closed.Code == websocket.StatusGoingAway ||
		closed.Code == websocket.StatusNoStatusRcvd) {
		return io.EOF
	}
	return err
}

// Write sends the frames in p: one message each, or, between our own peers, as many to a message as fit.
func (c *webSocket) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); {
		end := frameEnd(p, sent)
		if c.share {
			for end < len(p) {
				next := frameEnd(p, end)
				if next-sent > maxShared {
					break
				}
				end = next
			}
		}
		if err := c.ws.Write(context.Background(), websocket.MessageText, bytes.TrimSuffix(p[sent:end], []byte{0})); err != nil {
			return sent, err
		}
		sent = end
	}
	return len(p), nil
}

func frameEnd(p []byte, from int) int {
	if i := bytes.IndexByte(p[from:], 0); i >= 0 {
		return from + i + 1
	}
	return len(p)
}

// Close says goodbye as far as that does not block, and closes.
func (c *webSocket) Close() error { return c.ws.CloseNow() }
