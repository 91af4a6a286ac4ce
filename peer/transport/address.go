package transport

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"peermesh/codec"
)

// Address is a parsed address expression.
type Address struct {
	Scheme string // tcp, ws or stdio
	Host   string // host:port; empty for stdio
	Path   string // of a WebSocket; /mesh when the expression has none
	Codec  string // the framing that a port is bound to, such as terse; empty: whatever the other end speaks
}

// String returns the expression in full.
func (a Address) String() string {
	switch a.Scheme {
	case "stdio":
		return "stdio:"
	case "ws":
		return "ws://" + a.Host + a.Path
	}
	if a.Codec != "" {
		return a.Scheme + "://" + a.Host + "?codec=" + a.Codec
	}
	return a.Scheme + "://" + a.Host
}

// DefaultPath is where WebSocket connections are accepted.
const DefaultPath = "/mesh"

// ParseAddress reads host:port, :port, tcp://host:port, ws://host:port/path or stdio:. Behind tcp://host:port may stand
// ?codec= with a framing, which binds a listener to it: tcp://127.0.0.1:7119?codec=terse is a port for people. The error
// says what is wrong with the expression.
func ParseAddress(expr string) (Address, error) {
	fail := func(why string) (Address, error) {
		return Address{}, fmt.Errorf("transport: address %q: %s", expr, why)
	}
	switch expr {
	case "stdio:", "stdio":
		return Address{Scheme: "stdio"}, nil
	case "":
		return fail("it is empty; want host:port, tcp://host:port or ws://host:port/path")
	}
	a := Address{Scheme: "tcp", Host: expr}
	if scheme, rest, ok := strings.Cut(expr, "://"); ok {
		a = Address{Scheme: scheme, Host: rest}
		switch scheme {
		case "tcp":
			var query string
			if a.Host, query, _ = strings.Cut(rest, "?"); query != "" {
				if a.Codec, ok = strings.CutPrefix(query, "codec="); !ok {
					return fail("after the ? only codec= is known")
				}
				if _, err := codec.ParseFraming(a.Codec); err != nil {
					return fail(err.Error())
				}
			}
		case "ws":
			u, err := url.Parse(expr)
			if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
				return fail("want ws://host:port/path, without user, query or fragment")
			}
			if a.Host, a.Path = u.Host, u.Path; a.Path == "" || a.Path == "/" {
				a.Path = DefaultPath
			}
			if u.Port() == "" {
				a.Host = net.JoinHostPort(u.Hostname(), "80")
			}
		default:
			return fail("the scheme " + scheme + " is not known; there are tcp, ws and stdio")
		}
	}
	if _, _, err := net.SplitHostPort(a.Host); err != nil {
		return fail("want host:port")
	}
	return a, nil
}

// ParseAddresses reads one expression or mux(expression, expression…), which may nest.
func ParseAddresses(expr string) ([]Address, error) {
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
		return nil, fmt.Errorf("transport: address %q: the parenthesis is not closed", expr)
	}
	var all []Address
	for _, part := range splitOutside(inner) {
		as, err := ParseAddresses(part)
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
