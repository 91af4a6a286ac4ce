package transport

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"peermesh/codec"
)

type connKey struct{}

// newWebServer makes the server behind the listener's HTTP connections.
func newWebServer(l *Listener) *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(l.serve),
		ReadHeaderTimeout: newTimeout,
		IdleTimeout:       newTimeout,
		WriteTimeout:      answerTimeout, // from the request on; post begins it anew
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          discard,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		ConnState: func(_ net.Conn, state http.ConnState) { // Close waits for them
			switch state {
			case http.StateNew:
				l.wg.Add(1)
			case http.StateHijacked, http.StateClosed:
				l.wg.Done()
			}
		},
		DisableGeneralOptionsHandler: true, // it would answer before we are asked
	}
}

// serve answers a request, after it has refused what a web page elsewhere could have sent. There are no CORS headers,
// so that no page can read an answer.
func (l *Listener) serve(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*incoming)
	if !ok {
		return
	}
	if !c.done.Load() {
		w.Header().Set("Connection", "close") // who has proven nothing keeps no place with one request after another
	}
	upgrades := r.URL.Path == DefaultPath || l.addr.web() && r.URL.EscapedPath() == l.addr.Path
	reason := ""
	switch {
	case !l.gate.host(r.Host, c.LocalAddr()):
		reason = RefusedHost
	case upgrades:
		reason = l.gate.page(r.Header, time.Now())
	case r.Header["Origin"] != nil:
		reason = RefusedOrigin
	}
	switch {
	case reason != "":
		l.refused(reason, c)
		http.Error(w, whyRefused[reason], http.StatusForbidden)
	case upgrades:
		l.upgrade(w, r, c)
	case r.URL.Path != "/rpc":
		http.NotFound(w, r)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
	default:
		l.post(w, r, c)
	}
}

var whyRefused = map[string]string{
	RefusedHost:   "this host name is not served here",
	RefusedOrigin: "requests of web pages are refused",
	RefusedToken:  "a web page needs a token that is open for it",
}

func (l *Listener) upgrade(w http.ResponseWriter, r *http.Request, c *incoming) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{Subprotocol},
		InsecureSkipVerify: true, // the gate has looked at Host and Origin
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // Accept has answered
	}
	conn := c.conn(newWebSocket(ws, c), "ws")
	conn.Framing = codec.WS
	if l.give(conn) {
		c.handedOut()
	}
}

// discard swallows what net/http would log of bad requests: it is counted elsewhere, and anybody can cause it.
var discard = log.New(io.Discard, "", 0)
