package transport

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"peermesh/codec"
)

// Address is a parsed address expression.
type Address struct {
	Scheme string // tcp, tcps, ws, wss or stdio
	Host   string // host:port; empty for stdio
	Path   string // of a WebSocket, escaped as in a URL; /mesh when the expression has none
	Codec  string // the framing that a port is bound to, such as terse; empty: whatever the other end speaks
	Pin    string // the TLS key that a dialler demands of tcps and wss, as security.SPKIPin has it; empty: any

	// Protect is the weaker protection with which this one address is dialled, ProtectHMAC or ProtectNone; empty: that
	// of the mesh.
	Protect string
}

// The protections of single addresses, for programs that make no sessions.
const (
	ProtectHMAC = "hmac" // single messages, signed with the mesh's key
	ProtectNone = "none" // nothing
)

// Secure reports whether the address is one of TLS.
func (a Address) Secure() bool { return a.Scheme == "tcps" || a.Scheme == "wss" }

// web reports whether the address is one of WebSocket.
func (a Address) web() bool { return a.Scheme == "ws" || a.Scheme == "wss" }

// String returns the expression in full. Parsing it gives a back.
func (a Address) String() string {
	if a.Scheme == "stdio" {
		return "stdio:"
	}
	s := a.url()
	sep := "?"
	for _, q := range [...][2]string{{"codec", a.Codec}, {"pin", a.Pin}, {"protect", a.Protect}} {
		if q[1] != "" {
			s += sep + q[0] + "=" + q[1]
			sep = "&"
		}
	}
	return s
}

// url returns the expression without its query.
func (a Address) url() string {
	if a.web() {
		u := url.URL{Scheme: a.Scheme, Host: a.Host} // a zone is escaped in URLs
		return u.String() + a.Path
	}
	return a.Scheme + "://" + a.Host
}

// DefaultPath is where WebSocket connections are accepted.
const DefaultPath = "/mesh"

// ParseAddress reads host:port, :port, tcp://host:port, tcps://host:port, ws://host:port/path, wss://host:port/path or
// stdio:. Behind a ? may stand
//
//   - codec= of tcp and tcps, with a framing, which binds a listener to it: tcp://127.0.0.1:7119?codec=terse is a port
//     for people;
//   - pin= of tcps and wss, with sha256/ and the base64url of a key's hash (security.SPKIPin), which a dialler demands;
//   - protect=hmac or protect=none, for a program at that address that makes no sessions: it is dialled with single
//     signed messages, or with unsigned ones;
//
// with & between. The error says what is wrong with the expression.
func ParseAddress(expr string) (Address, error) {
	fail := func(why string) (Address, error) {
		return Address{}, fmt.Errorf("transport: address %.300q: %s", expr, why)
	}
	switch expr {
	case "stdio:", "stdio":
		return Address{Scheme: "stdio"}, nil
	case "":
		return fail("it is empty; want host:port, tcp://host:port or ws://host:port/path")
	}
	a := Address{Scheme: "tcp", Host: expr}
	if scheme, rest, ok := strings.Cut(expr, "://"); ok {
		a = Address{Scheme: scheme}
		var query string
		switch a.Host, query, _ = strings.Cut(rest, "?"); scheme {
		case "tcp", "tcps":
		case "ws", "wss":
			u, err := url.Parse(scheme + "://" + a.Host)
			if err != nil || u.User != nil || strings.Contains(rest, "#") {
				return fail("want " + scheme + "://host:port/path, without user or fragment")
			}
			if a.Host, a.Path = u.Host, u.EscapedPath(); a.Path == "" || a.Path == "/" {
				a.Path = DefaultPath
			}
			if u.Port() == "" {
				a.Host = net.JoinHostPort(u.Hostname(), map[string]string{"ws": "80", "wss": "443"}[scheme])
			}
		default:
			return fail(fmt.Sprintf("the scheme %.60q is not known; there are tcp, tcps, ws, wss and stdio", scheme))
		}
		if query != "" {
			if why := a.query(query); why != "" {
				return fail(why)
			}
		}
	}
	if !validHostPort(a.Host) {
		return fail("want host:port")
	}
	return a, nil
}

func validHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c > '~' || strings.IndexByte(`/\?#@,()<>[]{}"`, c) >= 0 {
			return false
		}
	}
	if strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			return false
		}
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// query reads key=value&key=value into a, or says what is wrong with it.
func (a *Address) query(text string) (problem string) {
	known := map[string][]string{"tcp": {"codec", "protect"}, "tcps": {"codec", "pin", "protect"}, "ws": {"protect"}, "wss": {"pin", "protect"}}[a.Scheme]
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, "&") {
		key, value, _ := strings.Cut(part, "=")
		switch {
		case !slices.Contains(known, key):
			return "after the ? of a " + a.Scheme + " address there may be " + strings.Join(known, "=, ") + "="
		case seen[key]:
			return key + "= is there twice"
		}
		seen[key] = true
		switch key {
		case "codec":
			if _, err := codec.ParseFraming(value); err != nil {
				return err.Error()
			}
			a.Codec = value
		case "protect":
			if value != ProtectHMAC && value != ProtectNone {
				return "protect= is hmac or none"
			}
			a.Protect = value
		case "pin":
			if !validPin(value) {
				return "pin= is sha256/ and 43 characters A-Z a-z 0-9 - _"
			}
			a.Pin = value
		}
	}
	return ""
}

func validPin(s string) bool {
	hash, ok := strings.CutPrefix(s, "sha256/")
	b, err := base64.RawURLEncoding.Strict().DecodeString(hash)
	return ok && err == nil && len(b) == 32 && len(hash) == 43 // the decoder skips line breaks
}

// ParseAddresses reads one expression or mux(expression, expression…), which may nest 16 deep.
func ParseAddresses(expr string) ([]Address, error) { return parseAddresses(expr, 16) }

func parseAddresses(expr string, depth int) ([]Address, error) {
	expr = strings.TrimSpace(expr)
	inner, ok := strings.CutPrefix(expr, "mux(")
	if !ok {
		a, err := ParseAddress(expr)
		if err != nil {
			return nil, err
		}
		return []Address{a}, nil
	}
	inner, ok = strings.CutSuffix(inner, ")")
	if !ok {
		return nil, fmt.Errorf("transport: address %.300q: the parenthesis is not closed", expr)
	}
	if depth == 0 {
		return nil, fmt.Errorf("transport: address %.300q: mux is nested too deep", expr)
	}
	var all []Address
	for _, part := range splitOutside(inner) {
		as, err := parseAddresses(part, depth-1)
		if err != nil {
			return nil, err
		}
		all = append(all, as...)
	}
	return all, nil
}

// splitOutside splits at the commas that stand outside parentheses.
func splitOutside(s string) (parts []string) {
	depth, start := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, s[start:])
}
