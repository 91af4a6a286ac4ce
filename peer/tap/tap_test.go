package tap_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peermesh/api"
	"peermesh/peer/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var other = &api.Info{Name: "cam1", Via: "tcp", Protection: "sealed", Session: "5e55", Address: "h:1",
	APIs: map[string]api.APIInfo{"lab": {Version: "1"}}}

func TestRingKeepsTheNewest(t *testing.T) {
	t.Parallel()
	r := tap.NewRing()
	f := r.Follow(false)
	defer f.Close()
	const n = tap.Events + 100
	for i := range n {
		r.Add(tap.Event{Seq: uint64(i)}, fmt.Appendf(nil, "text %d", i))
	}
	events, texts, missed := f.Read(nil, nil, 10)
	if missed != 100 || len(events) != 10 || events[0].N != 101 || string(texts[0]) != "text 100" {
		t.Errorf("missed %d, %d events, %+v, %q", missed, len(events), events[0], texts[0])
	}
	events, texts, missed = f.Read(nil, nil, n)
	if missed != 0 || len(events) != tap.Events-10 || string(texts[len(texts)-1]) != fmt.Sprintf("text %d", n-1) {
		t.Errorf("missed %d, %d events, %q", missed, len(events), texts[len(texts)-1])
	}
	if f.Wait(done(t)) {
		t.Error("there is more")
	}
	old := r.Follow(true)
	defer old.Close()
	if events, _, missed := old.Read(nil, nil, n); len(events) != tap.Events || missed != 0 {
		t.Errorf("the oldest: %d events, missed %d", len(events), missed)
	}
}

