package peer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"peermesh/api"
	"peermesh/discovery"
	"peermesh/peer/tap"
	"peermesh/peer/transport"
	"peermesh/security"
)

// Peer is one member of a mesh. All its methods are safe for concurrent use.
type Peer struct {
	cfg     Config
	log     *slog.Logger
	id      *security.Identity
	ownsID  bool
	keyless bool
	hmac    *security.HMAC // nil without keys
	start   time.Time
	self    atomic.Pointer[api.Info]
	rules   atomic.Pointer[security.Policy]
	known   *security.KnownPeers // the user's file
	met     *security.KnownPeers // of a peer that keeps no file
	invites *security.Invites

	invitesPath string // their file; empty where they live in memory
	seen        *security.Hellos

	ids       atomic.Uint64
	groups    atomic.Uint64 // of broadcasts
	fanOuts   sync.Pool     // the peer's own, for channels and timers belong to the test that made them
	bindings  atomic.Pointer[map[string]*bound]
	members   atomic.Pointer[[]*link] // sorted; read by senders without a lock
	lanes     sync.Map                // of methods that run concurrently: *api.Method → *lane
	joined    atomic.Bool
	announced atomic.Bool // others can dial us
	closing   atomic.Bool
	closed    chan struct{}

	ctx    context.Context // ends when all that runs shall end
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	links     map[*link]struct{}
	byID      map[string]*link   // of the peers that introduced themselves, the link that counts
	arrived   map[string]*link   // of the peers with a session, the link that was made last; it may not have joined yet
	committed map[string]*target // by the ids of peers to which we have said who we are, in a handshake that still runs
	targets   map[string]*target
	changed   chan struct{} // closed at the next change
	warned    bool          // that there are many peers

	life      sync.Mutex // held while the peer opens, and to begin its close
	started   bool
	listeners []*transport.Listener

	found      *discovery.Set
	slots      *transport.Slots
	tokens     *transport.Tokens
	dials      *rate.Limiter
	turns      *turns       // to dial
	shook      atomic.Int64 // when a handshake last came a step further, with whomever; since the start
	answers    *limiter     // refusals of unknown senders
	hellos     *limiter     // introductions; the burst lets a whole mesh on one machine begin at once
	refusals   *limiter     // events of peers that were refused, by their ids
	clock      clock
	unverified atomic.Int64 // bytes of messages whose sender is not known yet
	stats      stats
	events     subscribers
	tap        atomic.Pointer[tap.Ring]
	tapUsers   int // of the ring; guarded by mu
	watch      watchers
	protocol   atomic.Pointer[protocolErrors]
	control    *control
}

// bound is a binding with its methods by name.
type bound struct {
	api.Binding
	incoming map[string]*api.Method
	outgoing map[string]bool // by the name on the wire
	lane     string          // in which its messages wait for their turn
}

// dialRate bounds how often we dial, beyond a first burst that lets a whole mesh be joined at once.
const (
	dialRate  = 5
	dialBurst = 128
)

