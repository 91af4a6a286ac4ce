package discovery

import (
	"container/list"
	"net/netip"
	"slices"
	"strings"
)

// entry is one peer of a Set: what each source says of it, and what of that the consumer has been told.
type entry struct {
	key    string
	from   map[*Feed]Record
	now    Record // merged; valid while from is not empty
	told   Record // what the consumer knows; valid while isTold
	isTold bool
	reason string // of the last loss
	seen   uint64 // order of the last report, for eviction
	place  *list.Element
	queue  *list.List // the queue that place is in
}

func (e *entry) live() bool { return len(e.from) > 0 }

// table holds the entries and the changes that the consumer has not been told yet.
//
// A change is not an event in a queue but a peer in a queue: the event is the difference between what the consumer was
// told of the peer and what is known of it when the consumer asks. So nothing is dropped when the consumer is slow,
// and nothing piles up: joins and leaves that cancel each other are never seen, and as departures are delivered before
// arrivals, the consumer never knows of more than MaxPeers peers. All methods need the Set's lock.
type table struct {
	entries map[string]*entry
	live    int
	left    list.List // of *entry, told and no longer live
	changed list.List // of *entry, live
	clock   uint64

	evicted uint64 // peers that made room for others
	ignored uint64 // reports that found no room, or were of no use
	own     uint64 // reports of our own id
}

// put files what a source says of a peer. It reports whether there was something to tell.
func (t *table) put(f *Feed, feeds []*Feed, rec Record, own []netip.Prefix, kept func(string) bool) bool {
	key := rec.key()
	e := t.entries[key]
	t.clock++
	if e != nil && e.live() {
		e.seen = t.clock
		if old, ok := e.from[f]; ok && old.Equal(rec) {
			return false
		}
	} else {
		if t.live >= MaxPeers && !t.evict(rec.Trusted, kept) {
			t.ignored++
			return false
		}
		if e = t.entries[key]; e == nil {
			e = &entry{key: key, from: make(map[*Feed]Record, 1)}
			t.entries[key] = e
		}
		e.seen = t.clock
		t.live++
	}
	e.from[f] = rec
	e.now = merge(e.from, feeds, own)
	t.settle(e)
	return true
}

// drop takes away what a source said of a peer.
func (t *table) drop(f *Feed, feeds []*Feed, key, reason string, own []netip.Prefix) bool {
	e := t.entries[key]
	if e == nil {
		return false
	}
	if _, ok := e.from[f]; !ok {
		return false
	}
	delete(e.from, f)
	if e.live() {
		e.now = merge(e.from, feeds, own)
	} else {
		e.reason = reason
		t.live--
	}
	t.settle(e)
	return true
}

// remove takes away what all sources said of a peer.
func (t *table) remove(e *entry, reason string) {
	clear(e.from)
	e.reason = reason
	t.live--
	t.settle(e)
}

// evict makes room for a newcomer: among the peers that nobody keeps and that are not worth more than the newcomer, the
// least trusted goes, and among those the one that was not heard of for longest.
func (t *table) evict(trusted bool, kept func(string) bool) bool {
	var victim *entry
	for _, e := range t.entries {
		if !e.live() || e.now.ID == "" || kept(e.now.ID) || e.now.Trusted && !trusted {
			continue
		}
		if victim == nil || victim.now.Trusted && !e.now.Trusted ||
			victim.now.Trusted == e.now.Trusted && e.seen < victim.seen {
			victim = e
		}
	}
	if victim == nil {
		return false
	}
	t.evicted++
	t.remove(victim, Evicted)
	return true
}

// settle puts an entry into the queue where it belongs, out of the other, or out of the table.
func (t *table) settle(e *entry) {
	var want *list.List
	switch {
	case e.live() && (!e.isTold || !e.told.Equal(e.now)):
		want = &t.changed
	case !e.live() && e.isTold:
		want = &t.left
	}
	if e.queue != want {
		if e.queue != nil {
			e.queue.Remove(e.place)
			e.queue, e.place = nil, nil
		}
		if want != nil {
			e.queue, e.place = want, want.PushBack(e)
		}
	}
	if !e.live() && !e.isTold {
		delete(t.entries, e.key)
	}
}

// pending reports how many events wait for the consumer.
func (t *table) pending() int { return t.left.Len() + t.changed.Len() }

// next takes the next event.
func (t *table) next() (Event, bool) {
	if el := t.left.Front(); el != nil {
		e := el.Value.(*entry)
		ev := Event{Kind: Left, Record: e.told, Reason: e.reason}
		e.isTold, e.told = false, Record{}
		t.settle(e)
		return ev, true
	}
	if el := t.changed.Front(); el != nil {
		e := el.Value.(*entry)
		ev := Event{Kind: Joined, Record: e.now}
		if e.isTold {
			ev.Kind = Updated
		}
		e.isTold, e.told = true, e.now
		t.settle(e)
		return ev, true
	}
	return Event{}, false
}

// merge makes one record of what several sources say. What is proven or configured is not diluted: as soon as one
// record is trusted, those that are not count for nothing. Name, boot and TLS are those of the newest boot, so that a
// restart that one source has noticed is not undone by another that has not.
func merge(from map[*Feed]Record, feeds []*Feed, own []netip.Prefix) Record {
	trusted := false
	for _, r := range from {
		trusted = trusted || r.Trusted
	}
	var (
		out     Record
		first   = true
		addrs   []string
		sources []string
	)
	for _, f := range feeds { // in the order in which the sources were given
		r, ok := from[f]
		if !ok || trusted && !r.Trusted {
			continue
		}
		if first || r.Boot > out.Boot {
			out = r
		}
		first = false
		addrs = append(addrs, r.Addrs...)
		if !slices.Contains(sources, r.Source) {
			sources = append(sources, r.Source)
		}
	}
	slices.Sort(sources)
	out.Source = strings.Join(sources, ",")
	out.Trusted = trusted
	out.Addrs = rankAddrs(addrs, own)
	return out
}
