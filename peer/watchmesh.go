package peer

import (
	"context"
	"encoding/json"
	"iter"
	"sync"
	"time"

	fastjson "github.com/go-json-experiment/json"

	"peermesh/api"
	"peermesh/peer/tap"
)

// maxRecords is how many records wait for one watcher, maxBatches how many batches of sightings for the merger.
const (
	maxRecords = 16384
	maxBatches = 256
	clockEvery = 30 * time.Second // how often a watched peer's clock is compared with ours
)

// watchers is what all who watch the mesh through this peer have in common: the taps of the others, and the merger.
type watchers struct {
	mu      sync.Mutex
	list    map[*watcher]struct{}
	cancel  context.CancelFunc // of the collector that runs; nil: none
	batches chan sightings
	lost    map[string]uint64 // sightings that found batches full, by who sent them
}

// watcher is one who watches.
type watcher struct {
	records []tap.Record
	missed  uint64
	wake    chan struct{}
}

// sightings is one batch that came from a peer.
type sightings struct {
	from   string
	offset int64 // how far its clock is ahead of ours, in microseconds
	raw    []byte
}

// Watch yields what is said in the whole mesh from the call on, each message once, until ctx ends or the peer closes:
// what this peer sends and receives, and what the others let it see of theirs (Config.Tap), those that come later too. A
// receiver that falls behind by 16,384 records loses the oldest; the next one says how many. The sequence is for one
// loop. While anybody watches, peers that are watched say so in `peerctl ls -o wide`.
func (p *Peer) Watch(ctx context.Context) iter.Seq[tap.Record] {
	w, leave := p.startWatching()
	stop := context.AfterFunc(ctx, leave) // nobody need ever begin the loop
	return func(yield func(tap.Record) bool) {
		defer func() {
			if stop() {
				leave()
			}
		}()
		p.records(ctx, w, yield)
	}
}

// records yields what comes for a watcher.
func (p *Peer) records(ctx context.Context, w *watcher, yield func(tap.Record) bool) {
	for {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		case <-p.closed:
			select {
			case <-w.wake: // what was said last
			default:
				return
			}
		}
		p.watch.mu.Lock()
		records := w.records
		w.records = nil
		if w.missed > 0 && len(records) > 0 {
			records[0].Dropped, w.missed = records[0].Dropped+w.missed, 0
		}
		p.watch.mu.Unlock()
		for i := range records {
			if !yield(records[i]) {
				return
			}
		}
	}
}

// startWatching enters a watcher; the first one starts the collector, the last one to leave ends it.
func (p *Peer) startWatching() (w *watcher, leave func()) {
	w = &watcher{wake: make(chan struct{}, 1)}
	ws := &p.watch
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.list == nil {
		ws.list = map[*watcher]struct{}{}
	}
	ws.list[w] = struct{}{}
	if ws.cancel == nil {
		ctx, cancel := context.WithCancel(p.ctx)
		ws.cancel, ws.batches, ws.lost = cancel, make(chan sightings, maxBatches), map[string]uint64{}
		ready := make(chan struct{})
		p.wg.Go(func() { p.collect(ctx, ws.batches, ready) })
		p.wg.Go(func() { p.followTaps(ctx) })
		<-ready
	}
	return w, func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		delete(ws.list, w)
		if len(ws.list) == 0 && ws.cancel != nil {
			ws.cancel()
			ws.cancel = nil
		}
	}
}

// collect makes records of what this peer and the others see, and hands them to the watchers.
func (p *Peer) collect(ctx context.Context, batches <-chan sightings, ready chan<- struct{}) {
	ring, release := p.useTap()
	defer release()
	own := ring.Follow(false)
	defer own.Close()
	close(ready)
	self := p.self.Load().Name
	merger := tap.NewMerger(p.tellWatchers)
	merger.Watch(self, time.Now())
	arrived := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	taken := make(chan struct{}, 1)
	p.wg.Go(func() { // tells of our own events, which wait for no channel
		for own.Wait(ctx) {
			select {
			case arrived <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case <-taken:
			case <-ctx.Done():
				return
			}
		}
	})
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var events []tap.Event
	var texts [][]byte
	for {
		select {
		case <-arrived:
			var missed uint64
			events, texts, missed = own.Read(events[:0], texts[:0], tap.Events)
			merger.Dropped(self, missed, time.Now())
			for i := range events {
				for _, s := range tap.Sightings(&events[i], texts[i], tap.Full) {
					merger.Add(self, &s, time.Now())
				}
			}
			taken <- struct{}{}
		case b := <-batches:
			p.mergeBatch(merger, &b)
		case <-timer.C:
		case <-ctx.Done():
			merger.Flush()
			return
		}
		timer.Reset(time.Hour)
		if next := merger.Tick(time.Now()); !next.IsZero() {
			timer.Reset(max(time.Millisecond, time.Until(next)))
		}
	}
}

