package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of a Set.
var (
	ErrStopped = errors.New("discovery: stopped")        // returned by Next after Run has returned
	ErrRan     = errors.New("discovery: has run before") // returned by Run when it is called twice
)

// Config says how a Set works. The zero value does: it announces nothing until Update, and logs nowhere.
type Config struct {
	// Self is announced from the start. It may be changed by Update.
	Self Announcement
	// Logger takes a warning when a source fails, and every change at debug level. nil discards.
	Logger *slog.Logger
}

// Set runs several sources side by side and merges what they find by peer id: the union of a peer's addresses, and one
// departure, when the last source has lost the peer.
//
// All methods may be called at any time from any goroutine. No method but Run and Next blocks, and a Set calls nobody
// back: the consumer takes the events, at its own pace, from Next.
type Set struct {
	log     *slog.Logger
	sources []Source
	feeds   []*Feed // of the sources, in their order
	asked   chan struct{}
	done    chan struct{}
	wake    chan struct{} // there may be an event
	subnets func() []netip.Prefix
	ours    atomic.Pointer[subnetList]

	mu         sync.Mutex
	self       Announcement
	table      table
	kept       map[string]struct{}
	pendingAsk int
	ran        bool
}

// subnetList is what our subnets were when they were read.
type subnetList struct {
	at   time.Time
	list []netip.Prefix
}

// New makes a Set of sources; where several contribute equally good addresses to a peer, those of the source named
// first come first. Nothing happens before Run. It is an error if cfg.Self is not valid.
func New(cfg Config, sources ...Source) (*Set, error) {
	if err := cfg.Self.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Set{
		log:        cfg.Logger,
		sources:    slices.Clone(sources),
		asked:      make(chan struct{}),
		done:       make(chan struct{}),
		wake:       make(chan struct{}, 1),
		subnets:    interfaceSubnets,
		self:       cfg.Self.clone(),
		table:      table{entries: make(map[string]*entry)},
		kept:       make(map[string]struct{}),
		pendingAsk: len(sources),
	}
	for _, src := range sources {
		s.feeds = append(s.feeds, newFeed(s, src.Name()))
	}
	if len(sources) == 0 {
		close(s.asked)
	}
	return s, nil
}

func (a Announcement) clone() Announcement {
	a.Addrs = slices.Clone(a.Addrs)
	return a
}

// Run runs the sources until ctx ends and all of them have said goodbye and returned; then it returns nil. A source
// that fails is logged and shown by Status, its records leave, and the others go on. A Set runs once: a second call
// returns ErrRan.
func (s *Set) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.ran {
		s.mu.Unlock()
		return ErrRan
	}
	s.ran = true
	s.mu.Unlock()
	defer close(s.done)

	var wg sync.WaitGroup
	for i, src := range s.sources {
		f := s.feeds[i]
		wg.Go(func() {
			s.setState(f, "running", nil)
			err := runSource(ctx, src, f)
			s.ended(ctx, f, err)
		})
	}
	<-ctx.Done()
	wg.Wait()
	return nil
}

// runSource makes an error of a source's panic: one source must not take the process with it.
func runSource(ctx context.Context, src Source, f *Feed) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("discovery: source %s panicked: %v", f.name, p)
		}
	}()
	return src.Run(ctx, f)
}

func (s *Set) setState(f *Feed, state string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.state, f.err = state, err
}

// ended takes leave of a source.
func (s *Set) ended(ctx context.Context, f *Feed, err error) {
	stopping := ctx.Err() != nil
	switch {
	case err != nil && !(stopping && errors.Is(err, ctx.Err())):
		s.setState(f, "failed", err)
		s.log.Warn("a discovery source failed, the others go on", "source", f.name, "err", err)
	default:
		s.setState(f, "stopped", nil)
	}
	own := s.ownSubnets()
	s.mu.Lock()
	defer s.mu.Unlock()
	f.closed = true
	f.askedLocked()
	if stopping {
		return // nobody is told that everybody left because we did
	}
	for key := range s.table.entries {
		s.table.drop(f, s.feeds, key, Removed, own)
	}
	signal(s.wake)
}

// report files what a source says.
func (s *Set) report(f *Feed, ev Event) {
	rec := ev.Record
	if len(rec.Addrs) > 4*MaxAddrs {
		rec.Addrs = rec.Addrs[:4*MaxAddrs]
	}
	rec.Addrs = slices.Clone(rec.Addrs)
	own := s.ownSubnets()

	s.mu.Lock()
	defer s.mu.Unlock()
	key := rec.key()
	switch {
	case f.closed:
		return
	case key == "" || len(rec.Addrs) == 0 && ev.Kind != Left:
		s.table.ignored++
		return
	case rec.ID != "" && rec.ID == s.self.ID:
		s.table.own++
		return
	}
	var news bool
	if ev.Kind == Left {
		news = s.table.drop(f, s.feeds, key, ev.Reason, own)
	} else {
		news = s.table.put(f, s.feeds, rec, own, s.keptLocked)
	}
	if !news {
		return
	}
	signal(s.wake)
}

