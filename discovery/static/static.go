// Package static reports addresses that were listed by hand: for containers, Kubernetes, VPNs, guest networks, and
// wherever else multicast does not get through.
//
// An address is "host:port", or has one of the schemes tcp, tcps, ws and wss in front; ws and wss may have a path.
// Hosts are names or IP addresses, IPv6 in brackets. Names are resolved by whoever dials, each time anew.
//
// Each address is a discovery.Record of its own, without a peer id: that is not known before somebody has linked it.
// The records are Trusted, for they were configured literally, and stay until the source stops.
package static

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"peermesh/discovery"
)

// MaxAddrs is how many addresses one Source takes: half of the table that the records end up in.
const MaxAddrs = discovery.MaxPeers / 2

// Source reports a list of addresses.
type Source struct {
	addrs []string
}

var _ discovery.Source = (*Source)(nil)

// New checks the addresses and makes a source of them. Repetitions are dropped. The error names the address that is
// wrong and says why.
func New(addrs ...string) (*Source, error) {
	s := &Source{}
	for _, a := range addrs {
		a = strings.TrimSpace(a)
		if err := Check(a); err != nil {
			return nil, err
		}
		if !slices.Contains(s.addrs, a) {
			s.addrs = append(s.addrs, a)
		}
	}
	if len(s.addrs) > MaxAddrs {
		return nil, fmt.Errorf("static: %d addresses are listed, at most %d are taken", len(s.addrs), MaxAddrs)
	}
	return s, nil
}

// Check reports what is wrong with an address.
func Check(addr string) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("static: address %q: "+format, append([]any{addr}, args...)...)
	}
	hostport := addr
	if strings.Contains(addr, "://") {
		u, err := url.Parse(addr)
		if err != nil {
			return bad("no URL: %w", err)
		}
		switch u.Scheme {
		case "tcp", "tcps":
			if u.Path != "" {
				return bad("%s takes no path", u.Scheme)
			}
		case "ws", "wss":
		default:
			return bad("scheme %q is none of tcp, tcps, ws, wss", u.Scheme)
		}
		if u.User != nil || u.ForceQuery || u.Fragment != "" { // what a query means, the dialler knows
			return bad("only host, port, path and query are allowed")
		}
		hostport = u.Host
	}
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return bad("want host:port, IPv6 as [addr]:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return bad("port %q is not a number from 1 to 65535", port)
	}
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && (ip.IsUnspecified() || ip.IsMulticast()):
		return bad("%s cannot be dialled", ip)
	case err == nil:
	case host == "":
		return bad("the host is missing")
	case strings.Contains(host, ":"):
		return bad("%q is no IPv6 address", host)
	case len(host) > 253 || strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`/\@?#%"'<>[],;`, r)
	}):
		return bad("%q is no host name", host)
	}
	return nil
}

// Name returns "static".
func (s *Source) Name() string { return "static" }

// Run reports the addresses at once, then waits for ctx to end.
func (s *Source) Run(ctx context.Context, feed *discovery.Feed) error {
	for _, a := range s.addrs {
		feed.Report(discovery.Event{Kind: discovery.Joined, Record: discovery.Record{
			Source:  "static",
			Addrs:   []string{a},
			TLS:     strings.HasPrefix(a, "tcps://") || strings.HasPrefix(a, "wss://"),
			Trusted: true,
		}})
	}
	feed.Asked()
	<-ctx.Done()
	return nil
}

// Status lists the addresses.
func (s *Source) Status() discovery.SourceStatus {
	return discovery.SourceStatus{Notes: slices.Clone(s.addrs)}
}
