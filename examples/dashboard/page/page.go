// Package page serves the dashboard's page to this machine, tells it what comes from the mesh, and takes what it asks
// for.
package page

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"sync"
	"time"

	"peermesh/api"
	"peermesh/examples/dashboard/optics"
)

//go:embed web
var web embed.FS

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Site is the web server's handler. It is safe for concurrent use.
type Site struct {
	port *api.Port[optics.Dashboard, optics.Spectrometer]
	host string // what browsers call this server
	mux  *http.ServeMux

	mu    sync.Mutex
	pages map[chan event]struct{}
}

// event is what a page is told: a spectrum of a spectrometer, or who is there.
type event struct {
	name string
	data any
}

// queued is how many events wait for a page; what is too much for it is left out, for the next spectrum says it better.
const queued = 16

// New makes the site of a bound port, for a server that browsers know as host.
func New(port *api.Port[optics.Dashboard, optics.Spectrometer], host string) *Site {
	files, err := fs.Sub(web, "web")
	if err != nil {
		panic(err) // it is embedded
	}
	s := &Site{port: port, host: host, mux: http.NewServeMux(), pages: map[chan event]struct{}{}}
	s.mux.Handle("GET /", http.FileServerFS(files))
	s.mux.HandleFunc("GET /events", s.events)
	s.mux.HandleFunc("POST /expose", s.expose)
	optics.Spectrum.Handle(port, func(ctx context.Context, in optics.Spectral) error {
		s.tell(event{"spectrum", struct {
			Name string `json:"name"`
			optics.Spectral
		}{api.Sender(ctx).Name, in}})
		return nil
	})
	return s
}

// ServeHTTP serves the page to programs of this machine that ask for it by its own name. What other pages of the browser
// would change is refused.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Host != s.host {
		http.Error(w, "this host name is not served here", http.StatusForbidden)
		return
	}
	http.NewCrossOriginProtection().Handler(s.mux).ServeHTTP(w, r)
}

// Changed tells the pages who is there; it is to be called when that has changed.
func (s *Site) Changed() { s.tell(event{"peers", s.spectrometers()}) }

// spectrometers lists those that are linked, by name.
func (s *Site) spectrometers() []string {
	names := []string{}
	for p := range s.port.Peers() {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

// tell queues an event for each page. It runs on the mesh's goroutines, and so waits for nobody.
func (s *Site) tell(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for page := range s.pages {
		select {
		case page <- e:
		default:
		}
	}
}

// events is a page's stream: https://html.spec.whatwg.org/multipage/server-sent-events.html
func (s *Site) events(w http.ResponseWriter, r *http.Request) {
	page := make(chan event, queued)
	s.mu.Lock()
	s.pages[page] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.pages, page)
		s.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	page <- event{"peers", s.spectrometers()}
	for {
		select {
		case e := <-page:
			text, err := json.Marshal(e.data)
			if err != nil {
				return
			}
			_ = out.SetWriteDeadline(time.Now().Add(10 * time.Second)) // without one it is the server's
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.name, text); err != nil || out.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// expose calls the spectrometer of that name.
func (s *Site) expose(w http.ResponseWriter, r *http.Request) {
	var in optics.Exposure
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&in); err != nil {
		http.Error(w, "want {\"ms\": 20}", http.StatusBadRequest)
		return
	}
	out, err := optics.Expose.Call(r.Context(), s.port, api.To(r.FormValue("to")), in)
	var failed *api.Error
	switch {
	case errors.As(err, &failed):
		http.Error(w, failed.Message, http.StatusUnprocessableEntity)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadGateway)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // who does not read it misses it
	}
}
