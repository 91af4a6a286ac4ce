package transport

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ErrOrigin is returned for what is no origin of web pages, or none that can be told from others: a scheme, a host and
// a port unless it is the scheme's own, all in lower case, such as https://desk.example:8443. "null" and "*" are none.
var ErrOrigin = errors.New("transport: no origin of web pages")

// checkOrigin reports whether an origin is one that a browser sends.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.Scheme+"://"+u.Host != origin || strings.ToLower(origin) != origin ||
		strings.Contains(origin, "*") || strings.HasSuffix(u.Host, ":") {
		return fmt.Errorf("%w: %.100q; want scheme://host or scheme://host:port, in lower case", ErrOrigin, origin)
	}
	if u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
		return fmt.Errorf("%w: %.100q; browsers leave out the port %s", ErrOrigin, origin, u.Port())
	}
	return nil
}

// gate decides which HTTP requests are answered at all: not those that a web page elsewhere could have sent (protocol
// section 5).
type gate struct {
	hosts   []string // in lower case, with or without port
	origins []string
	tokens  *Tokens
}

func newGate(cfg *ListenConfig) (*gate, error) {
	g := &gate{origins: slices.Clone(cfg.Origins), tokens: cfg.Tokens}
	for _, h := range cfg.Hosts {
		g.hosts = append(g.hosts, strings.ToLower(h))
	}
	for _, o := range g.origins {
		if err := checkOrigin(o); err != nil {
			return nil, err
		}
	}
	if len(g.origins) > 0 && g.tokens == nil {
		return nil, errors.New("transport: a listener with origins needs tokens")
	}
	return g, nil
}

// host reports whether a request for this Host is for us. A name that is not configured may have been rebound to our
// address by whoever owns it, and so may the literal address of another machine that forwards to us.
func (g *gate) host(hostport string, local net.Addr) bool {
	hostport = strings.ToLower(hostport)
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = hostport, ""
		if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
			host = host[1 : len(host)-1]
		}
	}
	if slices.Contains(g.hosts, hostport) {
		return true
	}
	if _, own, err := net.SplitHostPort(local.String()); err == nil && port != "" && port != own {
		return false
	}
	if slices.Contains(g.hosts, host) {
		return true
	}
	mine := addrOf(local)
	loopback := !mine.IsValid() || mine.IsLoopback()
	if host == "localhost" {
		return loopback
	}
	asked, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	asked = asked.Unmap().WithZone("")
	return asked == mine.WithZone("") || loopback && asked.IsLoopback()
}

// tokenPrefix begins the subprotocol that carries a token. A token in the URL would be found in logs.
const tokenPrefix = "auth."

// page reports whether a web page may open a WebSocket, and why not. It uses up the page's token.
func (g *gate) page(h http.Header, now time.Time) (refused string) {
	origins := h["Origin"]
	if len(origins) == 0 {
		return "" // no page, or none of a browser that keeps to the rules
	}
	if len(origins) > 1 || !slices.Contains(g.origins, origins[0]) {
		return RefusedOrigin
	}
	var token string
	tokens := 0
	for _, line := range h["Sec-Websocket-Protocol"] {
		for p := range strings.SplitSeq(line, ",") {
			if t, ok := strings.CutPrefix(strings.TrimSpace(p), tokenPrefix); ok {
				token = t
				tokens++
			}
		}
	}
	if tokens != 1 || !g.tokens.take(token, origins[0], now) {
		return RefusedToken
	}
	return ""
}
