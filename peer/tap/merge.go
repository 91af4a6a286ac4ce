package tap

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Merger makes records of what several peers saw: each message once, its sending and its receipt joined, a broadcast with
// all its receivers, a reply with its request and where the time went. What only one side has seen is shown as that side
// saw it. A Merger is for one goroutine; time is what it is told.
//
// Records come out in the order of their times, as far as what comes within Hold can be put into it.
type Merger struct {
	// Hold is how long a record waits for what belongs before it, and a message for the other side's sighting.
	Hold time.Duration
	// Lost is after how long a message that its receiver has not seen counts as lost.
	Lost time.Duration

	emit    func(*Record)
	now     time.Time // as it was told last
	n       uint64
	sources map[string]*source  // those whose sightings come
	open    map[string]*message // of a session: by session, sender, number and index
	groups  map[string]*message // of broadcasts: by sender and group
	waiting []*message          // in the order in which they were first seen
	ready   []finished          // records that wait for their turn
	calls   map[string]*callState
	order   []string
}

// finished is a record and when it may go out.
type finished struct {
	rec Record
	due time.Time
}

// source is a peer that is being watched.
type source struct {
	since   time.Time // when the watching began
	dropped bool      // something is missing: what was not seen need not be lost
}

// message is one message on its way into a record.
type message struct {
	rec    Record
	first  time.Time        // when it came to the merger
	sent   int64            // microseconds; 0: the sending was not seen
	seenAt map[string]int64 // when each receiver read it
	keys   []string         // under which it is in the merger's maps
	joins  []string         // receivers whose sightings can be joined: a missing one is a loss
	done   bool
}

// callState is what is known of a request, for its reply.
type callState struct {
	method   string
	sent     int64 // written by the caller
	queued   int64 // microseconds in the caller's queue
	received int64 // read by the callee
	from, to string
}

// maxCalls is how many requests are remembered; the oldest give way. maxWaiting bounds what waits to be joined.
const (
	maxCalls   = 8192
	maxWaiting = 16384
)

// NewMerger makes a Merger that hands its records to emit, which may keep them.
func NewMerger(emit func(*Record)) *Merger {
	return &Merger{Hold: 150 * time.Millisecond, Lost: 2 * time.Second, emit: emit, sources: map[string]*source{},
		open: map[string]*message{}, groups: map[string]*message{}, calls: map[string]*callState{}}
}

// Expect says that a peer's sightings are about to come: what it says is not shown without them for as long as others
// are waited for.
func (m *Merger) Expect(name string) { m.sources[name] = &source{since: never} }

var never = time.Unix(1<<40, 0)

// Watch says that a peer's sightings come from now on, Unwatch that they no longer do.
func (m *Merger) Watch(name string, now time.Time) { m.sources[name] = &source{since: now} }

// Unwatch says that a peer's sightings no longer come.
func (m *Merger) Unwatch(name string) { delete(m.sources, name) }

// Dropped says that n events of a peer are missing. They are told of with the next record.
func (m *Merger) Dropped(name string, n uint64, now time.Time) {
	if n == 0 {
		return
	}
	m.now = now
	if s := m.sources[name]; s != nil {
		s.dropped = true
	}
	m.put(&Record{T: now, Kind: "note", Text: fmt.Sprintf("%d events of %s were dropped", n, name), SeenBy: name, Dropped: n})
}

// Add takes what a peer saw.
func (m *Merger) Add(seenBy string, s *Sighting, now time.Time) {
	m.now = now
	switch s.What {
	case "sent":
		m.sent(seenBy, s, now)
	case "received":
		m.received(seenBy, s, now)
	case "handled":
	case "failed":
		rec := m.record(seenBy, s)
		rec.Kind, rec.From, rec.To, rec.Message = "error", s.Peer, []string{seenBy}, s.Message
		rec.Conv = conv(seenBy, s.ID)
		m.answered(&rec, s.T)
		m.put(&rec)
	case "refused":
		rec := m.record(seenBy, s)
		rec.Kind, rec.From, rec.To, rec.Count = "security", s.Peer, []string{seenBy}, 1
		m.put(&rec)
	case "dropped", "unheard":
		rec := m.record(seenBy, s)
		rec.Kind, rec.From, rec.To, rec.Text, rec.Reason = "note", s.Peer, []string{seenBy}, s.Reason, ""
		m.put(&rec)
	default:
		rec := m.record(seenBy, s)
		rec.Kind, rec.Event, rec.Peer, rec.Address, rec.APIs = "peer", s.What, s.Peer, s.Address, s.APIs
		m.put(&rec)
	}
}

