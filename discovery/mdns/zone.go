package mdns

import (
	"strings"
	"sync/atomic"

	hashicorp "github.com/hashicorp/mdns"
	"github.com/miekg/dns"
	"golang.org/x/time/rate"
)

// zone answers the questions that the hashicorp server reads. The library's own zone is not used: it compares names
// with regard to case, has one fixed TTL, no cache-flush bit, and cannot change.
//
// The server answers whoever asked, alone, from port 5353, and routed packets too, so that somebody with a forged
// source address could have it talk to a third. How much, the limiter bounds.
type zone struct {
	names   names
	records atomic.Pointer[recordSet] // nil: nothing to announce
	limit   *rate.Limiter
	stats   *stats
}

var _ hashicorp.Zone = (*zone)(nil)

func newZone(n names, st *stats) *zone {
	return &zone{names: n, limit: rate.NewLimiter(100, 200), stats: st}
}

func isName(a, b string) bool { return strings.EqualFold(a, b) }

// Records answers one question. It is called from the goroutines of several servers.
func (z *zone) Records(q dns.Question) []dns.RR {
	s := z.records.Load()
	if class := q.Qclass &^ cacheFlush; s == nil || class != dns.ClassINET && class != dns.ClassANY {
		return nil
	}
	out := s.answer(z.names, q.Name, q.Qtype)
	if len(out) == 0 {
		return nil
	}
	if !z.limit.Allow() {
		z.stats.limited.Add(1)
		return nil
	}
	z.stats.unicast.Add(1)
	return out
}

func (s *recordSet) answer(n names, name string, qtype uint16) []dns.RR {
	var all []dns.RR
	switch {
	case n.isEnum(name):
		all = []dns.RR{s.enum}
	case n.isService(name):
		if qtype == dns.TypePTR || qtype == dns.TypeANY {
			return append([]dns.RR{s.ptr, s.srv, s.txt}, s.addrs...)
		}
	case isName(name, n.instanceName(s.instance)):
		if qtype == dns.TypeSRV {
			return append([]dns.RR{s.srv}, s.addrs...)
		}
		all = []dns.RR{s.srv, s.txt}
	case isName(name, s.host):
		all = s.addrs
	}
	if qtype == dns.TypeANY {
		return all
	}
	var out []dns.RR
	for _, rr := range all {
		if rr.Header().Rrtype == qtype {
			out = append(out, rr)
		}
	}
	return out
}
