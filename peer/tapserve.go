package peer

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer/tap"
	"peermesh/security"
)

// The methods of taps: whoever may, asks a peer to be told what it sends and receives, and is told in rpc.tap.records.
const (
	methodTapStart   = "rpc.tap.start"
	methodTapStop    = "rpc.tap.stop"
	methodTapClock   = "rpc.tap.clock"
	methodTapRecords = "rpc.tap.records"
)

const (
	maxTaps   = 16                    // that may be on one peer at a time
	tapPause  = 50 * time.Millisecond // between two batches
	tapBatch  = 500                   // events in one: 10,000 a second
	tapFlood  = 200                   // the same where even more happen: what is left out is counted, and traffic is to be hindered less
	tapShown  = 64 << 10              // of params, a result or data in one sighting
	tapAtOnce = 256 << 10             // bytes of one batch
)

// tapWanted are the params of rpc.tap.start.
type tapWanted struct {
	Level tap.Level `json:"level"`
	Proof string    `json:"proof,omitempty"` // that it is asked by a program of the same user on the same machine, who may see all
}

// tapStarted is the result of rpc.tap.start and rpc.tap.clock.
type tapStarted struct {
	Level tap.Level `json:"level,omitempty"`
	Now   int64     `json:"now"` // Unix microseconds
}

// tapRecords are the params of rpc.tap.records.
type tapRecords struct {
	Events  []tap.Sighting `json:"events"`
	Dropped uint64         `json:"dropped"`
}

// tapLevel is what a principal may see of this peer.
func (p *Peer) tapLevel(who security.Principal) tap.Level {
	level := p.cfg.Tap
	if level != tap.Off && p.policy().RoleOf(who) == security.RoleAdmin {
		return tap.Full
	}
	return level
}

// Watchers returns the names of the peers that watch what this one sends and receives, in order.
func (p *Peer) Watchers() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for l := range p.links {
		if l.m.stopTap != nil {
			names = append(names, l.info.Load().Name)
		}
	}
	slices.Sort(names)
	return names
}

// startTap answers rpc.tap.start.
func (p *Peer) startTap(_ context.Context, m *message, dst []byte) ([]byte, error) {
	l := m.link
	var in tapWanted
	if len(m.params) > 0 && json.Unmarshal(m.params, &in) != nil {
		return dst, &api.Error{Code: api.CodeInvalidParams, Message: "invalid params"}
	}
	if in.Level == "" {
		in.Level = tap.Headers
	}
	level, err := tap.ParseLevel(string(in.Level))
	if err != nil {
		return dst, &api.Error{Code: api.CodeInvalidParams, Message: "invalid params: level is headers or full"}
	}
	allowed := p.tapLevel(m.verdict.Principal)
	if allowed != tap.Off && l.session != nil && p.provesSameUser(l.session, in.Proof) {
		allowed = tap.Full
	}
	if level = tap.Least(level, allowed); level == tap.Off || l.conn.Once {
		return dst, &api.Error{Code: api.CodeForbidden, Message: "forbidden: this peer shows nothing of its messages"}
	}
	ring, release := p.useTap()
	follower := ring.Follow(false) // what is said from now on: whoever sees a watcher in Watchers relies on it
	ctx, cancel := context.WithCancel(p.ctx)
	started := false
	p.change(func() {
		taps := 0
		for other := range p.links {
			if other.m.stopTap != nil {
				taps++
			}
		}
		if !l.alive() || taps >= maxTaps && l.m.stopTap == nil {
			return
		}
		if l.m.stopTap != nil {
			l.m.stopTap()
		}
		l.m.stopTap, started = cancel, true
	})
	if !started {
		cancel()
		follower.Close()
		release()
		return dst, errBusy
	}
	p.wg.Go(func() {
		defer release()
		defer follower.Close()
		defer cancel()
		l.tellTap(ctx, follower, level)
	})
	return appendJSON(dst, tapStarted{Level: level, Now: tap.Now() / 1000})
}

func (p *Peer) stopTap(_ context.Context, m *message, dst []byte) ([]byte, error) {
	p.change(func() { m.link.untapLocked() })
	return append(dst, "null"...), nil
}

// untapLocked ends the tap of a link's other end.
func (l *link) untapLocked() {
	if l.m.stopTap != nil {
		l.m.stopTap()
		l.m.stopTap = nil
	}
}

func (p *Peer) tapClock(_ context.Context, _ *message, dst []byte) ([]byte, error) {
	return appendJSON(dst, tapStarted{Now: tap.Now() / 1000})
}

func appendJSON(dst []byte, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	return append(dst, raw...), err
}

// tellTap tells the other end what happens here until ctx ends. It never waits for it: what finds the link's queue full
// is dropped and counted.
func (l *link) tellTap(ctx context.Context, f *tap.Follower, level tap.Level) {
	var events []tap.Event
	var texts [][]byte
	var batch []byte // sightings, separated by commas
	told, limit := uint64(0), tapBatch
	dropped := uint64(0)
	flush := func() {
		params := append(append([]byte(`{"events":[`), batch...), `],"dropped":`...)
		params = append(strconv.AppendUint(params, dropped, 10), '}')
		text := codec.AppendNotification(nil, methodTapRecords, params, nil)
		dropped = 0
		err := error(api.ErrTooLarge)
		if len(text) <= l.limitOut() {
			_, _, err = l.out.push(text, security.Outgoing{To: l.to()}, nil, ordinary, about{quiet: true})
		}
		if err != nil {
			dropped = told
		}
		batch, told = batch[:0], 0
	}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for f.Wait(ctx) {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
		pause.Reset(tapPause)
		var missed uint64
		events, texts, missed = f.Read(events[:0], texts[:0], limit)
		dropped += missed
		if limit = tapBatch; missed+uint64(len(events)) > tapBatch {
			limit = tapFlood
		}
		for i := range events {
			for _, s := range tap.Sightings(&events[i], texts[i], level) {
				if len(s.Params)+len(s.Result)+len(s.Data) > tapShown {
					s.Params, s.Result, s.Data, s.Cut = nil, nil, nil, true
				}
				if told++; told > 1 {
					batch = append(batch, ',')
				}
				if batch = s.AppendJSON(batch); len(batch) > tapAtOnce {
					flush()
				}
			}
		}
		if told > 0 || dropped > 0 {
			flush()
		}
	}
}
