package peertest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// wireBuffer is how much a wire holds that was written and not read yet, as the kernel's buffers do.
const wireBuffer = 64 << 10

// wire is one direction of a connection.
type wire struct {
	mu     sync.Mutex
	cond   *sync.Cond
	chunks []chunk
	size   int
	closed bool // no more is written
	broken bool // the connection was cut

	readBy, writeBy time.Time // deadlines
	timers          [2]*time.Timer

	delay   time.Duration // before what is written can be read
	stalled bool          // nothing can be read for now
	lossy   bool          // what is written is lost, and nobody notices
}

type chunk struct {
	data []byte
	at   time.Time // when it arrives
}

func newWire() *wire {
	w := &wire{}
	w.cond = sync.NewCond(&w.mu)
	return w
}

func (w *wire) read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.broken:
			return 0, net.ErrClosed
		case passed(w.readBy):
			return 0, os.ErrDeadlineExceeded
		case w.stalled:
		case len(w.chunks) > 0:
			if wait := time.Until(w.chunks[0].at); wait > 0 {
				t := time.AfterFunc(wait, w.wake)
				w.cond.Wait()
				t.Stop()
				continue
			}
			n := copy(p, w.chunks[0].data)
			if w.chunks[0].data = w.chunks[0].data[n:]; len(w.chunks[0].data) == 0 {
				w.chunks = w.chunks[1:]
			}
			w.size -= n
			w.cond.Broadcast()
			return n, nil
		case w.closed:
			return 0, io.EOF
		}
		w.cond.Wait()
	}
}

func (w *wire) write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	written := 0
	for written < len(p) {
		switch {
		case w.lossy: // also when the other end is gone: nobody tells
			return len(p), nil
		case w.closed || w.broken:
			return written, net.ErrClosed
		case passed(w.writeBy):
			return written, os.ErrDeadlineExceeded
		case w.size >= wireBuffer:
			w.cond.Wait()
			continue
		}
		n := min(len(p)-written, wireBuffer-w.size)
		w.chunks = append(w.chunks, chunk{append([]byte(nil), p[written:written+n]...), time.Now().Add(w.delay)})
		w.size += n
		written += n
		w.cond.Broadcast()
	}
	return written, nil
}

func passed(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (w *wire) wake() {
	w.mu.Lock()
	w.cond.Broadcast()
	w.mu.Unlock()
}

// set changes the wire and wakes whoever waits on it.
func (w *wire) set(f func()) {
	w.mu.Lock()
	f()
	w.cond.Broadcast()
	w.mu.Unlock()
}

func (w *wire) deadline(i int, dst *time.Time, t time.Time) {
	w.set(func() {
		*dst = t
		if w.timers[i] != nil {
			w.timers[i].Stop()
			w.timers[i] = nil
		}
		if !t.IsZero() {
			w.timers[i] = time.AfterFunc(time.Until(t), w.wake)
		}
	})
}

func (w *wire) stopTimers() {
	w.set(func() {
		for i, t := range w.timers {
			if t != nil {
				t.Stop()
				w.timers[i] = nil
			}
		}
	})
}

// conn is one end of a connection.
type conn struct {
	in, out       *wire
	local, remote *net.TCPAddr
	onClose       func()
	once          sync.Once
}

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *conn) LocalAddr() net.Addr         { return c.local }
func (c *conn) RemoteAddr() net.Addr        { return c.remote }

func (c *conn) Close() error {
	c.once.Do(func() {
		c.out.set(func() { c.out.closed = !c.out.lossy })
		c.in.set(func() { c.in.broken = true })
		c.in.stopTimers()
		c.out.stopTimers()
		c.onClose()
	})
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.deadline(0, &c.in.readBy, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.deadline(1, &c.out.writeBy, t)
	return nil
}
