package peer

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer/transport"
	"peermesh/security"
)

// Reasons of a link's end, as events and logs tell them.
const (
	reasonBye       = "bye"       // the other end said goodbye, or we did
	reasonLost      = "lost"      // the connection broke
	reasonSilent    = "silent"    // nothing was heard for 15 s
	reasonRefused   = "refused"   // one end does not accept the other
	reasonRestarted = "restarted" // the peer is back as a new process
	reasonDuplicate = "duplicate" // the peer is linked by another connection
	reasonSelf      = "self"      // it is ourselves
	reasonRevoked   = "revoked"   // it is not to be trusted any more
	reasonRenewed   = "renewed"   // another link with a fresh session has taken its place
	reasonSpent     = "spent"     // its session has lasted too long
)

// link is one connection to another peer. Two goroutines belong to it: read, which never writes and never runs a
// handler, and flush, which writes whatever may have to be waited for. Handlers run in lanes.
type link struct {
	p       *Peer
	conn    *transport.Conn
	dialled bool
	target  *target           // what was dialled; nil for an accepted link
	addr    transport.Address // likewise
	sec     security.Provider
	session *security.Session // nil without; it is sec then, and set before anything else can be sent
	maxOut  int               // greatest JSON text that the other end takes; 0: unknown
	out     *queue
	calls   pending
	in      inbound
	started time.Time

	framing   atomic.Pointer[codec.Framing] // nil until it is known how to write
	info      atomic.Pointer[api.Info]      // whom we talk to
	lastIn    atomic.Int64                  // when something came in, since the peer's start
	rtt       atomic.Int64
	skew      atomic.Int64  // how far the other end's clock is ahead
	tapOffset atomic.Int64  // likewise, in microseconds, as measured for its tap
	suspect   atomic.Bool   // it has been silent for 10 s
	saidBye   atomic.Bool   // the other end has; it is not to ask for more
	closing   atomic.Bool   // no new messages; ends when all is written
	ended     chan struct{} // closed with the link
	endOnce   sync.Once

	next    atomic.Pointer[link] // the link that has taken its place by renewal
	renews  *link                // of a dialled link: whose session it renews
	byeIn   chan struct{}        // closed when the other end has moved over to next
	byeOnce sync.Once

	dropped atomic.Uint64 // messages of either direction that were lost here
	refused atomic.Uint64 // messages of the other end that were refused

	// Of whoever writes, guarded by writing: the flusher, or who sends a message that comes alone.
	writing                sync.Mutex
	wbuf, secBuf, secFrame []byte
	seqOut                 uint64    // messages written; in a session their numbers
	writeAt                int64     // when the write began that is being made ready, where there is a tap; Unix nanoseconds
	deadlineSet            time.Time // when the deadline of writing was moved last
	direct                 direct
	rest                   []byte // what a direct write has left over, for the flusher
	broken                 error  // why it failed, likewise

	// Of the reader.
	reader    *codec.Reader
	shake     *security.Responder // between rpc.hello and rpc.auth
	after     *link               // nothing is taken in before the other end has said bye on this one
	readAt    time.Time           // when what is being taken in was read
	seqIn     uint64              // messages taken in; in a session their numbers
	msg       codec.Message
	found     found
	held      *security.Verdict          // what hold has returned last
	spoke     *security.Verdict          // what acquaint has seen last
	spokeTo   *api.Info                  // likewise: whom the link led to then
	collected []*message                 // messages that are to be handed over
	handlings []handling                 // for the next messages
	spare     spareMessages              // empty while it waits
	kind      func([]byte) security.Kind // kindOf, made once
	parsed    bool                       // msg holds the payload, or parseErr says why not
	parseErr  error
	secHeld   []byte       // what secinfo is kept in
	secinfo   []byte       // params of the secinfo that came last
	awaiting  atomic.Int64 // when a secinfo came whose payload is still to come; 0: none
	failures  int
	reserved  int
	batchBuf  [][]byte
	kid       string                    // of the key that the last message was signed with
	fresh     bool                      // the sender has just become known
	refusal   atomic.Pointer[api.Error] // what the other end said, unsigned, about not letting us in
	known     atomic.Bool               // the first acceptable message has come; set by the reader
	meta      atomic.Bool               // the other end said hello, so it takes the member meta

	// Membership, guarded by p.mu.
	m membership
}