// record begins a record with what all have in common.
func (m *Merger) record(seenBy string, s *Sighting) Record {
	return Record{T: time.UnixMicro(s.T).UTC(), Method: s.Method, ID: s.ID, Code: s.Code, Reason: s.Reason, Bytes: s.Bytes, Via: s.Via,
		Sec: &Sec{Alg: s.Alg, Sealed: s.Sealed, OK: s.What != "refused"}, SeenBy: seenBy}
}

// fill takes over what the message says, as far as this sighting shows it.
func (r *Record) fill(s *Sighting) {
	r.Kind = s.Kind
	if s.Params != nil {
		r.Params = s.Params
	}
	if s.Result != nil {
		r.Result = s.Result
	}
	if s.Message != "" || r.Message == "" {
		r.Message = s.Message
	}
	if s.Data != nil {
		r.Data = s.Data
	}
	r.Cut = r.Cut || s.Cut
}

// keyOf is what a message is joined by: its number in a session; without one, the id of a request or an answer. A
// notification outside a session has nothing.
func keyOf(s *Sighting, from, to string) string {
	switch {
	case s.Session != "":
		return fmt.Sprintf("%s %s %d %d", s.Session, from, s.Seq, s.Index)
	case s.Kind == "request":
		return fmt.Sprintf("? %s %s %s", from, to, s.ID)
	case s.ID != nil && s.Kind != "notify":
		return fmt.Sprintf("! %s %s %s", from, to, s.ID)
	}
	return ""
}

func (m *Merger) sent(seenBy string, s *Sighting, now time.Time) {
	key := keyOf(s, seenBy, s.Peer)
	early, msg := m.open[key], (*message)(nil) // early: one that a receiver told of first
	group := fmt.Sprintf("%s %d %d", seenBy, s.Group, s.Index)
	if s.Group > 0 {
		msg = m.groups[group]
	}
	switch {
	case msg == nil && early != nil:
		msg = early
	case msg == nil:
		msg = m.begin(m.record(seenBy, s), now)
	case early != nil && !early.done:
		msg.absorb(early)
	}
	if key != "" {
		m.open[key] = msg
		msg.keys = append(msg.keys, key)
	}
	if s.Group > 0 {
		m.groups[group] = msg
		msg.keys = append(msg.keys, group)
		msg.rec.All = true
	}
	msg.rec.fill(s)
	msg.rec.From, msg.rec.SeenBy = seenBy, seenBy
	if !slices.Contains(msg.rec.To, s.Peer) {
		msg.rec.To = append(msg.rec.To, s.Peer)
	}
	if key != "" && !slices.Contains(msg.joins, s.Peer) {
		msg.joins = append(msg.joins, s.Peer)
	}
	msg.rec.T = time.UnixMicro(s.T).UTC()
	if s.Queued > 0 {
		msg.rec.QueueMS = max(msg.rec.QueueMS, micros(s.Queued))
	}
	if msg.rec.Sec.User = seenBy; s.Alg == "none" {
		msg.rec.Sec.User = ""
	}
	msg.sent = s.T
	m.pair(msg, s, seenBy)
	m.settle(msg)
}

// absorb joins what a receiver of a broadcast told of it with what is known of the broadcast.
func (msg *message) absorb(early *message) {
	early.done = true // its record is msg's
	for name, at := range early.seenAt {
		msg.seenAt[name] = at
	}
	if msg.rec.Params == nil {
		msg.rec.Params = early.rec.Params
	}
}

