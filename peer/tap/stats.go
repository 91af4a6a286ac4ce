package tap

import (
	"cmp"
	"slices"
	"time"
)

// Row is what was counted of one method at one peer: of a call, the peer that handles it; of a notification, the one
// that sends it.
type Row struct {
	Method   string    `json:"method"`
	Peer     string    `json:"peer"`
	Kind     string    `json:"kind"` // request or notify
	Count    int       `json:"count"`
	Errors   int       `json:"errors"`
	Bytes    int       `json:"bytes"` // of all messages, replies too
	Rate     float64   `json:"rate"`  // messages a second, over the window
	ByteRate float64   `json:"byte_rate"`
	P50      float64   `json:"p50_ms,omitempty"` // of replies, over the newest 1,024
	P95      float64   `json:"p95_ms,omitempty"`
	P99      float64   `json:"p99_ms,omitempty"`
	Last     time.Time `json:"last"`
}

// Stats counts records by method and peer. It is for one goroutine. At most 4,096 rows are kept; further ones are counted
// together as "…".
type Stats struct {
	window time.Duration
	rows   map[[2]string]*counter
	begun  time.Time
}

type counter struct {
	Row
	times   []float64 // of replies, a ring
	next    int
	buckets []bucket // of the window, one a second
}

type bucket struct {
	second       int64
	count, bytes int
}

const (
	maxRows  = 4096
	maxTimes = 1024
)

// NewStats makes Stats whose rates are those of the newest window, at least a second.
func NewStats(window time.Duration) *Stats {
	return &Stats{window: max(time.Second, window.Truncate(time.Second)), rows: map[[2]string]*counter{}}
}

// Add counts a record. Records that are no messages are left out.
func (s *Stats) Add(r *Record) {
	peer := ""
	switch r.Kind {
	case "notify":
		peer = r.From
	case "request":
		if len(r.To) > 0 {
			peer = r.To[0]
		}
	case "reply", "error":
		peer = r.From
	default:
		return
	}
	if s.begun.IsZero() || r.T.Before(s.begun) {
		s.begun = r.T
	}
	c := s.row(r.Method, peer)
	c.Bytes += r.Bytes * max(1, len(r.To))
	c.Last = r.T
	n := 0
	switch r.Kind {
	case "notify", "request":
		n = max(1, len(r.To))
		c.Count += n
		c.Kind = r.Kind
	case "error":
		c.Errors++
	}
	if (r.Kind == "reply" || r.Kind == "error") && r.MS > 0 {
		if len(c.times) < maxTimes {
			c.times = append(c.times, r.MS)
		} else {
			c.times[c.next] = r.MS
			c.next = (c.next + 1) % maxTimes
		}
	}
	second := r.T.Unix()
	if k := len(c.buckets); k == 0 || c.buckets[k-1].second < second {
		c.buckets = append(c.buckets, bucket{second: second})
		if extra := len(c.buckets) - int(s.window/time.Second) - 1; extra > 0 {
			c.buckets = slices.Delete(c.buckets, 0, extra)
		}
	}
	b := &c.buckets[len(c.buckets)-1]
	b.count += n
	b.bytes += r.Bytes * max(1, len(r.To))
}

func (s *Stats) row(method, peer string) *counter {
	key := [2]string{method, peer}
	c := s.rows[key]
	if c == nil {
		if len(s.rows) >= maxRows {
			if key = [2]string{"…", ""}; s.rows[key] != nil {
				return s.rows[key]
			}
		}
		c = &counter{Row: Row{Method: key[0], Peer: key[1]}}
		s.rows[key] = c
	}
	return c
}

// Rows returns what was counted, as of now: the busiest first.
func (s *Stats) Rows(now time.Time) []Row {
	seconds := min(s.window.Seconds(), max(1, now.Sub(s.begun).Seconds()))
	rows := make([]Row, 0, len(s.rows))
	for _, c := range s.rows {
		r := c.Row
		count, bytes := 0, 0
		for _, b := range c.buckets {
			if now.Unix()-b.second <= int64(s.window/time.Second) {
				count += b.count
				bytes += b.bytes
			}
		}
		r.Rate, r.ByteRate = float64(count)/seconds, float64(bytes)/seconds
		if len(c.times) > 0 {
			sorted := slices.Sorted(slices.Values(c.times))
			at := func(p float64) float64 { return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))] }
			r.P50, r.P95, r.P99 = at(0.5), at(0.95), at(0.99)
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(-cmp.Compare(a.Rate, b.Rate), -cmp.Compare(a.Count, b.Count), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Peer, b.Peer))
	})
	return rows
}
