package contender

import (
	"hash"
	"net"
	"runtime"
	"sync"
)

// rawWriter lets many goroutines' frames share one write to a connection.
type rawWriter struct {
	conn net.Conn
	kick chan struct{} // wakes run

	mu         sync.Mutex
	mac        hash.Hash
	buf, spare []byte
	busy       bool // somebody writes, or is about to, and will take what is added
	closed     bool
	err        error
}

func newRawWriter(conn net.Conn, mac hash.Hash) *rawWriter {
	return &rawWriter{conn: conn, mac: mac, kick: make(chan struct{}, 1)}
}

// call adds a frame, and writes unless somebody else is about to. It yields first, so that other callers who are ready
// to run get their frames into the same write.
func (w *rawWriter) call(id uint32, e Echo) error {
	w.mu.Lock()
	w.buf = appendRaw(w.buf, id, e, w.mac)
	mine := !w.busy
	w.busy = true
	err := w.err
	w.mu.Unlock()
	if mine {
		runtime.Gosched()
		w.flush()
	}
	return err
}

// post adds a frame that run will write.
func (w *rawWriter) post(e Echo) error {
	w.mu.Lock()
	w.buf = appendRaw(w.buf, 0, e, w.mac)
	mine := !w.busy
	w.busy = true
	if mine && !w.closed {
		w.kick <- struct{}{} // has room: whoever took the last one has left busy since
	}
	defer w.mu.Unlock()
	return w.err
}

// reply adds an answer, and writes when now or when much waits.
func (w *rawWriter) reply(id uint32, text []byte, now bool) error {
	w.mu.Lock()
	w.buf = appendRawText(w.buf, id, text, w.mac)
	mine := !w.busy && (now || len(w.buf) > 64<<10)
	if mine {
		w.busy = true
	}
	err := w.err
	w.mu.Unlock()
	if mine {
		w.flush()
	}
	return err
}

// flush writes until nothing waits. The caller must have set busy.
func (w *rawWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.buf) > 0 && w.err == nil {
		w.buf, w.spare = w.spare[:0], w.buf
		w.mu.Unlock()
		_, err := w.conn.Write(w.spare)
		w.mu.Lock()
		w.err = err
	}
	w.busy = false
}

// run writes what is posted, until close.
func (w *rawWriter) run() {
	for range w.kick {
		w.flush()
	}
}

func (w *rawWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		close(w.kick)
	}
}
