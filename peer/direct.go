package peer

import (
	"net"
	"syscall"
	"time"
)

// direct is how whoever sends a message writes it himself, where that does not take any waiting. To wake the flusher
// first is the longer half of the way for a message that comes alone; where several come at a time it is what brings
// them into one write. So a link begins with it after some messages that came alone, and stops when two come together.
// Where many are waiting already, the one who notices writes them: the other end need not be idle until all are there.
type direct struct {
	conn  syscall.RawConn // nil: only the flusher writes
	try   func(fd uintptr) bool
	alone int // flushes in a row that found one message

	buf []byte // what try writes, as far as the connection takes it
	n   int
	err error
}

const (
	directAfter = 8        // messages that came alone
	directFew   = 2        // messages that wait and still count as one alone
	directMany  = 32       // messages that wait
	directSize  = 16 << 10 // bytes that are written so at most
)

// init finds out whether a connection can be written to without waiting: one of TCP or of a Unix socket.
func (d *direct) init(conn net.Conn) {
	for {
		wrapped, ok := conn.(interface{ Unwrap() net.Conn })
		if !ok {
			break
		}
		conn = wrapped.Unwrap()
	}
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		if raw, err := conn.(syscall.Conn).SyscallConn(); err == nil && canTry {
			d.conn, d.try = raw, d.once
		}
	}
}

// once is made for syscall.RawConn: true says not to wait until more can be written.
func (d *direct) once(fd uintptr) bool {
	d.n, d.err = tryWrite(fd, d.buf)
	return true
}

// write writes as much of buf as the connection takes now.
func (d *direct) write(buf []byte) (n int, err error) {
	d.buf = buf
	err = d.conn.Write(d.try)
	d.buf = nil
	if err != nil {
		return 0, err
	}
	return d.n, d.err
}

// noteFlush notes how many messages a flush found.
func (d *direct) noteFlush(messages int) {
	if messages > 1 {
		d.alone = 0
	} else if messages == 1 {
		d.alone++
	}
}

// writeNow writes what has just been queued, with all that was waiting then, and reports whether it is written. If not,
// the flusher has to be woken. It does not wait: neither for the other end nor for the flusher.
func (l *link) writeNow(now time.Time, waiting int) bool {
	if l.direct.conn == nil || !l.writing.TryLock() {
		return false
	}
	defer l.writing.Unlock()
	framing := l.framing.Load()
	alone := l.direct.alone >= directAfter && waiting <= directFew
	if framing == nil || len(l.rest) > 0 || l.broken != nil || !alone && waiting < directMany {
		return false
	}
	b, ok := l.out.swapSmall(directSize)
	if !ok {
		return false
	}
	defer l.out.done(b)
	l.tapWriting()
	buf := l.wbuf[:0]
	messages, bytes := 0, 0
	for i := range b.items {
		if b.items[i].gone {
			continue
		}
		if buf, l.broken = l.protect(buf, *framing, &b.items[i], b.textOf(i)); l.broken != nil {
			return false
		}
		messages++
		bytes += b.size(i)
	}
	defer func() { l.wbuf = keep(buf) }() // not before it is written
	if messages == 0 {
		return true // the flusher was faster, or they were taken back
	}
	l.out.handed(messages, bytes)
	l.direct.noteFlush(messages)
	l.setDeadline(now)
	n, err := l.direct.write(buf)
	if err != nil {
		l.broken = err
		return false
	}
	l.rest = append(l.rest, buf[n:]...)
	return len(l.rest) == 0
}
