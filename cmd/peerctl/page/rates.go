package page

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"peermesh/peer/tap"
)

const (
	seriesLength = 300 // seconds that are drawn
	slotLength   = 5   // seconds
	slots        = 12  // of a method's window
	maxMethods   = 500 // methods of peers that are counted one by one
	otherMethods = "(others)"
)

// rates counts messages: of the last minutes second by second, and of the last minute by method and peer, and by who
// spoke to whom. The protocol's own messages are not counted.
type rates struct {
	mu      sync.Mutex
	seconds [seriesLength]second
	methods map[methodKey]*methodCount
	edges   map[edgeKey]*[slots]edgeSlot
}

type second struct {
	at            int64
	count, errors uint32
	bytes         uint64
	times         histogram
}

type methodKey struct{ method, peer string }

type edgeKey struct{ from, to string }

// methodCount is of a window of slots.
type methodCount struct{ slots [slots]methodSlot }

type methodSlot struct {
	at                  int64
	count, calls, fails uint32
	bytes               uint64
	times               *histogram
}

type edgeSlot struct {
	at    int64
	count uint32
}

func newRates() *rates {
	return &rates{methods: map[methodKey]*methodCount{}, edges: map[edgeKey]*[slots]edgeSlot{}}
}

func (s *rates) second(now int64) *second {
	b := &s.seconds[now%seriesLength]
	if b.at != now {
		*b = second{at: now}
	}
	return b
}

func (s *rates) method(k methodKey, now int64) *methodSlot {
	c := s.methods[k]
	if c == nil {
		if len(s.methods) >= maxMethods {
			k = methodKey{otherMethods, ""}
			c = s.methods[k]
		}
		if c == nil {
			c = &methodCount{}
			s.methods[k] = c
		}
	}
	b := &c.slots[now/slotLength%slots]
	if b.at != now/slotLength {
		*b = methodSlot{at: now / slotLength}
	}
	return b
}

func (s *rates) edge(from, to string, now int64) {
	if from == "" || to == "" {
		return
	}
	k := edgeKey{from, to}
	e := s.edges[k]
	if e == nil {
		if len(s.edges) >= maxMethods {
			return
		}
		e = new([slots]edgeSlot)
		s.edges[k] = e
	}
	b := &e[now/slotLength%slots]
	if b.at != now/slotLength {
		*b = edgeSlot{at: now / slotLength}
	}
	b.count++
}

// add counts a record.
func (s *rates) add(r *tap.Record, at time.Time) {
	if strings.HasPrefix(r.Method, "rpc.") {
		return
	}
	now := at.Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Kind {
	case "request":
		for _, to := range r.To {
			m := s.method(methodKey{r.Method, to}, now)
			m.count++
			m.calls++
			m.bytes += uint64(r.Bytes)
		}
	case "notify":
		m := s.method(methodKey{r.Method, r.From}, now)
		m.count++
		m.bytes += uint64(r.Bytes)
	case "reply", "error":
		m := s.method(methodKey{r.Method, r.From}, now)
		m.bytes += uint64(r.Bytes)
		if r.Kind == "error" {
			m.fails++
		}
		if r.MS > 0 {
			if m.times == nil {
				m.times = &histogram{}
			}
			m.times.add(r.MS)
			s.second(now).times.add(r.MS)
		}
	case "security":
	default:
		return
	}
	b := s.second(now)
	b.count++
	b.bytes += uint64(r.Bytes)
	if r.Kind == "error" || r.Kind == "security" {
		b.errors++
	}
	for _, to := range r.To {
		s.edge(r.From, to, now)
	}
}

// ratesText is the rates as JSON.
type ratesText struct {
	At      int64        `json:"at"` // the second that the series end with
	Series  seriesText   `json:"series"`
	Methods []methodText `json:"methods"`
	Edges   []edgeText   `json:"edges"`
}

type seriesText struct {
	Count  []uint32   `json:"count"`
	Errors []uint32   `json:"errors"`
	Bytes  []uint64   `json:"bytes"`
	P50    []*float64 `json:"p50"`
	P95    []*float64 `json:"p95"`
	P99    []*float64 `json:"p99"`
}

type methodText struct {
	Method string   `json:"method"`
	Peer   string   `json:"peer"`
	Rate   float64  `json:"rate"` // requests and notifications a second
	Calls  uint32   `json:"calls"`
	Errors uint32   `json:"errors"`
	Bytes  float64  `json:"bytes"` // a second
	P50    *float64 `json:"p50"`
	P95    *float64 `json:"p95"`
	P99    *float64 `json:"p99"`
}

type edgeText struct {
	From string  `json:"from"`
	To   string  `json:"to"`
	Rate float64 `json:"rate"`
}

// snapshot tells what was counted, up to the last full second. What was not seen for a window is forgotten.
func (s *rates) snapshot(at time.Time) *ratesText {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := at.Unix()
	out := &ratesText{At: now - 1, Methods: []methodText{}, Edges: []edgeText{}}
	for t := now - seriesLength + 1; t < now; t++ {
		b := &s.seconds[t%seriesLength]
		if b.at != t {
			b = &second{}
		}
		x := &out.Series
		x.Count, x.Errors, x.Bytes = append(x.Count, b.count), append(x.Errors, b.errors), append(x.Bytes, b.bytes)
		x.P50, x.P95, x.P99 = append(x.P50, b.times.percentile(.5)), append(x.P95, b.times.percentile(.95)), append(x.P99, b.times.percentile(.99))
	}
	oldest := now/slotLength - slots + 1
	for k, c := range s.methods {
		if t, ok := c.text(k, oldest, now); ok {
			out.Methods = append(out.Methods, t)
		} else {
			delete(s.methods, k)
		}
	}
	for k, e := range s.edges {
		var n uint32
		first := now / slotLength
		for i := range e {
			if e[i].at >= oldest {
				n, first = n+e[i].count, min(first, e[i].at)
			}
		}
		if n == 0 {
			delete(s.edges, k)
			continue
		}
		out.Edges = append(out.Edges, edgeText{k.from, k.to, float64(n) / float64(now-first*slotLength+1)})
	}
	slices.SortFunc(out.Methods, func(a, b methodText) int {
		return cmp.Or(strings.Compare(a.Method, b.Method), strings.Compare(a.Peer, b.Peer))
	})
	slices.SortFunc(out.Edges, func(a, b edgeText) int {
		return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
	})
	return out
}

func (c *methodCount) text(k methodKey, oldest, now int64) (t methodText, some bool) {
	t.Method, t.Peer = k.method, k.peer
	var times histogram
	var count uint32
	var bytes uint64
	first := now / slotLength
	for i := range c.slots {
		b := &c.slots[i]
		if b.at < oldest {
			b.times = nil
			continue
		}
		some, first = true, min(first, b.at)
		count, bytes = count+b.count, bytes+b.bytes
		t.Calls, t.Errors = t.Calls+b.calls, t.Errors+b.fails
		if b.times != nil {
			times.join(b.times)
		}
	}
	length := float64(now - first*slotLength + 1)
	t.Rate, t.Bytes = float64(count)/length, float64(bytes)/length
	t.P50, t.P95, t.P99 = times.percentile(.5), times.percentile(.95), times.percentile(.99)
	return t, some
}