// New makes a peer. It reads the mesh's key and the peer's identity, and makes the identity where there is none; it
// opens no connection: that is Join's. Errors are those of the Config, of unreadable or too widely readable key files
// (see package security), and of addresses.
func New(cfg Config) (*Peer, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	id, owns, err := cfg.openIdentity()
	if err != nil {
		return nil, err
	}
	p := &Peer{cfg: cfg, log: cfg.Logger, id: id, ownsID: owns, keyless: cfg.keyless(), start: time.Now(),
		closed: make(chan struct{}), changed: make(chan struct{}), links: map[*link]struct{}{}, byID: map[string]*link{}, arrived: map[string]*link{}, committed: map[string]*target{},
		targets: map[string]*target{}, slots: transport.NewSlots(cfg.Limits.NewLinks, cfg.Limits.NewPerAddr), tokens: transport.NewTokens(),
		dials: rate.NewLimiter(dialRate, dialBurst), turns: newTurns(), answers: newLimiter(5, 5), hellos: newLimiter(20, 64),
		refusals: newLimiter(rate.Every(time.Minute), 1), seen: security.NewHellos(), clock: clock{wake: make(chan struct{}, 1)}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.ids.Store(mrand.Uint64N(1 << 48))
	p.clock.next.Store(math.MaxInt64) // it has not looked yet
	p.bindings.Store(&map[string]*bound{})
	p.members.Store(&[]*link{})
	if err := p.openFiles(); err != nil {
		return nil, errors.Join(err, p.releaseID())
	}
	if cfg.Keys.Len() > 0 {
		p.hmac, err = security.NewHMAC(security.HMACConfig{Name: id.Name(), Keys: cfg.Keys, Taken: p.taken})
		if err != nil {
			return nil, errors.Join(err, p.releaseID())
		}
	}
	p.self.Store(&api.Info{ID: id.ID(), Name: id.Name(), Principal: "self", Role: api.RoleAdmin, Verified: true, Self: true,
		Boot: newBoot(p.start), State: api.Linked, Protection: p.protection(), Version: cfg.Version, Seen: p.start})
	return p, nil
}

// newBoot names this run of the process.
func newBoot(start time.Time) string {
	var r [4]byte
	_, _ = rand.Read(r[:]) // it never fails
	return fmt.Sprintf("%013d-%s", start.UnixMilli(), hex.EncodeToString(r[:]))
}

func (p *Peer) protection() string {
	switch {
	case p.keyless:
		return "none"
	case p.cfg.Provider != nil:
		return "hmac"
	}
	return p.cfg.Protection.String()
}

func (p *Peer) releaseID() error {
	if p.ownsID {
		return p.id.Close()
	}
	return nil
}

// provider makes the security of one link.
func (p *Peer) provider(dialled bool, cb string) security.Provider {
	switch {
	case p.cfg.Provider != nil:
		return p.cfg.Provider(dialled)
	case p.hmac == nil:
		return security.Null{}
	}
	if dialled {
		return p.hmac.Link(security.LinkConfig{Accept: security.AcceptHMAC, Sign: true, CB: cb})
	}
	return p.hmac.Link(security.LinkConfig{Accept: p.cfg.Accept, CB: cb})
}

// knowsKey reports whether a secinfo names a key that is held here.
func (p *Peer) knowsKey(params []byte) bool {
	var info security.SecInfo
	if info.Parse(params) != nil {
		return false
	}
	kid := string(info.Get("kid"))
	for _, e := range p.cfg.Keys.Entries() {
		if e.Key.ID() == kid {
			return true
		}
	}
	return false
}

func (p *Peer) policy() *security.Policy { return p.rules.Load() }

// SetPolicy replaces the policy: what comes in from now on is judged by the new one.
func (p *Peer) SetPolicy(policy *security.Policy) { p.rules.Store(policy) }

// Self implements api.Mesh. Its Addresses are those that are listened on, once Join has returned.
func (p *Peer) Self() *api.Info { return p.self.Load() }

// Mesh returns the name of the mesh.
func (p *Peer) Mesh() string { return p.cfg.Mesh }

// Peers implements api.Mesh.
func (p *Peer) Peers() iter.Seq[*api.Info] {
	members := *p.members.Load()
	return func(yield func(*api.Info) bool) {
		for _, l := range members {
			if !yield(p.show(l)) {
				return
			}
		}
	}
}

// Bind implements api.Mesh. A peer binds one side of an API; both sides need two peers, because nobody sends to
// himself.
func (p *Peer) Bind(b api.Binding) error {
	name, _, side, _ := b.API()
	incoming := map[string]*api.Method{}
	for _, m := range b.Incoming() {
		incoming[m.Name] = m
	}
	outgoing := map[string]bool{}
	for _, m := range b.Document().Outgoing {
		outgoing[m.Name] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old := *p.bindings.Load()
	if o := old[name]; o != nil {
		_, _, was, _ := o.API()
		return fmt.Errorf("peer: the side %s of %q cannot be bound: its side %s is bound already", side, name, was)
	}
	now := map[string]*bound{name: {b, incoming, outgoing, "." + name}}
	for n, o := range old {
		now[n] = o
	}
	p.bindings.Store(&now)
	for l := range p.links {
		if l.m.hello != nil && l.m.proven {
			p.announceAPIs(l)
		}
	}
	return nil
}

// Wait implements api.Mesh. It also returns when ctx ends, with its error, and when the peer is closed, with
// api.ErrClosed.
func (p *Peer) Wait(ctx context.Context, b api.Binding, to api.Receivers) error {
	if !p.joined.Load() {
		return api.ErrClosed
	}
	return p.until(ctx, func() bool {
		r := p.resolve(to, b, "", nil, true, nil)
		return len(r.links) > 0 && len(r.refused) == 0
	})
}
