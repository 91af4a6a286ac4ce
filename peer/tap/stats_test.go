package tap_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"peermesh/api"
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

type login struct {
	User  string `json:"user"`
	Phone string `json:"phone" writeOnly:"true"`
	Inner struct {
		Note string `json:"note" writeOnly:"true"`
	} `json:"inner"`
	List []struct {
		Code string `json:"code" writeOnly:"true"`
	} `json:"list"`
}

func TestRedactor(t *testing.T) {
	t.Parallel()
	type near struct{}
	type far struct{}
	d := api.Define[near, far]("door", "1", "")
	api.IncomingCall[login, login](d, "open", "")
	r := tap.NewRedactor(d.OpenRPC())
	for _, c := range []struct{ method, in, want string }{
		{"door.open", `{"user":"a","phone":"1","inner":{"note":"n","x":1},"list":[{"code":"2","y":[]},{"code":"3"}]}`,
			`{"user":"a","phone":"•••","inner":{"note":"•••","x":1},"list":[{"code":"•••","y":[]},{"code":"•••"}]}`},
		{"other", `{"user":"a","phone":"1"}`, `{"user":"a","phone":"1"}`},
		{"other", `{"Password":{"deep":[1,2]},"a":[{"api_key":"x"}],"keyboard":"qwerty","key":1,"accessToken":null}`,
			`{"Password":"•••","a":[{"api_key":"•••"}],"keyboard":"qwerty","key":"•••","accessToken":"•••"}`},
		{"other", `["token","secret"]`, `["token","secret"]`},
		{"other", `{"a":`, `{"a":`},
	} {
		rec := tap.Record{Method: c.method, Params: json.RawMessage(c.in), Result: json.RawMessage(c.in)}
		r.Record(&rec)
		if string(rec.Params) != c.want || string(rec.Result) != c.want {
			t.Errorf("%s\ngot  %s\n     %s\nwant %s", c.in, rec.Params, rec.Result, c.want)
		}
	}
}