func done(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// TestRingTexts: texts give way by bytes, and one that is too large is kept in part.
func TestRingTexts(t *testing.T) {
	t.Parallel()
	r := tap.NewRing()
	f := r.Follow(false)
	defer f.Close()
	large := bytes.Repeat([]byte("x"), tap.MaxText+1)
	for i := range 20 {
		large[0] = byte('a' + i)
		r.Add(tap.Event{}, large)
	}
	events, texts, missed := f.Read(nil, nil, 100)
	kept := 0
	for i, text := range texts {
		if text == nil {
			continue
		}
		kept++
		if len(text) != tap.MaxText || text[0] != byte('a'+i) || events[i].Size != tap.MaxText+1 {
			t.Errorf("text %d: %d bytes, %q, size %d", i, len(text), text[0], events[i].Size)
		}
	}
	if missed != 0 || len(events) != 20 || kept < 6 || kept > tap.Bytes/tap.MaxText {
		t.Errorf("%d events, missed %d, %d texts", len(events), missed, kept)
	}
}

func TestFollowersWait(t *testing.T) {
	t.Parallel()
	r := tap.NewRing()
	got := make(chan int, 1)
	f := r.Follow(false)
	go func() {
		defer f.Close()
		n := 0
		for f.Wait(context.Background()) {
			events, _, _ := f.Read(nil, nil, 7)
			n += len(events)
		}
		got <- n
	}()
	for range 1000 {
		r.Add(tap.Event{}, nil)
	}
	r.Close()
	r.Add(tap.Event{}, nil) // it is closed
	if n := <-got; n != 1000 {
		t.Errorf("read %d", n)
	}
}

// TestSightings: what is told of a message, at each level.
func TestSightings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		e          tap.Event
		level      tap.Level
		want       []string // of the JSON
	}{
		{"a request", `{"jsonrpc":"2.0","id":7,"method":"lab.snap","params":{"a":1}}`, tap.Event{Kind: tap.Sent, At: 5_000_000, Queued: 3_000_000, Seq: 4, Other: other}, tap.Full,
			[]string{`{"n":0,"what":"sent","t":5000,"peer":"cam1","sid":"5e55","seq":4,"kind":"request","method":"lab.snap","id":7,"bytes":61,"queued_us":2000,"params":{"a":1},"via":"tcp","alg":"S-HS256","sealed":true}`}},
		{"its headers", `{"jsonrpc":"2.0","id":7,"method":"lab.snap","params":{"a":1}}`, tap.Event{Kind: tap.Received, Other: other}, tap.Headers,
			[]string{`"what":"received","t":0,"peer":"cam1","sid":"5e55","seq":0,"kind":"request","method":"lab.snap","id":7,"bytes":61,"via"`}},
		{"an error's headers", `{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"the secret is x"}}`, tap.Event{Kind: tap.Received, Method: "lab.snap"}, tap.Headers,
			[]string{`"kind":"error","method":"lab.snap","id":7,"bytes":76,"code":-32000,"alg":"none"`}},
		{"an answer", `{"jsonrpc":"2.0","id":7,"result":[1]}`, tap.Event{Kind: tap.Sent, Start: 1_000_000, End: 3_000_000}, tap.Full,
			[]string{`"kind":"reply","id":7,"bytes":37,"start":1000,"ran_us":2000,"result":[1]`}},
		{"a batch", `[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","method":"b"}]`, tap.Event{Kind: tap.Received}, tap.Full,
			[]string{`"kind":"request","method":"a"`, `"index":1,"kind":"notify","method":"b"`}},
		{"about taps", `{"jsonrpc":"2.0","method":"rpc.tap.records","params":{}}`, tap.Event{Kind: tap.Sent}, tap.Full, nil},
		{"a change", ``, tap.Event{Kind: tap.Change, What: "left", Reason: "bye", Other: other}, tap.Headers,
			[]string{`"what":"left","t":0,"peer":"cam1","sid":"5e55","seq":0,"reason":"bye","via":"tcp","alg":"S-HS256","sealed":true,"address":"h:1","apis":["lab 1"]`}},
		{"silence", ``, tap.Event{Kind: tap.Failed, Method: "lab.snap", ID: 9, Reason: "no answer in 2s", Other: other}, tap.Full,
			[]string{`"what":"failed","t":0,"peer":"cam1","sid":"5e55","seq":0,"kind":"error","method":"lab.snap","id":9,"message":"no answer in 2s"`}},
		{"garbage", `{`, tap.Event{Kind: tap.Received}, tap.Full, []string{`"kind":"note"`}},
	} {
		e := c.e
		e.Size = len(c.text)
		got := tap.Sightings(&e, []byte(c.text), c.level)
		if len(got) != len(c.want) {
			t.Errorf("%s: %d sightings", c.name, len(got))
			continue
		}
		for i := range got {
			raw, err := json.Marshal(got[i])
			if err != nil || !strings.Contains(string(raw), c.want[i]) {
				t.Errorf("%s: %v\ngot  %s\nwant %s", c.name, err, raw, c.want[i])
			}
			if c.level == tap.Headers && (strings.Contains(string(raw), "secret") || strings.Contains(string(raw), `"params"`)) {
				t.Errorf("%s: its headers say %s", c.name, raw)
			}
		}
	}
	// Of a message that is too large for the ring the beginning tells what it is.
	for text, want := range map[string]string{
		`{"jsonrpc":"2.0","id":7,"method":"lab.put","params":{"x":"yyyy`: `"kind":"request","method":"lab.put","id":7,"bytes":100,"cut":true`,
		`{"jsonrpc":"2.0","method":"lab.put","params":["yyyy`:            `"kind":"notify","method":"lab.put","bytes":100,"cut":true`,
		`{"jsonrpc":"2.0","id":"a","result":"yyyy`:                       `"kind":"reply","id":"a","bytes":100,"cut":true`,
	} {
		got := tap.Sightings(&tap.Event{Kind: tap.Received, Size: 100}, []byte(text), tap.Full)
		if raw, _ := json.Marshal(got[0]); !strings.Contains(string(raw), want) {
			t.Errorf("got  %s\nwant %s", raw, want)
		}
	}
}

// mesh feeds a Merger and keeps its records.
type mesh struct {
	*tap.Merger
	now     time.Time
	records []tap.Record
}

func newMesh(watched ...string) *mesh {
	m := &mesh{now: time.Date(2026, 11, 20, 3, 36, 3, 0, time.UTC)}
	m.Merger = tap.NewMerger(func(r *tap.Record) { m.records = append(m.records, *r) })
	for _, name := range watched {
		m.Watch(name, m.now.Add(-time.Minute))
	}
	return m
}

// see has a peer see a message at a moment in milliseconds.
func (m *mesh) see(by, what, other, kind, method string, id string, seq uint64, at float64, change ...func(*tap.Sighting)) {
	s := tap.Sighting{What: what, Peer: other, Session: "5", Seq: seq, Kind: kind, Method: method, T: m.now.UnixMicro() + int64(at*1000), Alg: "S-HS256", Sealed: true}
	if id != "" {
		s.ID = json.RawMessage(id)
	}
	for _, f := range change {
		f(&s)
	}
	m.Add(by, &s, m.now.Add(time.Duration(at*float64(time.Millisecond))))
}

