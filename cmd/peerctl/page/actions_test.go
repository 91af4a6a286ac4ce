package page_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"peermesh/cmd/peerctl/page"
	"peermesh/peer/tap"
)

// TestOrders: what a page wants sent is checked, and sent as it was written.
func TestOrders(t *testing.T) {
	t.Parallel()
	s := start(t, func(_ *page.Config, m *sham) { m.doc = json.RawMessage(document) })
	events(t, s.as("GET", "events", ""), func(e event) bool { return !strings.Contains(e.data, `"docs":2`) })
	s.mesh.say(&tap.Record{Kind: "request", Method: "lab.enter", Params: json.RawMessage(`{"pin":77}`)})
	s.mesh.say(&tap.Record{Kind: "request", Method: "lab.enter", Cut: true})
	for _, c := range []struct {
		what, order string
		status      int
		want        string
	}{
		{"call", `{"method":"lab.any","params":"{\"n\": 12345678901234567890}","to":["cam1","cam2"],"timeout_ms":70}`, 200, `{"peer":"cam1","ms":1,"result":"{\"n\":12345678901234567890,\"token\":\"•••\"}","hidden":1}`},
		{"call?reveal=1", `{"method":"lab.any","to":["cam1"]}`, 200, `hush`},
		{"call", `{"method":"lab.enter","params":"{\"pin\":\"no number\"}","to":["cam1"]}`, 200, `"schema":true`},
		{"call", `{"method":"lab.enter","params":"{\"pin\":\"no number\"}","to":["cam1"],"anyway":true}`, 200, `"done":true`},
		{"call", `{"method":"lab.enter","seq":1,"to":["cam1"]}`, 200, `"done":true`},
		{"call", `{"method":"lab.enter","seq":2,"to":["cam1"]}`, 410, `too large`},
		{"call", `{"method":"lab.enter","seq":3,"to":["cam1"]}`, 410, `not kept`},
		{"call", `{"method":"lab.any","params":"{\n \"a\": x}","to":["cam1"]}`, 400, `line 2, column 7`},
		{"call", `{"method":"","to":["cam1"]}`, 400, `say which method`},
		{"call", `{"method":"lab.any","to":[]}`, 400, `to whom`},
		{"call", `nonsense`, 400, `invalid`},
		{"notify", `{"method":"lab.tell","params":"[1]","to":["cam1"],"all":true}`, 200, `"queued":["cam1"]`},
		{"docs", ``, 405, ``},
		{"nonsense", ``, 404, ``},
		{"doctor", ``, 404, ``}, // there is none
	} {
		resp := s.as("POST", c.what, c.order)
		if got := s.body(resp); resp.StatusCode != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %s %s", c.what, c.order, resp.Status, got)
		}
	}
	s.mesh.mu.Lock()
	defer s.mesh.mu.Unlock()
	if len(s.mesh.calls) != 4 || string(s.mesh.calls[0].Params) != `{"n": 12345678901234567890}` || s.mesh.calls[0].Timeout != 70 || s.mesh.calls[1].Timeout != 5000 ||
		string(s.mesh.calls[3].Params) != `{"pin":77}` {
		t.Errorf("%+v", s.mesh.calls)
	}
	if len(s.mesh.notes) != 1 || !s.mesh.notes[0].All || string(s.mesh.notes[0].Params) != `[1]` {
		t.Errorf("%+v", s.mesh.notes)
	}
}

// TestBusy: a page has a bounded number of calls under way.
func TestBusy(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 100)
	s := start(t, func(cfg *page.Config, _ *sham) {
		cfg.Doctor = func(ctx context.Context) ([]page.Finding, error) {
			begun <- struct{}{}
			<-ctx.Done()
			return nil, errors.New("given up")
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	for range 16 {
		go func() {
			defer func() { done <- struct{}{} }()
			r := s.request(ctx, "POST", s.base+"doctor", "", "Cookie", s.cookie.Name+"="+s.cookie.Value)
			if resp, err := s.client.Do(r); err == nil {
				_ = resp.Body.Close()
			}
		}()
	}
	for range 16 {
		<-begun
	}
	if resp := s.as("POST", "doctor", ""); resp.StatusCode != 429 || !strings.Contains(s.body(resp), "16 calls") {
		t.Error(resp.Status)
	}
	cancel()
	for range 16 {
		<-done
	}
}

// TestRates: what was said is counted, by method and peer, and by who spoke to whom.
func TestRates(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 100 {
		s.mesh.say(&tap.Record{Kind: "request", Method: "lab.snap", From: "desk", To: []string{"cam1"}, Bytes: 10})
		r := &tap.Record{Kind: "reply", Method: "lab.snap", From: "cam1", To: []string{"desk"}, MS: float64(i + 1), Bytes: 20}
		if i%10 == 0 {
			r.Kind = "error"
		}
		s.mesh.say(r)
		s.mesh.say(&tap.Record{Kind: "notify", Method: "rpc.ping", From: "cam1", To: []string{"desk"}})
	}
	var got struct {
		Rates struct {
			Methods []struct {
				Method, Peer  string
				Calls, Errors int
				P50, P95, P99 float64
			}
			Edges  []struct{ From, To string }
			Series struct {
				Count []int
				P50   []*float64
			}
		}
		Refused map[string]int
	}
	events(t, s.as("GET", "events", ""), func(e event) bool {
		if e.name != "status" {
			return true
		}
		got.Rates.Methods = nil
		if err := json.Unmarshal([]byte(e.data), &got); err != nil {
			t.Error(err)
			return false
		}
		sum := 0
		for _, n := range got.Rates.Series.Count {
			sum += n
		}
		return sum < 200
	})
	if len(got.Rates.Methods) != 1 || len(got.Rates.Edges) != 2 || got.Refused["key"] != 3 {
		t.Fatalf("%+v", got)
	}
	m := got.Rates.Methods[0]
	near := func(got, want float64) bool { return got > want*.93 && got < want*1.07 }
	if m.Method != "lab.snap" || m.Peer != "cam1" || m.Calls != 100 || m.Errors != 10 || !near(m.P50, 50) || !near(m.P95, 95) || !near(m.P99, 99) {
		t.Errorf("%+v", m)
	}
}