func (m *Merger) received(seenBy string, s *Sighting, now time.Time) {
	key := keyOf(s, s.Peer, seenBy)
	msg := m.open[key]
	if msg == nil {
		if from := m.sources[s.Peer]; key == "" && from != nil && !from.since.After(now) {
			return // its sender has told of it, and there is nothing to join the two by
		}
		msg = m.begin(m.record(seenBy, s), now)
		msg.rec.From, msg.rec.To = s.Peer, []string{seenBy}
		if key != "" {
			m.open[key] = msg
			msg.keys = append(msg.keys, key)
		}
		if msg.rec.Sec.User = s.Peer; s.Alg == "none" {
			msg.rec.Sec.User = ""
		}
	}
	msg.rec.fill(s)
	msg.seenAt[seenBy] = s.T
	m.pair(msg, s, seenBy)
	m.settle(msg)
}

func (m *Merger) begin(rec Record, now time.Time) *message {
	if len(m.waiting) >= maxWaiting { // the oldest gives way
		oldest := m.waiting[0]
		m.waiting[0] = nil
		m.waiting = m.waiting[1:]
		m.finish(oldest)
		m.unkey(oldest)
	}
	msg := &message{rec: rec, first: now, seenAt: map[string]int64{}}
	m.waiting = append(m.waiting, msg)
	return msg
}

// pair ties requests and replies together.
func (m *Merger) pair(msg *message, s *Sighting, seenBy string) {
	r := &msg.rec
	bySender := seenBy == r.From
	switch r.Kind {
	case "notify":
		switch {
		case s.ID == nil:
		case r.Method == "$/progress" && len(r.To) > 0:
			r.Conv = conv(r.To[0], s.ID)
		default:
			r.Conv = conv(r.From, s.ID)
		}
	case "request":
		r.Conv = conv(r.From, s.ID)
		if s.Again != 0 {
			r.Again = conv(r.From, strconv.AppendUint(nil, s.Again, 10))
		}
		for _, to := range r.To {
			c := m.call(r.Conv + " " + to)
			c.method, c.from, c.to = r.Method, r.From, to
			if bySender && to == s.Peer {
				c.sent, c.queued = s.T, s.Queued
			}
			if to == seenBy {
				c.received = s.T
			}
		}
	case "reply", "error":
		if len(r.To) == 0 {
			return
		}
		r.Conv = conv(r.To[0], s.ID)
		if s.Ran > 0 {
			r.HandlerMS = micros(s.Ran)
			if c := m.calls[r.Conv+" "+r.From]; c != nil && c.received > 0 {
				r.WaitMS = micros(max(0, s.Start-c.received))
			}
		}
		if !bySender {
			m.answered(r, s.T)
		} else if c := m.calls[r.Conv+" "+r.From]; c != nil && r.Method == "" {
			r.Method = c.method
		}
	}
}

// answered fills in what is known of the request that a record answers; at is when the caller had the answer.
func (m *Merger) answered(r *Record, at int64) {
	c := m.calls[r.Conv+" "+r.From]
	if c == nil {
		return
	}
	if r.Method == "" {
		r.Method = c.method
	}
	if c.sent > 0 {
		r.MS = micros(at - c.sent + c.queued)
		r.QueueMS = micros(c.queued)
		if c.received > 0 {
			r.NetMS = micros(c.received - c.sent)
		}
	}
}

func (m *Merger) call(key string) *callState {
	c := m.calls[key]
	if c == nil {
		c = &callState{}
		m.calls[key] = c
		if m.order = append(m.order, key); len(m.order) > maxCalls {
			delete(m.calls, m.order[0])
			m.order = append(m.order[:0], m.order[1:]...)
		}
	}
	return c
}

// settle finishes a message that nothing more is to be expected of.
func (m *Merger) settle(msg *message) {
	if msg.done || msg.rec.All {
		return // further receivers may come
	}
	both := msg.sent > 0 && len(msg.seenAt) > 0
	alone := len(msg.rec.To) == 1 && (m.sources[msg.rec.To[0]] == nil || m.sources[msg.rec.From] == nil)
	if both || alone {
		m.finish(msg)
	}
}

