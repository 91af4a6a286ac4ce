package tap_test

import (
	"fmt"
	"testing"
	"time"

	"peermesh/peer/tap"
)

func TestStats(t *testing.T) {
	t.Parallel()
	s := tap.NewStats(10 * time.Second)
	at := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	for i := range 100 {
		now := at.Add(time.Duration(i) * 100 * time.Millisecond)
		s.Add(&tap.Record{T: now, Kind: "request", Method: "lab.snap", From: "desk", To: []string{"cam1"}, Bytes: 100})
		s.Add(&tap.Record{T: now, Kind: "reply", Method: "lab.snap", From: "cam1", To: []string{"desk"}, Bytes: 50, MS: float64(i + 1)})
	}
	s.Add(&tap.Record{T: at.Add(10 * time.Second), Kind: "error", Method: "lab.snap", From: "cam1", To: []string{"desk"}})
	s.Add(&tap.Record{T: at, Kind: "notify", Method: "lab.frame", From: "cam1", To: []string{"a", "b"}, All: true, Bytes: 10})
	s.Add(&tap.Record{T: at, Kind: "peer", Peer: "x"})
	rows := s.Rows(at.Add(10 * time.Second))
	if len(rows) != 2 {
		t.Fatalf("%+v", rows)
	}
	snap, frame := rows[0], rows[1]
	if snap.Method != "lab.snap" || snap.Peer != "cam1" || snap.Count != 100 || snap.Errors != 1 || snap.Bytes != 15000 || snap.Rate != 10 || snap.P50 != 51 || snap.P95 != 96 || snap.P99 != 100 {
		t.Errorf("%+v", snap)
	}
	if frame.Peer != "cam1" || frame.Kind != "notify" || frame.Count != 2 || frame.Bytes != 20 || frame.Rate != 0.2 {
		t.Errorf("%+v", frame)
	}
	for i := range 10_000 {
		s.Add(&tap.Record{T: at, Kind: "notify", Method: fmt.Sprint("m", i), From: "x"})
	}
	if n := len(s.Rows(at)); n != 4097 {
		t.Errorf("%d rows", n)
	}
}
