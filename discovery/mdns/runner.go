package mdns

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"peermesh/discovery"
)

// runner is a running Source. One goroutine owns it, the one that called Run; besides it there is a goroutine for each
// socket, which reads and parses and hands over what is about our service.
type runner struct {
	*Source
	feed    *discovery.Feed
	cache   *cache
	watch   *watch
	zone    *zone
	servers map[int]*served // by interface index
	links   map[linkKey]*link
	failed  map[linkKey]error // why a link could not be opened
	used    []iface
	hosts   map[netip.Addr]struct{} // the addresses of this machine
	records *recordSet              // as in zone; nil: nothing to announce
	badSelf error                   // why not, if it is not our wish
	in      chan heard
	readers sync.WaitGroup
	follow  *rate.Limiter // queries for instances that were named without their records

	backoff   *backoff.ExponentialBackOff
	lastPoll  time.Time
	queryAt   time.Time // the next query of the schedule
	extraAt   time.Time // a query out of turn, because a record is about to expire
	lastQuery time.Time
	sweep     bool      // the next query also asks for answers to us alone
	askedAt   time.Time // when the answers to the first query are in; zero before that query
	asked     bool
}

// served is a hashicorp server and the interface that it was started for.
type served struct {
	iface  iface
	server server
}

// heard is a message and how it came.
type heard struct {
	link  *link
	from  netip.AddrPort
	group bool
	*message
}

// minQueryGap is between two queries, however much there is to ask.
const minQueryGap = time.Second

func newRunner(s *Source, feed *discovery.Feed) *runner {
	b := backoff.NewExponentialBackOff() // 1, 3, 9, 27, 60, 60 … s, the more at ease the longer it goes well
	b.InitialInterval, b.Multiplier, b.MaxInterval, b.RandomizationFactor = time.Second, 3, time.Minute, 0.02
	b.Reset()
	return &runner{
		Source: s, feed: feed, cache: newCache(feed.Kept), watch: newWatch(s.time.damp),
		zone: newZone(s.names, &s.stats), servers: make(map[int]*served),
		links: make(map[linkKey]*link), failed: make(map[linkKey]error),
		in: make(chan heard, 256), follow: rate.NewLimiter(2, 4), backoff: b, sweep: true,
	}
}

// step does what is due, and returns when something is due again.
func (r *runner) step(now time.Time) time.Time {
	if r.lastPoll.IsZero() || !now.Before(r.watch.next(r.lastPoll, r.time.poll)) {
		r.poll(now)
	}
	if t := r.cache.next(); !t.IsZero() && !now.Before(t) {
		r.report(r.cache.expire(now))
		if r.cache.refreshDue(now) {
			r.extraAt = later(now, r.lastQuery.Add(minQueryGap))
		}
	}
	if !now.Before(r.queryAt) {
		r.query(now)
		r.queryAt = now.Add(r.backoff.NextBackOff())
	} else if !r.extraAt.IsZero() && !now.Before(r.extraAt) {
		r.query(now)
	}
	for _, l := range r.links {
		r.speak(now, l)
	}
	if !r.asked && !now.Before(r.askedAt) {
		r.asked = true
		r.feed.Asked()
	}

	next := r.watch.next(r.lastPoll, r.time.poll)
	for _, t := range []time.Time{r.cache.next(), r.queryAt, r.extraAt} {
		next = sooner(next, t)
	}
	for _, l := range r.links {
		next = sooner(next, l.next())
	}
	if !r.asked {
		next = sooner(next, r.askedAt)
	}
	return next
}

// drain reads what has been heard, within reason: what is due comes first again after a while.
func (r *runner) drain() {
	for range 64 {
		select {
		case h := <-r.in:
			r.hear(time.Now(), h)
		default:
			return
		}
	}
}

func (r *runner) report(events []discovery.Event) {
	for _, ev := range events {
		r.feed.Report(ev)
	}
}

// poll looks at the interfaces.
func (r *runner) poll(now time.Time) {
	// A machine that slept finds its clocks apart: that of the wall went on. Whoever was there before may be gone, and
	// has in any case not been heard of.
	if last := r.lastPoll; !last.IsZero() && now.Round(0).Sub(last.Round(0))-now.Sub(last) > 10*time.Second {
		r.cfg.Logger.Debug("mdns: the machine slept")
		r.sweepSoon(now)
		for _, l := range r.links {
			l.announceSoon(now, answerGap)
		}
	}
	first := r.lastPoll.IsZero()
	r.lastPoll = now
	all, err := r.net.interfaces()
	if err != nil {
		r.stats.readErrors.Add(1)
		r.cfg.Logger.Debug("mdns: interfaces", "err", err)
		return
	}
	changed := r.watch.look(now, all, first)
	if changed {
		r.hosts = make(map[netip.Addr]struct{})
		for _, i := range r.watch.list() {
			for _, p := range i.addrs {
				r.hosts[p.Addr()] = struct{}{}
			}
		}
	}
	r.syncLinks(now)
	if changed || r.records != nil { // the key to sign with may be another one now
		r.updateRecords(now)
	}
	r.syncServers()
	r.note()
}