// finish hands the record of a message out.
func (m *Merger) finish(msg *message) {
	if msg.done {
		return
	}
	msg.done = true
	r := &msg.rec
	if c := m.calls[r.Conv+" "+r.From]; c != nil && r.Method == "" && (r.Kind == "reply" || r.Kind == "error") {
		r.Method = c.method // which the request told later than its answer
	}
	if msg.sent > 0 && r.Kind != "reply" && r.Kind != "error" {
		for _, at := range msg.seenAt {
			r.NetMS = max(r.NetMS, micros(at-msg.sent))
		}
	}
	slices.Sort(r.To)
	out, sec := *r, *r.Sec // what a side says of it later changes the message, which others may still be joined to
	out.To, out.Sec = slices.Clone(r.To), &sec
	m.putAt(&out, msg.first.Add(m.Hold))
}

// put makes a record ready to go out.
func (m *Merger) put(r *Record) { m.putAt(r, m.now.Add(m.Hold)) }

func (m *Merger) putAt(r *Record, due time.Time) { m.ready = append(m.ready, finished{*r, due}) }

// release hands out what is due.
func (m *Merger) release(now time.Time) {
	var due []finished
	left := m.ready[:0]
	for _, f := range m.ready {
		if now.Before(f.due) {
			left = append(left, f)
		} else {
			due = append(due, f)
		}
	}
	clear(m.ready[len(left):])
	m.ready = left
	slices.SortStableFunc(due, func(a, b finished) int {
		return cmp.Or(a.rec.T.Compare(b.rec.T), turn(&a.rec)-turn(&b.rec))
	})
	for i := range due {
		m.n++
		due[i].rec.V, due[i].rec.N = RecordVersion, m.n
		m.emit(&due[i].rec)
	}
}

// turn orders records of one moment: what is asked, what is answered, and what is noted of either.
func turn(r *Record) int {
	switch r.Kind {
	case "reply", "error":
		return 1
	case "note":
		return 2
	}
	return 0
}

// Tick does what is due at now, and returns when to come back; zero when nothing waits.
func (m *Merger) Tick(now time.Time) time.Time {
	m.now = now
	kept := m.waiting[:0]
	var next time.Time
	later := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for _, msg := range m.waiting {
		if !msg.done {
			if due := msg.first.Add(m.Hold); now.Before(due) {
				later(due)
			} else {
				m.finish(msg)
			}
		}
		if due := msg.first.Add(m.Lost); now.Before(due) {
			kept = append(kept, msg)
			if m.expects(msg) {
				later(due)
			}
			continue
		}
		m.forget(msg, now)
	}
	clear(m.waiting[len(kept):])
	m.waiting = kept
	m.release(now)
	for i := range m.ready {
		later(m.ready[i].due)
	}
	return next
}

// expects reports whether a receiver that is watched has not seen the message yet.
func (m *Merger) expects(msg *message) bool {
	if msg.sent == 0 {
		return false
	}
	for _, to := range msg.joins {
		s := m.sources[to]
		if _, seen := msg.seenAt[to]; !seen && s != nil && !s.dropped && s.since.Before(msg.first) {
			return true
		}
	}
	return false
}

// forget lets a message go, and says where it was lost.
func (m *Merger) forget(msg *message, now time.Time) {
	m.unkey(msg)
	if !m.expects(msg) {
		return
	}
	r := msg.rec
	var lost []string
	for _, to := range msg.joins {
		if _, seen := msg.seenAt[to]; !seen && m.sources[to] != nil {
			lost = append(lost, to)
		}
	}
	m.put(&Record{T: now.UTC(), Kind: "note", Method: r.Method, ID: r.ID, Conv: r.Conv, From: r.From, To: lost, SeenBy: r.From,
		Text: fmt.Sprintf("not seen by its receiver %s after it was sent", m.Lost)})
}

// unkey takes a message out of the maps.
func (m *Merger) unkey(msg *message) {
	for _, key := range msg.keys {
		if m.open[key] == msg {
			delete(m.open, key)
		}
		if m.groups[key] == msg {
			delete(m.groups, key)
		}
	}
}

// Flush hands out everything that waits.
func (m *Merger) Flush() {
	for _, msg := range m.waiting {
		m.finish(msg)
	}
	m.release(m.now.Add(m.Hold))
	m.waiting = nil
	clear(m.open)
	clear(m.groups)
}

func micros(us int64) float64 { return float64(us) / 1000 }

// conv names a conversation: who asked, and the id.
func conv(caller string, id json.RawMessage) string { return caller + "/" + string(id) }
