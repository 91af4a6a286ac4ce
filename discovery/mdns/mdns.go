package mdns

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"peermesh/discovery"
)

const sourceName = "mdns"

// Config says how to look and what to believe. The zero value works: all interfaces, no key.
type Config struct {
	// Keys are the mesh's discovery keys, each of discovery.KeySize bytes. The first signs what we announce; what
	// others announce must verify under any of them, or it is ignored. Without keys only announcements without a proof
	// are believed.
	Keys discovery.Keys
	// Interfaces names the network interfaces to use. They need not exist yet. Default: those that are up, connected
	// and can multicast, but no point-to-point links and none of the inner networks of container and virtual machine
	// hosts; loopback if that leaves none.
	Interfaces []string
	// Service is the service type, "_name._tcp". Default DefaultService. Tests take others, so as not to meet.
	Service string
	// Logger takes what happens to interfaces, at debug level. What happens to packets is counted, not logged. nil
	// discards.
	Logger *slog.Logger
}

// Source announces and browses by mDNS.
type Source struct {
	cfg   Config
	names names
	net   network
	time  timing
	stats stats

	mu    sync.Mutex
	notes []string
}

var _ discovery.Source = (*Source)(nil)

// timing holds the durations that tests shorten.
type timing struct {
	poll   time.Duration // between looks at the interfaces
	damp   time.Duration // that a change of an interface has to last
	window time.Duration // in which the first answers are expected
}

// New makes a source. Nothing is sent or opened before it runs. It is an error if a key has the wrong length or the
// service type is none.
func New(cfg Config) (*Source, error) {
	if err := discovery.CheckKeys(cfg.Keys.Load()); err != nil {
		return nil, err
	}
	n, err := newNames(cfg.Service)
	if err != nil {
		return nil, err
	}
	cfg.Interfaces = slices.Clone(cfg.Interfaces)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Source{
		cfg: cfg, names: n, net: system{},
		time: timing{poll: 5 * time.Second, damp: 2 * time.Second, window: 300 * time.Millisecond},
	}, nil
}

// Name returns "mdns".
func (s *Source) Name() string { return sourceName }

// Status tells which interfaces are used and what is wrong with them, one finding a line; "no multicast route" among
// them says that nothing can be sent at all. The counters are since the start:
//
//   - packets, and of these foreign (about other services), own (ours, looped back), bad (not DNS), crosstalk (by
//     another interface than the socket's), offlink (from outside of the link), dropped (came too fast)
//   - queries for us, and suppressed, those of somebody who knew us already
//   - records of peers, and of these the refused: proof, malformed, unreachable, stale, incomplete; evicted for want of
//     room
//   - asked, announced, answered (to all), unicast (to the asker alone), limited (not answered: too many), goodbyes
//   - send_errors, read_errors
func (s *Source) Status() discovery.SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return discovery.SourceStatus{Notes: slices.Clone(s.notes), Counters: s.stats.counters()}
}

func (s *Source) setNotes(notes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = notes
}

// Run announces and browses until ctx ends, then says goodbye. A network that is absent, refuses, or comes and goes is
// no error: it is shown by Status and tried again. Run always returns nil.
func (s *Source) Run(ctx context.Context, feed *discovery.Feed) error {
	r := newRunner(s, feed)
	defer r.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		default:
		}
		r.drain()
		next := r.step(time.Now())
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			return nil
		case h := <-r.in:
			r.hear(time.Now(), h)
		case <-feed.SelfChanged():
			r.updateRecords(time.Now())
		case <-feed.Refresh():
			r.sweepSoon(time.Now())
		case <-timer.C:
		}
	}
}
