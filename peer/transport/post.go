package transport

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"

	"peermesh/codec"
)

// MaxPost is the greatest length of the body of a POST request: a message of 4 MiB and its secinfo.
const MaxPost = 4<<20 + 4<<10

// answerTimeout is how long the other end may take to read an answer, once there is one.
const answerTimeout = 10 * time.Second

// post answers one message. The connection that Accept hands out for it reads the body and ends; what is written to it
// becomes the answer once it is closed.
func (l *Listener) post(w http.ResponseWriter, r *http.Request, c *incoming) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		http.Error(w, "want Content-Type: application/json", http.StatusUnsupportedMediaType)
		return
	}
	const tooLarge = "the body is too large"
	if r.ContentLength > MaxPost {
		http.Error(w, tooLarge, http.StatusRequestEntityTooLarge)
		return
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(newTimeout)) // of the body
	x := &exchange{
		Conn: c, body: http.MaxBytesReader(nil, r.Body, MaxPost), done: make(chan struct{}),
		read: func() { _ = rc.SetReadDeadline(time.Time{}) },
	}
	conn := c.conn(x, "http")
	conn.Framing, conn.Once = codec.NUL, true
	if !l.give(conn) {
		return
	}
	select {
	case <-x.done:
	case <-r.Context().Done(): // so it is too when the client has closed its half
	case <-l.ctx.Done():
	}
	gone := x.Close() == nil
	answer, whole, err := x.end()
	if !whole { // what is left of the body is not waited for
		_ = rc.SetReadDeadline(time.Unix(1, 0))
	}
	if !whole || !c.done.Load() {
		w.Header().Set("Connection", "close")
	} else {
		w.Header().Del("Connection")
	}
	_ = rc.SetWriteDeadline(time.Now().Add(answerTimeout))
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		http.Error(w, tooLarge, http.StatusRequestEntityTooLarge)
	case len(answer) > 0:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(answer) // the client is gone if this fails
	case err != nil || !whole:
		http.Error(w, "the body was cut short", http.StatusBadRequest)
	case gone:
		http.Error(w, "the connection was closed before there was an answer", http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// exchange is the net.Conn of one POST request. Its Close does not close the connection underneath, and it has no
// deadlines: the request has.
type exchange struct {
	net.Conn // for the addresses
	body     io.Reader
	read     func() // called when the body has ended
	eof      bool   // of the reader: the body has ended, and its NUL was delivered

	mu     sync.Mutex
	whole  bool  // the body was read to its end
	failed error // of the body
	out    []byte
	closed bool
	done   chan struct{}
}

// Read reads the body and the NUL that ends it.
func (x *exchange) Read(p []byte) (int, error) {
	if x.eof || len(p) == 0 {
		return 0, io.EOF
	}
	n, err := x.body.Read(p)
	if n > 0 && (err == nil || err == io.EOF) {
		return n, nil // the end comes again
	}
	if err == nil {
		return 0, nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != io.EOF {
		x.failed = err
		return n, err
	}
	x.read()
	x.whole, x.eof = true, true
	p[0] = 0
	return 1, nil
}

func (x *exchange) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return 0, net.ErrClosed
	}
	if len(x.out)+len(p) > 4*MaxPost {
		return 0, errors.New("transport: the answer is too large")
	}
	x.out = append(x.out, p...)
	return len(p), nil
}

func (x *exchange) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return net.ErrClosed
	}
	x.closed = true
	close(x.done)
	return nil
}

// end returns the answer, whether the body was read to its end, and what kept it from being read.
func (x *exchange) end() (answer []byte, whole bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return bytes.TrimSuffix(x.out, []byte{0}), x.whole, x.failed
}

func (x *exchange) SetDeadline(time.Time) error      { return nil }
func (x *exchange) SetReadDeadline(time.Time) error  { return nil }
func (x *exchange) SetWriteDeadline(time.Time) error { return nil }
