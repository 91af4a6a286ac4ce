package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"peermesh/codec"
)

// MaxPost is the greatest length of the body of a POST request.
const MaxPost = 4 << 20

type connKey struct{}

// newWebServer makes the server behind the listener's HTTP connections.
func newWebServer(l *Listener, hosts []string) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc(DefaultPath, l.upgrade)
	mux.HandleFunc("POST /rpc", l.post)
	return &http.Server{
		Handler:           gate(mux, hosts),
		ReadHeaderTimeout: newTimeout,
		IdleTimeout:       newTimeout,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          discard,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
}

// gate refuses what a web page elsewhere could have sent: requests for foreign host names (DNS rebinding), and any
// request with an Origin. There is no CORS.
func gate(next http.Handler, hosts []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !localHost(r.Host, hosts) {
			http.Error(w, "this host name is not served here", http.StatusForbidden)
			return
		}
		if r.Header.Get("Origin") != "" {
			http.Error(w, "requests of web pages are refused", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func localHost(hostport string, hosts []string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true // a literal address cannot be rebound
	}
	return strings.EqualFold(host, "localhost") || slices.Contains(hosts, strings.ToLower(host))
}

func (l *Listener) upgrade(w http.ResponseWriter, r *http.Request) {
	raw, _ := r.Context().Value(connKey{}).(*slotConn)
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{Subprotocol},
		InsecureSkipVerify: true, // gate has refused every Origin
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil || raw == nil {
		return // Accept has answered
	}
	c := webSocketConn(ws, raw)
	c.admitted = raw.admitted
	l.give(c)
}

// post answers one message. The connection that Accept hands out for it reads the body and ends; what is written to it
// becomes the answer once it is closed.
func (l *Listener) post(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" {
		http.Error(w, "want Content-Type: application/json", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPost))
	if err != nil {
		http.Error(w, "the body is too large or was cut short", http.StatusRequestEntityTooLarge)
		return
	}
	raw, _ := r.Context().Value(connKey{}).(*slotConn)
	if raw == nil {
		return
	}
	x := &exchange{Conn: raw, in: bytes.NewReader(append(body, 0)), done: make(chan struct{})}
	if !l.give(&Conn{Conn: x, Via: "http", Framing: codec.NUL, Once: true}) {
		return
	}
	select {
	case <-x.done:
	case <-r.Context().Done():
		_ = x.Close()
	}
	answer := x.answer()
	if len(answer) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(answer) // the client is gone if this fails
}

// exchange is the net.Conn of one POST request.
type exchange struct {
	net.Conn // for the addresses
	in       *bytes.Reader

	mu     sync.Mutex
	out    []byte
	closed bool
	done   chan struct{}
}

func (x *exchange) Read(p []byte) (int, error) { return x.in.Read(p) }

func (x *exchange) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return 0, net.ErrClosed
	}
	if len(x.out)+len(p) > 4*MaxPost {
		return 0, errors.New("transport: the answer is too large")
	}
	x.out = append(x.out, p...)
	return len(p), nil
}

func (x *exchange) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.closed {
		x.closed = true
		close(x.done)
	}
	return nil
}

func (x *exchange) answer() []byte {
	x.mu.Lock()
	defer x.mu.Unlock()
	return bytes.TrimSuffix(x.out, []byte{0})
}

func (x *exchange) SetDeadline(time.Time) error      { return nil }
func (x *exchange) SetReadDeadline(time.Time) error  { return nil }
func (x *exchange) SetWriteDeadline(time.Time) error { return nil }

// discard swallows what net/http would log of bad requests: it is counted elsewhere, and anybody can cause it.
var discard = log.New(io.Discard, "", 0)
