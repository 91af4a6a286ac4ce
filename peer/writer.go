package peer

import (
	"runtime"
	"time"

	"peermesh/codec"
	"peermesh/security"
)

// writeDeadline is how long one write may block before the link counts as dead.
const writeDeadline = 10 * time.Second

// flushSize is how much is collected before it is written.
const flushSize = 64 << 10

// besides is more than what is added to a message: its secinfo, tags, delimiters or headers.
const besides = 512

// flush is the link's writer: it takes what is queued, protects each message, and hands all that is ready to one write.
// Senders, handlers and the reader append to the queue, and at most try to write what comes alone, so nothing else is
// ever held up by the other end. It ends when the link ends, or after a last flush once the link is closing.
func (l *link) flush() {
	defer l.p.wg.Done()
	for {
		select {
		case <-l.out.wake:
		case <-l.ended:
			return
		}
		// One yield: whoever is about to send too gets into the same write.
		runtime.Gosched()
		l.writing.Lock()
		err := l.writeQueued()
		l.writing.Unlock()
		if err != nil {
			l.end(reasonLost, err)
			return
		}
		if l.closing.Load() && l.out.empty() {
			l.end(reasonBye, nil)
			return
		}
	}
}

// writeQueued writes until the queue is empty.
func (l *link) writeQueued() error {
	framing := l.framing.Load()
	if framing == nil {
		return nil // the other end has not shown yet how it frames; the reader wakes us when it has
	}
	if l.broken != nil {
		return l.broken
	}
	if len(l.rest) > 0 {
		err := l.write(l.rest)
		if l.rest = nil; err != nil {
			return err
		}
	}
	found := 0
	for {
		b := l.out.swap()
		if len(b.items) == 0 {
			l.out.done(b)
			l.direct.noteFlush(found)
			l.wbuf, l.secBuf = keep(l.wbuf), keep(l.secBuf)
			return nil
		}
		found += len(b.items)
		l.tapWriting()
		buf := l.wbuf[:0]
		messages, bytes := 0, 0 // in buf
		var err error
		for i := range b.items {
			if b.items[i].gone {
				continue
			}
			if buf, err = l.protect(buf, *framing, &b.items[i], b.textOf(i)); err != nil {
				break
			}
			messages++
			bytes += b.size(i)
			if len(buf) >= flushSize {
				l.out.handed(messages, bytes)
				if err = l.write(buf); err != nil {
					break
				}
				l.tapWriting()
				buf, messages, bytes = buf[:0], 0, 0
			}
		}
		if err == nil && len(buf) > 0 {
			l.out.handed(messages, bytes)
			err = l.write(buf)
		}
		l.wbuf = buf
		l.out.done(b)
		if err != nil {
			return err
		}
	}
}

// protect appends a message, with its secinfo before it where it has one, in frames.
func (l *link) protect(buf []byte, f codec.Framing, it *item, text []byte) ([]byte, error) {
	if it.bare {
		return f.Append(buf, text), nil
	}
	shown := text
	if f == codec.LF {
		if compact := codec.Compact(text); len(compact) != len(text) {
			text, it.out.Sum = compact, nil
		}
	}
	if l.session != nil && l.session.Protection() == security.Sealed {
		l.secBuf = extend(l.secBuf[:0], len(text)+len(text)/3+besides)
	}
	secinfo, payload, err := l.sec.Seal(l.secBuf[:0], it.out, text)
	if err != nil {
		return buf, err
	}
	l.tapSent(it, shown)
	if len(secinfo) > 0 {
		l.secBuf = secinfo
		l.secFrame = codec.AppendSecInfo(l.secFrame[:0], secinfo)
		buf = f.Append(buf, l.secFrame)
	}
	return f.Append(extend(buf, len(payload)+besides), payload), nil
}

func (l *link) write(buf []byte) error {
	l.setDeadline(time.Now())
	_, err := l.conn.Write(buf)
	return err
}

// setDeadline moves the deadline of writing on, now and then: it is as late as said, or a second earlier.
func (l *link) setDeadline(now time.Time) {
	if now.Sub(l.deadlineSet) > time.Second {
		l.deadlineSet = now
		_ = l.conn.SetWriteDeadline(now.Add(writeDeadline)) // a connection without deadlines is a local one
	}
}

// keepLinked is the largest buffer that an idle link holds.
const keepLinked = 4 * flushSize

func keep(buf []byte) []byte {
	if cap(buf) > keepLinked {
		giveLarge(buf)
		return nil
	}
	return buf[:0]
}
