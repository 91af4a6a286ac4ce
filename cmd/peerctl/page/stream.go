package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	batchEvery = 50 * time.Millisecond
	batchSize  = 500              // records at once
	slowest    = 10 * time.Second // that a page may take to read a batch
)

// batch is the data of a "records" event.
type batch struct {
	Missing uint64 `json:"missing,omitempty"` // records before these that the page will not get
	Rows    []*row `json:"rows"`
}

// events serves the stream of a page: "records" in batches, each with its last number as id, and "status" once a second.
// A page that comes back says which it had last; what is not kept any more is counted as missing.
func (s *Site) events(w http.ResponseWriter, r *http.Request) {
	cursor := s.cursor(r.Header.Get("Last-Event-ID"))
	w.Header().Set("Content-Type", "text/event-stream")
	out := &stream{w: w, ctl: http.NewResponseController(w)}
	out.printf("event: hello\ndata: {\"epoch\":%q,\"hide\":%t}\n\n", s.epoch, s.redactor(r) != nil)
	buf := make([]kept, 0, batchSize)
	var told uint64
	for out.err == nil {
		found, missing, more := s.kept.after(cursor, batchSize, buf)
		if len(found) > 0 || missing > 0 {
			redact := s.redactor(r) // as it is now: documents come and go
			b := batch{Missing: missing, Rows: make([]*row, len(found))}
			for i := range found {
				b.Rows[i] = makeRow(found[i].seq, found[i].rec, redact, shownBytes)
				cursor = found[i].seq
			}
			out.event("records", s.epoch+"-"+strconv.FormatUint(cursor, 10), &b)
		}
		text, n, changed := s.status.get(told)
		if told = n; text != nil {
			out.printf("event: status\ndata: %s\n\n", text)
		}
		out.flush()
		if len(found) == batchSize {
			continue
		}
		clear(buf[:cap(buf)]) // it shall not keep what the collector gives up
		select {
		case <-time.After(batchEvery):
		case <-r.Context().Done():
			return
		}
		select {
		case <-more:
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// cursor reads the number of the last record that a page had; 0 when it had none of this site.
func (s *Site) cursor(id string) uint64 {
	epoch, number, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if epoch != s.epoch || err != nil {
		return 0
	}
	return n
}

// stream writes events until something fails.
type stream struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
	buf bytes.Buffer
	err error
}

func (s *stream) printf(format string, args ...any) { fmt.Fprintf(&s.buf, format, args...) }

func (s *stream) event(name, id string, v any) {
	s.printf("event: %s\nid: %s\ndata: ", name, id)
	enc := json.NewEncoder(&s.buf)
	enc.SetEscapeHTML(false)
	if s.err = enc.Encode(v); s.err == nil {
		s.buf.WriteByte('\n')
	}
}

// flush sends what was written.
func (s *stream) flush() {
	if s.err != nil || s.buf.Len() == 0 {
		return
	}
	_ = s.ctl.SetWriteDeadline(time.Now().Add(slowest)) // where there is none, a page may be slower
	if _, s.err = s.w.Write(s.buf.Bytes()); s.err == nil {
		s.err = s.ctl.Flush()
	}
	s.buf.Reset()
}