func (m *mesh) after(d time.Duration) []tap.Record {
	m.Tick(m.now.Add(d))
	return m.records
}

// TestMergeCall: a call between two peers that are both watched is one request and one reply, with the time split.
func TestMergeCall(t *testing.T) {
	t.Parallel()
	m := newMesh("desk", "cam1")
	m.see("desk", "sent", "cam1", "request", "lab.snap", "7", 3, 2, func(s *tap.Sighting) { s.Queued, s.Params = 500, json.RawMessage(`{"a":1}`) })
	m.see("cam1", "received", "desk", "request", "lab.snap", "7", 3, 3)
	m.see("cam1", "sent", "desk", "reply", "", "7", 9, 20, func(s *tap.Sighting) { s.Start, s.Ran = m.now.UnixMicro()+5000, 14_000 })
	m.see("desk", "received", "cam1", "reply", "lab.snap", "7", 9, 21, func(s *tap.Sighting) { s.Result = json.RawMessage(`1`) })
	got := m.after(time.Second)
	if len(got) != 2 {
		t.Fatalf("%d records: %+v", len(got), got)
	}
	q, r := got[0], got[1]
	if q.Kind != "request" || q.From != "desk" || fmt.Sprint(q.To) != "[cam1]" || q.Conv != "desk/7" || q.QueueMS != 0.5 || q.NetMS != 1 || string(q.Params) != `{"a":1}` || !q.Sec.Sealed {
		t.Errorf("%+v", q)
	}
	if r.Kind != "reply" || r.Method != "lab.snap" || r.From != "cam1" || fmt.Sprint(r.To) != "[desk]" || r.MS != 19.5 || r.QueueMS != 0.5 || r.NetMS != 1 || r.WaitMS != 2 || r.HandlerMS != 14 || string(r.Result) != "1" {
		t.Errorf("%+v", r)
	}
	if got = m.after(time.Minute); len(got) != 2 {
		t.Errorf("later: %+v", got[2:])
	}
}

// TestMergeBroadcast: a broadcast is one record with all its receivers; one that does not see it is told of.
func TestMergeBroadcast(t *testing.T) {
	t.Parallel()
	m := newMesh("cam1", "a", "b")
	for i, to := range []string{"b", "a", "c"} {
		m.see("cam1", "sent", to, "notify", "lab.frame", "", uint64(i), float64(i), func(s *tap.Sighting) { s.Session, s.Group = to, 1 })
	}
	m.see("a", "received", "cam1", "notify", "lab.frame", "", 1, 4, func(s *tap.Sighting) { s.Session = "a" })
	got := m.after(time.Second)
	if len(got) != 1 || !got[0].All || fmt.Sprint(got[0].To) != "[a b c]" || got[0].From != "cam1" {
		t.Fatalf("%+v", got)
	}
	m.after(3 * time.Second)
	got = m.after(4 * time.Second)
	if len(got) != 2 || got[1].Kind != "note" || fmt.Sprint(got[1].To) != "[b]" || !strings.Contains(got[1].Text, "not seen by its receiver") {
		t.Errorf("%+v", got[1:])
	}
}

// TestMergeExpected: what comes from a peer whose tap has been asked for, and tells of it a moment later, is one record
// all the same; what it never tells of is shown too, and it is not said to have been lost there.
func TestMergeExpected(t *testing.T) {
	t.Parallel()
	m := newMesh("desk")
	m.Expect("cam1")
	m.see("desk", "received", "cam1", "notify", "lab.frame", "", 1, 1)
	m.Watch("cam1", m.now.Add(2*time.Millisecond))
	m.see("cam1", "sent", "desk", "notify", "lab.frame", "", 1, 0, func(s *tap.Sighting) { s.Group = 1 })
	m.Expect("cam2")
	m.see("desk", "sent", "cam2", "notify", "lab.gain", "", 1, 3)
	m.see("desk", "received", "cam2", "notify", "lab.frame", "", 1, 4)
	m.see("desk", "received", "cam2", "notify", "lab.alone", "", 1, 5, func(s *tap.Sighting) { s.Session = "" })
	m.after(time.Second)
	var got []string
	for _, r := range m.after(time.Minute) {
		got = append(got, fmt.Sprint(r.Kind, " ", r.Method, " ", r.From, " ", r.To, " ", r.All))
	}
	want := "notify lab.frame cam1 [desk] true, notify lab.gain desk [cam2] false, notify lab.frame cam2 [desk] false, notify lab.alone cam2 [desk] false"
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("\n%s, want\n%s", got, want)
	}
}

