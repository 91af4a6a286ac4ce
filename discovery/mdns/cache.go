package mdns

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"peermesh/discovery"
)

// cache holds the peers that were heard of, by id, until their records expire. It is not safe for concurrent use.
type cache struct {
	peers map[string]*cached
	kept  func(id string) bool // is never evicted
}

// cached is one peer.
type cached struct {
	announced
	sameHost bool
	trusted  bool
	heard    time.Time
	seen     map[int]*sighting // by interface index
	bye      bool
}

// sighting is that a peer was heard of on an interface. The same peer may be heard of on several, and is gone when it
// expired on all of them.
type sighting struct {
	iface   string
	ttl     time.Duration
	expires time.Time
	refresh []time.Time // when to ask again, soonest first
}

// goodbyeDelay is for how long a peer that said goodbye is kept: RFC 6762, 10.1 has it one second, which saves a
// restart from looking like a departure.
const goodbyeDelay = time.Second

func newCache(kept func(string) bool) *cache {
	return &cache{peers: make(map[string]*cached), kept: kept}
}

func (c *cached) record() discovery.Record {
	zones := make([]string, 0, len(c.seen))
	for _, s := range c.seen {
		zones = append(zones, s.iface)
	}
	slices.Sort(zones)
	return discovery.Record{
		ID: c.id, Name: c.name, Boot: c.boot, Source: sourceName, TLS: c.tls, Trusted: c.trusted,
		Addrs: c.dialable(slices.Compact(zones), c.sameHost),
	}
}

// put files an announcement. It returns the record, and the peer that had to make room, if any.
func (c *cache) put(
	now time.Time, a announced, index int, iface string, sameHost, trusted bool,
) (rec discovery.Record, evicted *cached, ok bool) {
	p := c.peers[a.id]
	if p == nil {
		if len(c.peers) >= discovery.MaxPeers {
			if evicted = c.oldest(); evicted == nil {
				return rec, nil, false
			}
			delete(c.peers, evicted.id)
		}
		p = &cached{seen: make(map[int]*sighting, 1)}
		c.peers[a.id] = p
	}
	p.sameHost = sameHost || p.sameHost && p.boot == a.boot
	p.announced, p.trusted, p.heard, p.bye = a, trusted, now, false

	s := &sighting{iface: iface, ttl: seconds(a.ttl)}
	s.expires = now.Add(s.ttl)
	// RFC 6762, 5.2: ask at 80, 85, 90 and 95 % of the record's life, each with a variation of 2 %, so that not
	// everybody asks at once.
	for _, percent := range []int64{80, 85, 90, 95} {
		s.refresh = append(s.refresh, now.Add(s.ttl*time.Duration(percent*100+rand.Int64N(200))/10_000))
	}
	p.seen[index] = s
	return p.record(), evicted, true
}

func (c *cache) oldest() *cached {
	var old *cached
	for _, p := range c.peers {
		if (old == nil || p.heard.Before(old.heard)) && !c.kept(p.id) {
			old = p
		}
	}
	return old
}

// goodbye notes that an instance said that it goes. boot is empty if the packet did not say which run of it; that of
// an earlier run, late, takes nobody away.
func (c *cache) goodbye(now time.Time, instance, boot string) {
	for _, p := range c.peers {
		if !strings.EqualFold(p.instance, instance) || boot != "" && boot != p.boot {
			continue
		}
		p.bye = true
		for _, s := range p.seen {
			s.refresh = nil
			if t := now.Add(goodbyeDelay); t.Before(s.expires) {
				s.expires = t
			}
		}
	}
}

// knows reports whether the instance is a peer's that is in the cache.
func (c *cache) knows(instance string) bool {
	for _, p := range c.peers {
		if p.instance == instance {
			return true
		}
	}
	return false
}

// lost forgets what was heard on an interface.
func (c *cache) lost(index int) []discovery.Event {
	return c.forget(discovery.Interface, func(i int, _ *sighting) bool { return i == index })
}

// expire forgets what has expired.
func (c *cache) expire(now time.Time) []discovery.Event {
	return c.forget(discovery.Expired, func(_ int, s *sighting) bool { return !now.Before(s.expires) })
}

func (c *cache) forget(reason string, gone func(int, *sighting) bool) []discovery.Event {
	var out []discovery.Event
	for id, p := range c.peers {
		n := 0
		for i, s := range p.seen {
			if gone(i, s) {
				n++
			}
		}
		if n == 0 {
			continue
		}
		before := p.record()
		maps.DeleteFunc(p.seen, gone)
		switch {
		case len(p.seen) > 0:
			out = append(out, discovery.Event{Kind: discovery.Updated, Record: p.record()})
		default:
			delete(c.peers, id)
			why := reason
			if p.bye {
				why = discovery.Goodbye
			}
			out = append(out, discovery.Event{Kind: discovery.Left, Record: before, Reason: why})
		}
	}
	return out
}

// refreshDue reports whether it is time to ask again because of a record that is about to expire.
func (c *cache) refreshDue(now time.Time) bool {
	due := false
	for _, p := range c.peers {
		for _, s := range p.seen {
			for len(s.refresh) > 0 && !now.Before(s.refresh[0]) {
				s.refresh = s.refresh[1:]
				due = true
			}
		}
	}
	return due
}

// next is when something expires or is to be refreshed; the zero time if never.
func (c *cache) next() time.Time {
	var t time.Time
	for _, p := range c.peers {
		for _, s := range p.seen {
			t = sooner(t, s.expires)
			if len(s.refresh) > 0 {
				t = sooner(t, s.refresh[0])
			}
		}
	}
	return t
}

// known are the answers on an interface that nobody needs to give us again: those with at least half their life left
// (RFC 6762, 7.1), the freshest first.
func (c *cache) known(now time.Time, index int) []knownService {
	var out []knownService
	for _, p := range c.peers {
		s := p.seen[index]
		if s == nil || p.bye {
			continue
		}
		if left := s.expires.Sub(now); left >= s.ttl/2 {
			out = append(out, knownService{p.instance, uint32(left / time.Second)})
		}
	}
	slices.SortFunc(out, func(a, b knownService) int {
		if a.ttl != b.ttl {
			return int(b.ttl) - int(a.ttl)
		}
		return strings.Compare(a.instance, b.instance)
	})
	return out
}

// sooner is the earlier of two times, where zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
