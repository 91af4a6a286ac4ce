package page_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"peermesh/cmd/peerctl/page"
	"peermesh/peer/tap"
)

// event is one of the stream.
type event struct{ name, id, data string }

type rows struct {
	Missing uint64
	Rows    []struct {
		Seq, More, Hidden      int
		Params, Result, Method string
	}
}

// events hands the events of a response to f until it returns false.
func events(t *testing.T, resp *http.Response, f func(event) bool) {
	t.Helper()
	defer resp.Body.Close()
	var e event
	s := bufio.NewScanner(resp.Body)
	s.Buffer(nil, 16<<20)
	timeout := time.AfterFunc(patience, func() { _ = resp.Body.Close() })
	defer timeout.Stop()
	for s.Scan() {
		name, value, _ := strings.Cut(s.Text(), ": ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if !f(e) {
				return
			}
			e = event{}
		}
	}
	t.Fatal("the stream has ended: ", s.Err())
}

// read reads records until there is one with the number last.
func (s *server) read(last int, headers ...string) (got rows, id string) {
	s.t.Helper()
	events(s.t, s.as("GET", "events", "", headers...), func(e event) bool {
		if e.name != "records" {
			return true
		}
		var b rows
		if err := json.Unmarshal([]byte(e.data), &b); err != nil {
			s.t.Error(err)
			return false
		}
		got.Missing += b.Missing
		got.Rows = append(got.Rows, b.Rows...)
		id = e.id
		return got.Rows[len(got.Rows)-1].Seq < last
	})
	return got, id
}

func note(i int) *tap.Record {
	return &tap.Record{V: 1, T: time.Now(), Kind: "notify", Method: "lab.tick", From: "cam1", To: []string{"desk"}, Params: json.RawMessage(fmt.Sprintf(`{"i":%d}`, i))}
}

// TestGaps: a page that comes back gets what it has missed, as far as it is kept, and is told of the rest.
func TestGaps(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 10 {
		s.mesh.say(note(i))
	}
	got, id := s.read(10)
	if len(got.Rows) != 10 || got.Missing != 0 || got.Rows[3].Params != `{"i":3}` {
		t.Fatalf("%+v", got)
	}
	for i := range 5 {
		s.mesh.say(note(i))
	}
	if got, _ = s.read(15, "Last-Event-ID", id); len(got.Rows) != 5 || got.Rows[0].Seq != 11 || got.Missing != 0 {
		t.Errorf("%+v", got)
	}
	for i := range 12_000 {
		s.mesh.say(note(i))
	}
	if got, _ = s.read(12_015, "Last-Event-ID", id); len(got.Rows) != 10_000 || got.Missing != 12_005-10_000 {
		t.Errorf("%d rows, %d missing", len(got.Rows), got.Missing)
	}
	// An id of another site says nothing.
	for _, id := range []string{"00000000-12000", "nonsense", strings.Repeat("9", 40)} {
		if got, _ := s.read(12_015, "Last-Event-ID", id); len(got.Rows) != 10_000 {
			t.Errorf("%s: %d rows", id, len(got.Rows))
		}
	}
}

// TestBounds: records and bytes are bounded, whatever is said.
func TestBounds(t *testing.T) {
	s := start(t)
	large := json.RawMessage(`"` + strings.Repeat("x", 100_000) + `"`)
	for i := range 3000 {
		r := note(i)
		r.Params = append(json.RawMessage(nil), large...)
		s.mesh.say(r)
	}
	var kept struct {
		Kept struct{ Records, Bytes int }
	}
	events(t, s.as("GET", "events", ""), func(e event) bool {
		if e.name != "status" {
			return true
		}
		if err := json.Unmarshal([]byte(e.data), &kept); err != nil {
			t.Error(err)
			return false
		}
		return kept.Kept.Records < 600
	})
	if kept.Kept.Bytes > 64<<20 || kept.Kept.Records > 671 {
		t.Errorf("it keeps %+v", kept.Kept)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 100<<20 {
		t.Errorf("the heap has %d MiB", m.HeapAlloc>>20)
	}
	// A page gets the beginning, and the rest when it asks.
	got, _ := s.read(3000)
	last := got.Rows[len(got.Rows)-1]
	if len(last.Params) != 2048 || last.More != 100_002-2048 || got.Missing != uint64(3000-len(got.Rows)) {
		t.Errorf("%d bytes and %d more, %d missing", len(last.Params), last.More, got.Missing)
	}
	var whole struct{ Params string }
	if err := json.Unmarshal([]byte(s.body(s.as("GET", "record?seq=3000", ""))), &whole); err != nil || len(whole.Params) != 100_002 {
		t.Errorf("%d bytes, %v", len(whole.Params), err)
	}
	if resp := s.as("GET", "record?seq=1", ""); resp.StatusCode != http.StatusGone || s.body(resp) == "" {
		t.Errorf("one that is gone: %s", resp.Status)
	}
}

// TestEnds: that the peer has ended is told, and the next one is followed.
func TestEnds(t *testing.T) {
	t.Parallel()
	s := start(t)
	close(s.mesh.ended)
	events(t, s.as("GET", "events", ""), func(e event) bool { return !strings.Contains(e.data, `"link":"ended"`) })
	s.mesh.mu.Lock()
	s.mesh.ended = make(chan struct{})
	s.mesh.mu.Unlock()
	events(t, s.as("GET", "events", ""), func(e event) bool { return !strings.Contains(e.data, `"link":"linked"`) })
	s.mesh.say(note(1))
	if got, _ := s.read(1); len(got.Rows) != 1 {
		t.Errorf("%+v", got)
	}
}

var _ page.Mesh = (*sham)(nil)
