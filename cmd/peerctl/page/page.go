// Package page serves the page of the sniffer: what is said in a mesh, as it is said, in a browser on the same machine.
//
// A Site watches the mesh through a running peer and keeps the newest records; a page is only a view of them, so that
// nothing is lost while none is open. Records go to the page as server-sent events, what the page wants done comes as
// POST. The files are embedded, plain ES modules that no build has touched.
//
// # Security
//
// Whoever uses a page can do in the mesh what this user can, and every site that the user visits can send requests to
// this machine. So a Site listens on loopback only, answers to no other host name than its own (DNS rebinding), and asks
// for two things of each request but for the files, which are public: a path that nobody can guess, and a cookie that
// goes to this path alone, since cookies are sent to all ports of a host. A page gets both for the token of the address
// that was printed; the token stands behind the # and so is in no request line, log or Referer. Requests that change
// something must not come from another site's page either. The policy (CSP) allows the site's own scripts alone, and no
// text that becomes one; payloads are shown as text.
//
// What looks like a secret does not go to the page unless its user asks for it; see tap.Redactor.
//
// # Bounds
//
// 10,000 records and 64 MiB, whichever comes first; the oldest give way, and the page says how many did. A page that
// does not keep up misses records, and is told how many; nothing waits for it.
package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"peermesh/peer"
	"peermesh/peer/tap"
)

// Mesh is what the page needs of a mesh. *peer.Control is one.
type Mesh interface {
	Peers(ctx context.Context) (*peer.MeshStatus, error)
	Stats(ctx context.Context) (*peer.Stats, error)
	Describe(ctx context.Context, peer string) (json.RawMessage, error)
	Call(ctx context.Context, req peer.CallRequest, f func(*peer.CallResult)) error
	Notify(ctx context.Context, req peer.NotifyRequest) (*peer.NotifyResult, error)
	Watch(ctx context.Context, f func(*tap.Record)) error
	Done() <-chan struct{}
	Close() error
}

var _ Mesh = (*peer.Control)(nil)

// Finding is one line of what doctor finds.
type Finding struct {
	Level string `json:"level"` // ok, warn, FAIL or skip
	Text  string `json:"text"`
	Next  string `json:"next,omitempty"` // what to do about it
}

// Config says what a Site shows.
type Config struct {
	// Open connects to the mesh. It is called again when a connection has ended, and for each call, so that calls do not
	// wait for each other. It must be safe for concurrent use.
	Open func(ctx context.Context) (Mesh, error)
	// Doctor examines the mesh; nil: the page has no such pane.
	Doctor func(ctx context.Context) ([]Finding, error)
	// Timeout is how long calls wait for an answer unless the page says otherwise; 0: 5 s.
	Timeout time.Duration
	// Version is shown.
	Version string
	// Logger; nil: nothing is logged.
	Logger *slog.Logger
}

// Site is the page's server. Make one with New, serve it with Run. It is safe for concurrent use.
type Site struct {
	cfg    Config
	ln     net.Listener
	origin string
	files  *files
	guard  *guard
	kept   *collector
	rates  *rates
	docs   *catalog
	status *status
	epoch  string        // tells the numbers of this site from those of one before
	slots  chan struct{} // of calls

	mu      sync.Mutex
	ended   bool // Run has ended, or waits for the requests
	serving sync.WaitGroup
}

// Listen listens for browsers on an address of this machine; any other is refused.
func Listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	at, err := netip.ParseAddrPort(ln.Addr().String())
	if err != nil || !at.Addr().IsLoopback() {
		return nil, errors.Join(fmt.Errorf("page: %s is not for this machine alone: say 127.0.0.1:0", addr), ln.Close())
	}
	return ln, nil
}

// callsAtOnce bounds the calls, notifications and examinations that pages have under way.
const callsAtOnce = 16

// New makes a site on a listener of Listen. The listener belongs to Run.
func New(ln net.Listener, cfg Config) (*Site, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	f, err := openFiles()
	if err != nil {
		return nil, err
	}
	s := &Site{cfg: cfg, ln: ln, origin: "http://" + ln.Addr().String(), files: f, kept: newCollector(), rates: newRates(), docs: newCatalog(),
		status: newStatus(), epoch: secret()[:8], slots: make(chan struct{}, callsAtOnce)}
	s.guard = newGuard(s.origin, f.policy)
	return s, nil
}

// Address is what a person opens: the token in it is good for as long as the site runs.
func (s *Site) Address() string { return s.origin + "/#" + s.guard.token }

// OneTimeAddress is an address for a program to open, since other users of the machine may see what programs are told:
// it is good once, and for a minute.
func (s *Site) OneTimeAddress() string { return s.origin + "/#" + s.guard.once() }

// Run serves the site and watches the mesh until ctx ends, once. When it returns nothing of it runs any more.
func (s *Site) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	web := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug)}
	var wg sync.WaitGroup
	wg.Go(func() { s.follow(ctx) })
	wg.Go(func() {
		<-ctx.Done()
		_ = web.Close() // there is nothing to report
	})
	err := web.Serve(s.ln)
	cancel()
	wg.Wait()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.serving.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// ServeHTTP implements http.Handler. Run waits for the requests that it serves.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.serving.Add(1)
	s.mu.Unlock()
	defer s.serving.Done()
	rest, ok := s.guard.admit(w, r)
	if !ok {
		return
	}
	if rest == "" {
		s.files.serve(w, r)
		return
	}
	what, known := map[string]struct {
		method string
		serve  http.HandlerFunc
	}{
		"events": {http.MethodGet, s.events},
		"record": {http.MethodGet, s.record},
		"docs":   {http.MethodGet, s.documents},
		"export": {http.MethodPost, s.export},
		"call":   {http.MethodPost, s.call},
		"notify": {http.MethodPost, s.notify},
		"doctor": {http.MethodPost, s.doctor},
	}[rest]
	switch {
	case !known:
		http.NotFound(w, r)
	case r.Method != what.method:
		w.Header().Set("Allow", what.method)
		http.Error(w, "want "+what.method, http.StatusMethodNotAllowed)
	default:
		what.serve(w, r)
	}
}
