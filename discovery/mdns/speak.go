package mdns

import (
	"net/netip"
	"time"
)

// sweepSoon starts the queries anew, with one that wants answers to us alone as well.
func (r *runner) sweepSoon(now time.Time) {
	r.backoff.Reset()
	r.sweep = true
	r.queryAt = now
	if !r.lastQuery.IsZero() {
		r.queryAt = later(now, r.lastQuery.Add(minQueryGap))
	}
}

// query asks on all links who is there.
func (r *runner) query(now time.Time) {
	r.lastQuery, r.extraAt = now, time.Time{}
	plain, err := packQuery(r.names, nil)
	if err != nil {
		return // cannot be: the name was checked by New
	}
	sent := false
	for _, l := range r.links {
		known := r.cache.known(now, l.iface.index)
		if r.records != nil {
			// We know ourselves, and so do not answer our own question.
			known = append([]knownService{{r.records.instance, recordTTL}}, known...)
		}
		if b, err := packQuery(r.names, known); err == nil && r.send(l, b) {
			r.stats.asked.Add(1)
			sent = true
		}
		if r.sweep && l.asker != nil && l.asker.send(plain) == nil {
			r.stats.asked.Add(1)
			sent = true
		}
	}
	r.sweep = r.sweep && !sent
	if !r.asked {
		r.askedAt = now
		if sent {
			r.askedAt = now.Add(r.time.window)
		}
	}
}

// send sends to the group on one link. Trouble is counted and shown, and concerns this link alone.
func (r *runner) send(l *link, b []byte) bool {
	err := l.group.send(b)
	if err != nil {
		r.stats.sendErrors.Add(1)
	}
	if (err == nil) != (l.sendErr == nil) {
		l.sendErr = err
		r.note()
	}
	return err == nil
}

// speak announces and answers on one link, as far as it is due.
func (r *runner) speak(now time.Time, l *link) {
	if r.records == nil {
		l.announceLeft, l.announceAt, l.full, l.enum = 0, time.Time{}, answer{}, answer{}
		return
	}
	switch {
	case l.announceLeft > 0 && !now.Before(l.announceAt):
		l.announceLeft--
		l.announceAt = time.Time{}
		if l.announceLeft > 0 {
			l.announceAt = now.Add(answerGap)
		}
		if r.send(l, r.records.announcement) {
			r.stats.announced.Add(1)
			l.failures = 0
		} else {
			// An IPv6 address needs a second or two before it can be sent from.
			l.announceLeft, l.announceAt = 2, now.Add(min(retryAnnounce<<min(l.failures, 6), time.Minute))
			l.failures++
		}
		l.full.said(now)
	case l.full.due(now):
		if r.send(l, r.records.announcement) {
			r.stats.answered.Add(1)
		}
		l.full.said(now)
	}
	if l.enum.due(now) {
		if r.send(l, r.records.enumeration) {
			r.stats.answered.Add(1)
		}
		l.enum.said(now)
	}
}

// retryAnnounce is the time before the second attempt to announce on a link that does not let us send. It doubles with
// each further one, up to a minute.
const retryAnnounce = time.Second

// updateRecords makes the records anew of what is to be announced, and announces them if they have changed.
func (r *runner) updateRecords(now time.Time) {
	self := r.feed.Self()
	var next *recordSet
	r.badSelf = nil
	if self.Announces() {
		addrs := announceable(r.used)
		if len(self.Addrs) > 0 {
			addrs = addrs[:0]
			for _, s := range self.Addrs {
				if a, err := netip.ParseAddr(s); err == nil {
					addrs = append(addrs, a)
				}
			}
		}
		if len(r.used) > 0 { // else there is nobody to tell, and no address to tell of
			next, r.badSelf = newRecordSet(r.names, self, addrs, r.cfg.Keys.Load())
		}
	}
	old := r.records
	if next != nil && old != nil && next.same(old) {
		return
	}
	if old != nil && (next == nil || next.instance != old.instance || next.host != old.host) {
		r.sayGoodbye(old)
	}
	r.records = next
	r.zone.records.Store(next)
	if next != nil {
		for _, l := range r.links {
			l.announceSoon(now, answerGap)
		}
	}
	r.syncServers()
	r.note()
}

func (r *runner) sayGoodbye(old *recordSet) {
	if old == nil {
		return
	}
	for _, l := range r.links {
		if r.send(l, old.goodbye) {
			r.stats.goodbyes.Add(1)
		}
	}
}