func (s *Set) keptLocked(id string) bool {
	_, ok := s.kept[id]
	return ok
}

// ownSubnets returns our subnets, read not long ago. It asks the system and so is not for holders of the lock.
func (s *Set) ownSubnets() []netip.Prefix {
	now := time.Now()
	if l := s.ours.Load(); l != nil && now.Sub(l.at) < subnetsAge {
		return l.list
	}
	l := &subnetList{now, s.subnets()}
	s.ours.Store(l)
	return l.list
}

// Next waits for the next event. It returns the error of ctx when that ends first, and ErrStopped after Run has
// returned. A consumer that takes its time loses nothing that still matters: changes of one peer that it has not seen
// yet are delivered as one, and a peer that came and went in between is not mentioned. Departures come first.
func (s *Set) Next(ctx context.Context) (Event, error) {
	for {
		select { // rather stop than go on, when both is possible
		case <-ctx.Done():
			return Event{}, ctx.Err()
		case <-s.done:
			return Event{}, ErrStopped
		default:
		}
		s.mu.Lock()
		ev, ok := s.table.next()
		if ok && s.table.pending() > 0 {
			signal(s.wake) // for another caller of Next
		}
		s.mu.Unlock()
		if ok {
			s.log.Debug("discovery", "event", ev)
			return ev, nil
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		case <-s.done:
		}
	}
}

// Asked is closed once every source has asked once: who is there now and answers promptly has been reported by then.
// A source that failed counts as having asked.
func (s *Set) Asked() <-chan struct{} { return s.asked }

// Refresh makes all sources look again now, for instance after the machine woke up.
func (s *Set) Refresh() {
	for _, f := range s.feeds {
		signal(f.refresh)
	}
}

// Self returns what is announced now. Its Addrs must not be written to.
func (s *Set) Self() Announcement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.self
}

// Update changes what is announced, at once and everywhere. A peer known by the new id leaves the table: it is us.
func (s *Set) Update(self Announcement) error {
	if err := self.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	if self.Equal(s.self) {
		s.mu.Unlock()
		return nil
	}
	s.self = self.clone()
	if e := s.table.entries[self.ID]; self.ID != "" && e != nil && e.live() {
		s.table.remove(e, Removed)
		signal(s.wake)
	}
	s.mu.Unlock()
	for _, f := range s.feeds {
		signal(f.self)
	}
	return nil
}

// Keep says whether the peer is linked or pinned. Such a peer is never evicted from the table, whatever else is heard;
// it still leaves when its sources lose it. The caller bounds how many it keeps.
func (s *Set) Keep(id string, keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if keep {
		s.kept[id] = struct{}{}
	} else {
		delete(s.kept, id)
	}
}

// Peers returns the merged records, sorted by id; those without an id come first.
func (s *Set) Peers() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Record, 0, s.table.live)
	for _, e := range s.table.entries {
		if e.live() {
			out = append(out, e.now)
		}
	}
	slices.SortFunc(out, func(a, b Record) int {
		if c := strings.Compare(a.ID, b.ID); c != 0 {
			return c
		}
		return strings.Compare(a.key(), b.key())
	})
	return out
}

// Status is how a Set is doing.
type Status struct {
	Self    Announcement
	Peers   int    // in the table
	Kept    int    // ids that are never evicted, in the table or not
	Pending int    // events that wait for the consumer
	Evicted uint64 // peers that made room for others
	Ignored uint64 // reports that found no room, or named nobody
	Own     uint64 // reports of our own id
	Sources []SourceStatus
}

// Status returns how the set and its sources are doing.
func (s *Set) Status() Status {
	sources := make([]SourceStatus, len(s.sources))
	for i, src := range s.sources {
		sources[i] = src.Status() // not under our lock: it takes the source's
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		Self: s.self, Peers: s.table.live, Kept: len(s.kept), Pending: s.table.pending(),
		Evicted: s.table.evicted, Ignored: s.table.ignored, Own: s.table.own, Sources: sources,
	}
	for i, f := range s.feeds {
		x := &st.Sources[i]
		x.Name, x.State, x.Err, x.Asked, x.Records = f.name, f.state, f.err, f.isAsked, 0
		for _, e := range s.table.entries {
			if _, ok := e.from[f]; ok {
				x.Records++
			}
		}
	}
	return st
}