func (p *Peer) newLink(conn *transport.Conn, sec security.Provider, to *target) *link {
	started := conn.Accepted
	if started.IsZero() {
		started = time.Now()
	}
	l := &link{p: p, conn: conn, dialled: to != nil, target: to, sec: sec, started: started,
		out:   newQueue(p.cfg.Limits.Queue, p.cfg.Limits.QueueBytes),
		ended: make(chan struct{}), byeIn: make(chan struct{}),
	}
	l.direct.init(conn.Conn)
	l.calls.init()
	l.in.init(l)
	l.lastIn.Store(p.sinceStart())
	l.reader = codec.NewReader(stamped{l}, conn.Framing, maxNewFrame)
	l.reader.Reserve, l.reader.Take, l.reader.Give = l.reserve, takeLarge, giveLarge
	l.reader.Oversized = l.oversized
	l.kind = l.kindOf
	if conn.Framing != nil {
		l.framing.Store(&conn.Framing)
	}
	role := api.RoleGuest
	if p.keyless {
		role = api.RoleMember
	}
	l.info.Store(&api.Info{Name: conn.Remote(), Principal: "guest", Role: role, Address: conn.Remote(),
		Via: conn.Via, Protection: "none", State: api.Linked, Seen: l.started})
	return l
}

// run starts the link's goroutines. A silent guest is one that only listens: "a guest link silent for 2 s is NUL
// framing". The caller must hold p.mu.
func (l *link) run(silentGuest bool) {
	if silentGuest {
		l.reader.SetFraming(codec.NUL)
		l.setFraming(codec.NUL)
		l.known.Store(true)
		l.conn.Admitted()
		l.m.proven, l.m.provenAt = true, time.Now()
		l.p.tryJoinLocked(l)
	}
	l.p.wg.Add(2)
	go l.read()
	go l.flush()
}

// end ends the link, once, for a reason. It closes the connection and leaves the rest to the reader, which notices.
func (l *link) end(reason string, err error) {
	l.endOnce.Do(func() {
		close(l.ended)
		_ = l.conn.Close() // nothing more is to be done with it
		lost := l.out.close()
		l.dropped.Add(uint64(lost))
		l.p.stats.dropped.Add(uint64(lost))
		l.in.stop()
		l.p.stats.end(reason)
		l.p.departed(l, reason, err)
		l.calls.fail(api.ErrGone) // whoever tries again finds no trace of the link
	})
}

func (l *link) alive() bool {
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}

// finish lets the link end as soon as everything in its queue is written.
func (l *link) finish() {
	l.closing.Store(true)
	select {
	case l.out.wake <- struct{}{}:
	default:
	}
}

// read is the link's reader. It ends with the connection.
func (l *link) read() {
	defer l.p.wg.Done()
	if l.session == nil && (l.known.Load() || l.conn.Once) {
		l.reader.SetLimit(l.p.cfg.Limits.MaxFrame)
	}
	defer func() { l.p.unverified.Add(-int64(l.reserved)) }()
	for {
		frame, err := l.reader.Next()
		if l.framing.Load() == nil {
			if f := l.reader.Framing(); f != nil {
				l.setFraming(f)
			}
		}
		switch {
		case err == nil:
			if len(frame) > 0 {
				l.awaitTurn()
				err = l.receive(frame)
			}
		case isFrameError(err):
			err = l.badFrame(err)
		}
		if err != nil {
			l.handOver()
			l.readEnded(err)
			return
		}
	}
}

// readEnded ends the link for what the reader met.
func (l *link) readEnded(err error) {
	var closed *closeError
	switch {
	case errors.As(err, &closed):
		if closed.flush {
			l.finish() // an answer that says why is on its way
			return
		}
		l.end(closed.reason, closed.err)
	case l.conn.Once && errors.Is(err, io.EOF):
		// The one message of an HTTP request has been read; its answer is the end.
		l.in.idle(func() { l.finish() })
	default:
		l.end(reasonLost, err)
	}
}

// closeError ends a link from within the reader.
type closeError struct {
	reason string
	err    error
	flush  bool // write what is queued first
}

func (e *closeError) Error() string { return e.reason }

func isFrameError(err error) bool {
	var large *codec.TooLargeError
	return errors.As(err, &large) || errors.Is(err, codec.ErrSyntax)
}

// setFraming fixes how the link is written, and lets the flusher go.
func (l *link) setFraming(f codec.Framing) {
	if l.framing.CompareAndSwap(nil, &f) {
		select {
		case l.out.wake <- struct{}{}:
		default:
		}
	}
}

// stamped notes when something was read.
type stamped struct{ l *link }

func (s stamped) Read(p []byte) (int, error) {
	s.l.handOver()
	s.l.spare.give()
	if s.l.secinfo != nil {
		s.l.p.clock.nudge() // its payload is not there yet: from now on its time runs
	}
	n, err := s.l.conn.Read(p)
	s.l.readAt = time.Now()
	if n > 0 && s.l.session == nil { // in a session only what is verified counts
		s.l.heard()
	}
	return n, err
}

// heard notes a sign of life.
func (l *link) heard() {
	l.lastIn.Store(int64(l.readAt.Sub(l.p.start)))
	if l.suspect.Load() {
		l.p.clock.nudge() // it is back
	}
}