// TestMergeHandsOver: a record that is out does not change with what a slower side says of its message.
func TestMergeHandsOver(t *testing.T) {
	t.Parallel()
	m := newMesh("desk", "cam1")
	m.see("desk", "received", "cam1", "notify", "lab.frame", "", 1, 1)
	got := m.after(time.Second)
	if len(got) != 1 || got[0].Sec.User != "cam1" {
		t.Fatalf("%+v", got)
	}
	m.see("cam1", "sent", "desk", "notify", "lab.frame", "", 1, 0, func(s *tap.Sighting) { s.Alg = "none" })
	if got[0].Sec.User != "cam1" {
		t.Errorf("%+v", got[0].Sec)
	}
}

// TestMergeOneSide: what only one end shows is shown as that end saw it, once.
func TestMergeOneSide(t *testing.T) {
	t.Parallel()
	m := newMesh("cam1")
	m.see("cam1", "received", "desk", "request", "lab.snap", "7", 3, 3)
	m.see("cam1", "sent", "desk", "reply", "", "7", 9, 20)
	m.see("cam1", "joined", "desk", "", "", "", 0, 21)
	m.see("cam1", "refused", "10.0.0.9:1", "", "", "", 0, 22, func(s *tap.Sighting) { s.Reason = "signature" })
	m.see("cam1", "unheard", "desk", "", "a.b", "", 0, 23, func(s *tap.Sighting) { s.Reason = "nobody handles a.b" })
	m.see("cam1", "failed", "desk", "error", "lab.x", "9", 0, 24, func(s *tap.Sighting) { s.Message = "no answer in 2s" })
	var kinds []string
	for _, r := range m.after(time.Second) {
		kinds = append(kinds, r.Kind+" "+r.Method)
	}
	if got := strings.Join(kinds, ", "); got != "request lab.snap, reply lab.snap, peer , security , note a.b, error lab.x" {
		t.Error(got)
	}
}

// TestMergeOrder: records come in the order of their times, whoever's sighting comes first.
func TestMergeOrder(t *testing.T) {
	t.Parallel()
	m := newMesh("a", "b")
	m.see("a", "sent", "x", "notify", "late", "", 1, 30, func(s *tap.Sighting) { s.Session = "1" })
	m.see("b", "sent", "x", "notify", "early", "", 1, 10, func(s *tap.Sighting) { s.Session = "2" })
	got := m.after(time.Second)
	if len(got) != 2 || got[0].Method != "early" || got[0].N != 1 || got[1].N != 2 {
		t.Errorf("%+v", got)
	}
}

// TestMergeIsBounded: a flood of requests without answers takes a bounded place.
func TestMergeIsBounded(t *testing.T) {
	t.Parallel()
	m := newMesh("a", "b")
	for i := range 40_000 {
		m.see("a", "sent", "b", "request", "m", fmt.Sprint(i), uint64(i), 0)
	}
	m.see("b", "sent", "a", "reply", "", "1", 1, 1)
	m.see("b", "sent", "a", "reply", "", "39999", 2, 1)
	m.Flush()
	last := m.records[len(m.records)-2:]
	if last[0].Method != "" || last[1].Method != "m" || len(m.records) != 40_002 {
		t.Errorf("%d records, the last %+v", len(m.records), last)
	}
}

func TestDroppedIsTold(t *testing.T) {
	t.Parallel()
	m := newMesh("a")
	m.Dropped("a", 0, m.now)
	m.Dropped("a", 5, m.now)
	if got := m.after(time.Second); len(got) != 1 || got[0].Dropped != 5 || got[0].Kind != "note" {
		t.Errorf("%+v", got)
	}
}

// BenchmarkAdd is what a message costs a peer that is watched.
func BenchmarkAdd(b *testing.B) {
	r := tap.NewRing()
	text := []byte(`{"jsonrpc":"2.0","method":"lab.camera.frame","params":{"seq":1}}`)
	b.ReportAllocs()
	for b.Loop() {
		r.Add(tap.Event{Kind: tap.Sent, Other: other}, text)
	}
}