// syncLinks opens and closes sockets until they are those of the interfaces to be used. What could not be opened is
// tried again each time.
func (r *runner) syncLinks(now time.Time) {
	before := r.used
	r.used = choose(r.watch.list(), r.cfg.Interfaces)
	want := make(map[linkKey]iface)
	for _, i := range r.used {
		for _, f := range []family{ipv4Family, ipv6Family} {
			if i.speaks(f) {
				want[linkKey{i.index, f}] = i
			}
		}
	}
	for k, l := range r.links {
		if i, ok := want[k]; !ok || !i.equal(l.iface) || l.broken.Load() {
			r.cfg.Logger.Debug("mdns: left", "interface", l.iface.name, "family", l.family)
			l.close()
			delete(r.links, k)
		}
	}
	for _, i := range before {
		if !slices.ContainsFunc(r.used, func(u iface) bool { return u.index == i.index }) {
			r.report(r.cache.lost(i.index))
		}
	}
	clear(r.failed)
	for k, i := range want {
		if r.links[k] != nil {
			continue
		}
		l, err := r.open(i, k.family)
		if err != nil {
			r.failed[k] = err
			continue
		}
		r.cfg.Logger.Debug("mdns: joined", "interface", i.name, "family", k.family)
		r.links[k] = l
		l.announceSoon(now, answerGap)
		r.sweepSoon(now)
	}
}

// syncServers starts and stops hashicorp servers. One is restarted when its interface has changed: after a network
// card was replaced its sockets are still open, but have lost their membership, and it is deaf without an error.
func (r *runner) syncServers() {
	want := make(map[int]iface)
	if r.records != nil {
		var open []iface
		for _, i := range r.used {
			if r.links[linkKey{i.index, ipv4Family}] != nil || r.links[linkKey{i.index, ipv6Family}] != nil {
				open = append(open, i)
			}
		}
		for _, i := range serveOn(open) {
			want[i.index] = i
		}
	}
	for index, s := range r.servers {
		if i, ok := want[index]; !ok || !i.equal(s.iface) {
			_ = s.server.Shutdown()
			delete(r.servers, index)
		}
	}
	for index, i := range want {
		if r.servers[index] != nil {
			continue
		}
		srv, err := r.net.serve(i, r.zone)
		if err != nil {
			// Our own sockets answer everybody all the same. Tried again with the next look at the interfaces.
			r.cfg.Logger.Debug("mdns: server", "interface", i.name, "err", err)
			continue
		}
		r.servers[index] = &served{i, srv}
	}
}

// note tells Status how the interfaces are.
func (r *runner) note() {
	var notes []string
	works := false
	for _, i := range r.used {
		for _, f := range []family{ipv4Family, ipv6Family} {
			k := linkKey{i.index, f}
			l := r.links[k]
			switch {
			case !i.speaks(f):
			case l == nil:
				notes = append(notes, fmt.Sprintf("%s: %s: not joined: %v", i.name, f, r.failed[k]))
			case l.sendErr != nil:
				notes = append(notes, fmt.Sprintf("%s: %s: joined, but sending fails: %v", i.name, f, l.sendErr))
			default:
				works = true
				notes = append(notes, fmt.Sprintf("%s: %s: joined", i.name, f))
			}
		}
	}
	for _, name := range r.cfg.Interfaces {
		if !slices.ContainsFunc(r.used, func(i iface) bool { return i.name == name }) {
			notes = append(notes, fmt.Sprintf("%s: no such interface, or it is down or has no address", name))
		}
	}
	if !works {
		notes = append(notes, "no multicast route")
	}
	if r.badSelf != nil {
		notes = append(notes, r.badSelf.Error())
	}
	r.setNotes(notes)
}

// close takes leave: nobody answers any more, then everybody hears goodbye, then the sockets are closed.
func (r *runner) close() {
	r.zone.records.Store(nil)
	for _, s := range r.servers {
		_ = s.server.Shutdown()
	}
	r.sayGoodbye(r.records)
	for _, l := range r.links {
		l.close()
	}
	r.readers.Wait()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
