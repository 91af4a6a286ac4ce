package page_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peermesh/api"
	"peermesh/cmd/peerctl/page"
	"peermesh/peer"
	"peermesh/peer/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for anything.
const patience = 20 * time.Second

// sham is a mesh in which the test says what is said.
type sham struct {
	mu     sync.Mutex
	record func(*tap.Record)
	calls  []peer.CallRequest
	notes  []peer.NotifyRequest
	doc    json.RawMessage
	ready  chan struct{}
	ended  chan struct{}
	once   sync.Once
}

func (m *sham) Peers(context.Context) (*peer.MeshStatus, error) {
	apis := map[string]api.APIInfo{"lab": {Version: "1", Side: "device", Hash: "1"}}
	return &peer.MeshStatus{Mesh: "bench", Peers: []peer.Status{{Name: "desk", Self: true, State: api.Linked}, {Name: "cam1", APIs: apis, State: api.Linked}}}, nil
}

func (m *sham) Stats(context.Context) (*peer.Stats, error) {
	return &peer.Stats{Refused: map[string]uint64{"key": 3}}, nil
}

func (m *sham) Describe(context.Context, string) (json.RawMessage, error) {
	if m.doc == nil {
		return nil, errors.New("it says nothing")
	}
	return m.doc, nil
}

func (m *sham) Call(_ context.Context, req peer.CallRequest, f func(*peer.CallResult)) error {
	m.mu.Lock()
	m.calls = append(m.calls, req)
	m.mu.Unlock()
	for _, to := range req.To {
		f(&peer.CallResult{Peer: to, MS: 1, Result: json.RawMessage(`{"n":12345678901234567890,"token":"hush"}`)})
	}
	return nil
}

func (m *sham) Notify(_ context.Context, req peer.NotifyRequest) (*peer.NotifyResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes = append(m.notes, req)
	return &peer.NotifyResult{Queued: req.To, Refused: []peer.NotifyRefusal{}}, nil
}

func (m *sham) Watch(_ context.Context, f func(*tap.Record)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.record = f
	m.once.Do(func() { close(m.ready) })
	return nil
}

func (m *sham) Done() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended
}
func (m *sham) Close() error { return nil }

func (m *sham) say(r *tap.Record) {
	m.mu.Lock()
	f := m.record
	m.mu.Unlock()
	f(r)
}

// server is a running site, and a browser's memory for it.
type server struct {
	*page.Site
	t      *testing.T
	mesh   *sham
	origin string
	base   string
	cookie *http.Cookie
	client *http.Client
}

// start runs a site, and logs in.
func start(t *testing.T, change ...func(*page.Config, *sham)) *server {
	t.Helper()
	ln, err := page.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &sham{ready: make(chan struct{}), ended: make(chan struct{})}
	cfg := page.Config{Open: func(context.Context) (page.Mesh, error) { return m, nil }}
	for _, f := range change {
		f(&cfg, m)
	}
	site, err := page.New(ln, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := site.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	s := &server{Site: site, t: t, mesh: m, client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() { cancel(); wg.Wait(); s.client.CloseIdleConnections() })
	var token string
	s.origin, token, _ = strings.Cut(site.Address(), "/#")
	resp := s.ask("POST", "/login", "", "Origin", s.origin, "Authorization", "Bearer "+token)
	var got struct{ Base string }
	if err := json.Unmarshal([]byte(s.body(resp)), &got); err != nil || resp.StatusCode != 200 || len(resp.Cookies()) != 1 {
		t.Fatal(resp.Status, err, resp.Cookies())
	}
	s.base, s.cookie = got.Base, resp.Cookies()[0]
	select {
	case <-m.ready:
	case <-time.After(patience):
		t.Fatal("nobody watches")
	}
	return s
}

// ask makes a request with these headers. Host is one of them.
func (s *server) ask(method, path, body string, headers ...string) *http.Response {
	s.t.Helper()
	resp, err := s.client.Do(s.request(s.t.Context(), method, path, body, headers...))
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

func (s *server) request(ctx context.Context, method, path, body string, headers ...string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, s.origin+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	return r
}

// as makes a request of the page.
func (s *server) as(method, what, body string, headers ...string) *http.Response {
	s.t.Helper()
	return s.ask(method, s.base+what, body, append([]string{"Cookie", s.cookie.Name + "=" + s.cookie.Value, "Origin", s.origin, "Sec-Fetch-Site", "same-origin"}, headers...)...)
}

func (s *server) body(resp *http.Response) string {
	s.t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}
