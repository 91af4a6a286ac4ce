package discovery

// Feed is what a Set gives to a Source to work with. All methods may be called from any goroutine; none blocks, and
// none calls back into the source.
type Feed struct {
	set     *Set
	name    string
	self    chan struct{}
	refresh chan struct{}
	asked   chan struct{}

	// Guarded by set.mu.
	isAsked bool
	closed  bool // the source has ended: whatever it still reports is too late
	state   string
	err     error
}

func newFeed(s *Set, name string) *Feed {
	return &Feed{
		set: s, name: name, state: "idle",
		self: make(chan struct{}, 1), refresh: make(chan struct{}, 1), asked: make(chan struct{}),
	}
}

// Self returns what is to be announced now.
func (f *Feed) Self() Announcement { return f.set.Self() }

// SelfChanged delivers a value after Self has changed. Several changes in a row may be delivered as one.
func (f *Feed) SelfChanged() <-chan struct{} { return f.self }

// Refresh delivers a value when somebody wants the source to look again right now.
func (f *Feed) Refresh() <-chan struct{} { return f.refresh }

// Asked says that the source has asked once: its first query went out and the time in which answers are to be expected
// has passed, or it has read all there is to read. Further calls do nothing.
func (f *Feed) Asked() {
	f.set.mu.Lock()
	defer f.set.mu.Unlock()
	f.askedLocked()
}

func (f *Feed) askedLocked() {
	if f.isAsked {
		return
	}
	f.isAsked = true
	close(f.asked)
	f.set.pendingAsk--
	if f.set.pendingAsk == 0 {
		close(f.set.asked)
	}
}

// Report says what the source knows of a peer now. Joined and Updated mean the same: the record replaces what this
// source reported of the peer before. Reporting an unchanged record again is cheap and worth doing whenever the peer
// was heard of: it keeps the peer from being evicted from a full table, and brings it back after it was. Left takes the
// source's record away, for ev.Reason.
//
// A record that has neither an id nor an address, and one of ourselves, is ignored and counted.
func (f *Feed) Report(ev Event) { f.set.report(f, ev) }

// Kept reports whether the peer is linked or pinned, so that a source with a table of its own does not evict it there.
func (f *Feed) Kept(id string) bool {
	f.set.mu.Lock()
	defer f.set.mu.Unlock()
	_, ok := f.set.kept[id]
	return ok
}

// signal leaves one value in a channel of one place.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