// reserve bounds what all links together hold of messages whose sender is not known yet.
func (l *link) reserve(size int) error {
	want := 0
	if !l.known.Load() && size > 2*maxNewFrame {
		want = size
	}
	if want > l.reserved && l.p.unverified.Load()+int64(want-l.reserved) > maxUnverified {
		return &closeError{reason: reasonRefused, err: errors.New("too many bytes of unverified messages")}
	}
	l.p.unverified.Add(int64(want - l.reserved))
	l.reserved = want
	return nil
}

// oversized ends a link that sends a frame above the limit, where it has proven nothing yet or has a session: there is
// nothing to be gained by reading on. Others go on behind the frame.
func (l *link) oversized() error {
	if l.known.Load() && l.session == nil {
		return nil
	}
	l.count("oversized")
	if l.session == nil {
		l.answerNull(tooLarge(maxNewFrame))
	}
	return &closeError{reason: reasonRefused, err: errors.New("peer: a frame is too large"), flush: l.session == nil}
}

// badFrame answers a frame that was too large or no JSON before it came to its security.
func (l *link) badFrame(err error) error {
	if l.secinfo != nil {
		l.forgetSecInfo()
	}
	var large *codec.TooLargeError
	if errors.As(err, &large) {
		l.count("oversized")
		l.answerNull(tooLarge(large.Limit))
		return nil
	}
	l.count("syntax")
	if !l.known.Load() && l.p.cfg.Accept != security.AcceptGuest {
		return l.failure(err)
	}
	l.answerNull(errParse)
	return nil
}

var (
	errParse       = &api.Error{Code: api.CodeParse, Message: "parse error"}
	errNotFound    = &api.Error{Code: api.CodeMethodNotFound, Message: "method not found"}
	errForbidden   = &api.Error{Code: api.CodeForbidden, Message: "forbidden"}
	errInFlight    = &api.Error{Code: api.CodeInvalidRequest, Message: "invalid request: a request with this id is in flight"}
	errInternal    = &api.Error{Code: api.CodeInternal, Message: "internal error"}
	errCancelled   = &api.Error{Code: api.CodeCancelled, Message: "cancelled"}
	errDeadline    = &api.Error{Code: api.CodeDeadline, Message: "deadline exceeded"}
	errGoingAway   = &api.Error{Code: api.CodeGoingAway, Message: "going away"}
	errGuestFailed = &api.Error{Code: api.CodeApplication, Message: "handler failed"}
	errBusy        = (&api.Error{Code: api.CodeBusy, Message: "busy"}).WithData(map[string]int{"retry_ms": 100})
)

func tooLarge(limit int) *api.Error {
	e := &api.Error{Code: api.CodeInvalidRequest, Message: "invalid request: the message is too large"}
	return e.WithData(map[string]int{"limit": limit})
}

// count counts something refused, by its reason, for the link and for the peer.
func (l *link) count(reason string) {
	l.refused.Add(1)
	l.p.stats.refuse(reason)
}

// answerNull queues an error with the id null, signed where the link is signed to.
func (l *link) answerNull(e *api.Error) {
	_ = l.push(codec.AppendError(nil, nil, e, nil), security.Outgoing{To: l.to()}, answer)
}

// push queues a message of the engine's own.
func (l *link) push(text []byte, out security.Outgoing, u urgency) error {
	_, _, err := l.out.push(text, out, nil, u, l.p.aboutNow())
	return err
}

// pushNow queues a message that is best written at once. It is not for the reader.
func (l *link) pushNow(now time.Time, text []byte, out security.Outgoing, u urgency, a about) (number uint64, err error) {
	number, waiting, _, err := l.out.add(text, out, nil, u, a)
	if err == nil && !l.writeNow(now, waiting) {
		l.out.rouse()
	}
	return number, err
}

// to is the name that messages of our own are addressed to.
func (l *link) to() string {
	if i := l.info.Load(); i.Verified {
		return i.Name
	}
	return "*"
}

// signs reports whether what we send on the link is signed.
func (l *link) signs() bool {
	if l.session != nil {
		return true
	}
	if s, ok := l.sec.(interface{ Signed() bool }); ok {
		return l.dialled && l.p.cfg.Keys.Len() > 0 || s.Signed()
	}
	return l.info.Load().Verified
}

// signsReadable reports whether the messages on the link are signed as they are, so that a broadcast is hashed once for
// all of them.
func (l *link) signsReadable() bool {
	if l.session != nil {
		return l.session.Protection() == security.Signed
	}
	return l.p.hmac != nil
}

// limitOut is the greatest JSON text that may be sent.
func (l *link) limitOut() int {
	if l.maxOut > 0 {
		return min(l.maxOut, l.p.cfg.Limits.MaxFrame)
	}
	return l.p.cfg.Limits.MaxFrame
}

// speaksMeta reports whether the other end takes the member meta.
func (l *link) speaksMeta() bool { return l.meta.Load() }

// forgetSecInfo ends the wait for a payload.
func (l *link) forgetSecInfo() {
	l.secinfo = nil
	l.awaiting.Store(0)
}