// mergeBatch takes what came from another peer. A batch without text says that its tap was asked for, has begun or ended.
func (p *Peer) mergeBatch(merger *tap.Merger, b *sightings) {
	now := time.Now()
	switch {
	case b.raw == nil && b.offset == tapEnded:
		merger.Unwatch(b.from)
		return
	case b.raw == nil && b.offset == tapAsked:
		merger.Expect(b.from)
		return
	case b.raw == nil:
		merger.Watch(b.from, now)
		return
	}
	p.watch.mu.Lock()
	lost := p.watch.lost[b.from]
	delete(p.watch.lost, b.from)
	p.watch.mu.Unlock()
	var in tapRecords
	if fastjson.Unmarshal(b.raw, &in) != nil {
		return
	}
	merger.Dropped(b.from, in.Dropped+lost, now)
	for i := range in.Events {
		s := &in.Events[i]
		s.T -= b.offset
		if s.Start > 0 {
			s.Start -= b.offset
		}
		merger.Add(b.from, s, now)
	}
}

// What a batch without text says, as an offset; any other one: that the tap has begun.
const (
	tapEnded = -1<<62 + iota
	tapAsked
)

func (p *Peer) tellWatchers(r *tap.Record) {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	for w := range p.watch.list {
		if len(w.records) >= maxRecords {
			w.records = w.records[1:]
			w.missed++
		}
		w.records = append(w.records, *r)
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// followTaps asks every peer, those that come later too, for its tap.
func (p *Peer) followTaps(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	running := map[string]context.CancelFunc{}
	for ev := range p.Events(ctx) {
		id := ev.Peer.ID
		if id == "" {
			continue // it is none of our kind
		}
		switch ev.Kind {
		case Joined, Back:
			if running[id] != nil && ev.Kind == Back {
				continue
			}
			if stop := running[id]; stop != nil {
				stop()
			}
			tapCtx, stop := context.WithCancel(ctx)
			running[id] = stop
			name := ev.Peer.Name
			wg.Go(func() { p.followTap(tapCtx, id, name) })
		case Left:
			if stop := running[id]; stop != nil {
				stop()
				delete(running, id)
			}
		}
	}
	for _, stop := range running {
		stop()
	}
}

// followTap keeps one peer's tap open.
func (p *Peer) followTap(ctx context.Context, id, name string) {
	params, _ := json.Marshal(tapWanted{Level: tap.Full, Proof: p.sameUser(id)}) // strings marshal
	ask := func(ctx context.Context, method string) (out tapStarted, offset, took int64, err error) {
		ctx, cancel := context.WithTimeout(ctx, describeFor)
		defer cancel()
		began := tap.Now() / 1000
		raw, err := p.Request(ctx, nil, method, api.To(id), params, nil)
		ended := tap.Now() / 1000
		if err == nil {
			err = json.Unmarshal(raw, &out)
		}
		return out, out.Now - (began+ended)/2, ended - began, err
	}
	compare := func() { // the answer that took the least time is the best one
		best := int64(1 << 62)
		for range 4 {
			if _, offset, took, err := ask(ctx, methodTapClock); err == nil && took < best {
				best = took
				p.setTapOffset(id, offset)
			}
		}
	}
	compare() // before the first sighting comes
	p.giveBatch(ctx, sightings{from: name, offset: tapAsked})
	if _, _, _, err := ask(ctx, methodTapStart); err != nil {
		p.log.Debug("a peer shows nothing of its messages", "peer", name, "error", err)
		p.giveBatch(p.ctx, sightings{from: name, offset: tapEnded})
		return
	}
	p.giveBatch(ctx, sightings{from: name})
	clock := time.NewTicker(clockEvery)
	defer clock.Stop()
	for ctx.Err() == nil {
		select {
		case <-clock.C:
			compare()
		case <-ctx.Done():
		}
	}
	p.giveBatch(p.ctx, sightings{from: name, offset: tapEnded})
	stop, cancel := context.WithTimeout(p.ctx, time.Second)
	defer cancel()
	_, _ = p.Request(stop, nil, methodTapStop, api.To(id), nil, nil) // it may be gone
}

// giveBatch hands the collector something that must not be lost.
func (p *Peer) giveBatch(ctx context.Context, b sightings) {
	p.watch.mu.Lock()
	batches := p.watch.batches
	p.watch.mu.Unlock()
	select {
	case batches <- b:
	case <-ctx.Done():
	case <-time.After(time.Second): // the collector has ended
	}
}

func (p *Peer) setTapOffset(id string, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.byID[id]; l != nil {
		l.tapOffset.Store(offset)
		info := *l.info.Load()
		info.Clock = time.Duration(offset) * time.Microsecond
		l.skew.Store(int64(info.Clock))
	}
}

// tapRecords takes what another peer saw. It runs on the reader and does not wait.
func (l *link) tapRecords(params []byte) {
	ws := &l.p.watch
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.cancel == nil {
		return // nobody watches any more
	}
	name := l.info.Load().Name
	select {
	case ws.batches <- sightings{from: name, offset: l.tapOffset.Load(), raw: append([]byte(nil), params...)}:
	default:
		ws.lost[name]++
	}
}
