package tap_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peermesh/peer/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRingIsBounded(t *testing.T) {
	t.Parallel()
	r := tap.NewRing(10, 100)
	for i := range 100 {
		r.Add(tap.Event{Frame: []byte(fmt.Sprintf("%030d", i))})
	}
	r.Close()
	var got []uint64
	for e, missed := range r.Follow(t.Context(), 1) {
		if missed != 0 {
			t.Errorf("who begins with the oldest has missed nothing: %d", missed)
		}
		got = append(got, e.N)
	}
	if fmt.Sprint(got) != "[98 99 100]" { // 3 × 30 bytes
		t.Errorf("kept %v", got)
	}
	r.Add(tap.Event{})
	if r.Next() != 101 {
		t.Error("a closed ring takes more")
	}
}

func TestSlowFollowerIsTold(t *testing.T) {
	t.Parallel()
	r := tap.NewRing(4, 0)
	var total, missed uint64
	r.Add(tap.Event{})
	for e, m := range r.Follow(t.Context(), 1) {
		total++
		missed += m
		if e.N == 1 {
			for range 20 {
				r.Add(tap.Event{})
			}
			r.Close()
		}
	}
	if total+missed != 21 || missed == 0 {
		t.Errorf("%d seen + %d missed of 21", total, missed)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := tap.NewRing(0, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range r.Follow(ctx, 0) {
		t.Error("an event")
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	p := tap.NewPairing("desk")
	at := time.Date(2026, 11, 20, 3, 36, 3, 120481000, time.UTC)
	for _, c := range []struct {
		name string
		e    tap.Event
		want []string // what the JSON of each record contains
	}{
		{"a request", tap.Event{N: 1, Time: at, From: "desk", To: []string{"cam1"}, Via: "tcp", Alg: "HS256", User: "desk", OK: true,
			Frame: []byte(`{"jsonrpc":"2.0","id":7,"method":"lab.snap","params":{"a":1}}`)},
			[]string{`{"v":1,"t":"2026-11-20T03:36:03.120481Z","n":1,"kind":"request","method":"lab.snap","id":7,"conv":"desk/7","from":"desk","to":["cam1"],"params":{"a":1},"bytes":61,"via":"tcp","sec":{"alg":"HS256","sealed":false,"user":"desk","ok":true},"seen_by":"desk","dropped":0}`}},
		{"its reply", tap.Event{N: 2, Time: at.Add(18 * time.Millisecond), Kind: tap.Reply, From: "cam1", To: []string{"desk"}, OK: true, RTT: 18200 * time.Microsecond,
			Frame: []byte(`{"jsonrpc":"2.0","id":7,"result":{"w":1},"meta":{"handler_us":16900}}`)},
			[]string{`"kind":"reply","method":"lab.snap","id":7,"conv":"desk/7","from":"cam1","to":["desk"],"result":{"w":1},"ms":18.2,"handler_ms":16.9`}},
		{"an error", tap.Event{Kind: tap.Reply, From: "cam1", To: []string{"desk"}, Method: "lab.snap", RTT: time.Millisecond,
			Frame: []byte(`{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no","data":[1]}}`)},
			[]string{`"kind":"error","method":"lab.snap","id":7,"conv":"desk/7","from":"cam1","to":["desk"],"code":-32601,"message":"no","data":[1],"ms":1`}},
		{"silence", tap.Event{Kind: tap.Failed, From: "desk", To: []string{"cam1"}, Method: "lab.snap", ID: 9, Reason: "no answer in 2s", RTT: 2 * time.Second},
			[]string{`"kind":"error","method":"lab.snap","id":9,"conv":"desk/9","from":"cam1","to":["desk"],"message":"no answer in 2s","ms":2000`}},
		{"a broadcast", tap.Event{From: "cam1", To: []string{"a", "b"}, ToAll: true, Frame: []byte(`{"jsonrpc":"2.0","method":"lab.frame","params":[1]}`)},
			[]string{`"kind":"notify","method":"lab.frame","from":"cam1","to":["a","b"],"all":true,"params":[1]`}},
		{"a batch", tap.Event{From: "x", To: []string{"y"}, Frame: []byte(`[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","method":"b"}]`)},
			[]string{`"kind":"request","method":"a"`, `"kind":"notify","method":"b"`}},
		{"a change", tap.Event{Kind: tap.Change, From: "cam1", To: []string{"desk"}, Change: "left", Reason: "bye", Address: "h:1", APIs: []string{"lab 1"}},
			[]string{`"kind":"peer","event":"left","peer":"cam1","reason":"bye","address":"h:1","apis":["lab 1"]`}},
		{"a refusal", tap.Event{Kind: tap.Refused, From: "h:1", Code: -32040, Reason: "signature"},
			[]string{`"kind":"security"`}},
		{"nobody listens", tap.Event{Kind: tap.Unheard, Method: "a.b", Reason: "nobody handles a.b"}, []string{`"kind":"note","method":"a.b"`}},
		{"garbage", tap.Event{Frame: []byte(`{`)}, []string{`"kind":"note"`}},
	} {
		records := p.Records(c.e, 0)
		if len(records) != len(c.want) {
			t.Errorf("%s: %d records", c.name, len(records))
			continue
		}
		for i, r := range records {
			raw, err := json.Marshal(r)
			if err != nil || !strings.Contains(string(raw), c.want[i]) {
				t.Errorf("%s: %v\ngot  %s\nwant %s", c.name, err, raw, c.want[i])
			}
		}
	}
}

func TestPairingIsBounded(t *testing.T) {
	t.Parallel()
	p := tap.NewPairing("a")
	for i := range 20_000 {
		p.Records(tap.Event{From: "a", To: []string{"b"}, Frame: []byte(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"m"}`, i))}, 0)
	}
	old := p.Records(tap.Event{Kind: tap.Reply, From: "b", To: []string{"a"}, Frame: []byte(`{"jsonrpc":"2.0","id":1,"result":1}`)}, 0)[0]
	young := p.Records(tap.Event{Kind: tap.Reply, From: "b", To: []string{"a"}, Frame: []byte(`{"jsonrpc":"2.0","id":19999,"result":1}`)}, 0)[0]
	if old.Method != "" || young.Method != "m" {
		t.Errorf("old %q, young %q", old.Method, young.Method)
	}
}

// BenchmarkAdd is what a message costs a peer that is watched.
func BenchmarkAdd(b *testing.B) {
	r := tap.NewRing(0, 0)
	frame := []byte(`{"jsonrpc":"2.0","method":"lab.camera.frame","params":{"seq":1}}`)
	b.ReportAllocs()
	for b.Loop() {
		r.Add(tap.Event{From: "a", Frame: frame})
	}
}
