package peer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	mrand "math/rand/v2"
	"net"
	"os"
	"strconv"
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

	ids       atomic.Uint64
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

	mu      sync.Mutex
	links   map[*link]struct{}
	byID    map[string]*link // of the peers that introduced themselves, the link that counts
	targets map[string]*target
	changed chan struct{} // closed at the next change

	life      sync.Mutex // held while the peer opens, and to begin its close
	started   bool
	listeners []*transport.Listener

	found      *discovery.Set
	slots      *transport.Slots
	dials      *rate.Limiter
	answers    *limiter
	clock      clock
	unverified atomic.Int64 // bytes of messages whose sender is not known yet
	stats      stats
	events     subscribers
	tap        atomic.Pointer[tap.Ring]
	protocol   atomic.Pointer[protocolErrors]
	control    *control
}

// bound is a binding with its incoming methods by name.
type bound struct {
	api.Binding
	incoming map[string]*api.Method
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
	p := &Peer{cfg: cfg, log: cfg.Logger, id: id, ownsID: owns, keyless: cfg.Keys.Len() == 0, start: time.Now(),
		closed: make(chan struct{}), changed: make(chan struct{}), links: map[*link]struct{}{}, byID: map[string]*link{},
		targets: map[string]*target{}, slots: transport.NewSlots(cfg.Limits.NewLinks, cfg.Limits.NewPerAddr),
		dials: rate.NewLimiter(dialRate, dialBurst), answers: newLimiter(5, 5), clock: clock{wake: make(chan struct{}, 1)}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.ids.Store(mrand.Uint64N(1 << 48))
	p.bindings.Store(&map[string]*bound{})
	p.members.Store(&[]*link{})
	p.rules.Store(cfg.Policy)
	if !p.keyless {
		p.hmac, err = security.NewHMAC(security.HMACConfig{Name: id.Name(), Keys: cfg.Keys})
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
	if p.keyless {
		return "none"
	}
	return "hmac"
}

func (p *Peer) releaseID() error {
	if p.ownsID {
		return p.id.Close()
	}
	return nil
}

// Join makes a peer and joins it to its mesh.
func Join(ctx context.Context, cfg Config) (*Peer, error) {
	p, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if err := p.Join(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// ErrJoined is returned by Join of a peer that has joined, or was closed.
var ErrJoined = errors.New("peer: it has joined already")

// ErrUnhandled is returned by Join when Config.RequireHandlers is set and a bound API has methods without a handler.
var ErrUnhandled = errors.New("peer: methods without a handler")

// Join listens, starts discovery, and returns once every source of discovery was asked and each peer that it found is
// linked or failed, after Config.Settle at the latest; ctx bounds that wait too, and its end is no error. Afterwards
// the peer lives until Close. Errors are those of listening: an address in use, most likely.
func (p *Peer) Join(ctx context.Context) error {
	if err := p.open(); err != nil {
		return err
	}
	p.settle(ctx)
	return nil
}

// open starts everything that Close ends.
func (p *Peer) open() error {
	p.life.Lock()
	defer p.life.Unlock()
	if p.started || p.closing.Load() {
		return ErrJoined
	}
	p.started = true
	if p.cfg.RequireHandlers {
		if err := p.requireHandlers(); err != nil {
			return err
		}
	}
	sources, err := p.cfg.sources()
	if err != nil {
		return err
	}
	if p.found, err = discovery.New(discovery.Config{Logger: p.log}, sources...); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	if err := p.listen(); err != nil {
		return errors.Join(err, p.closeListeners())
	}
	p.joined.Store(true)
	if p.cfg.Control {
		if err := p.openControl(); err != nil {
			p.log.Warn("the control socket", "error", err)
		}
	}
	p.wg.Add(2)
	go p.keepTime()
	go p.follow()
	p.wg.Go(func() { _ = p.found.Run(p.ctx) }) // runs once
	for _, ln := range p.listeners {
		p.wg.Go(func() { p.accept(ln) })
	}
	return nil
}

func (p *Peer) requireHandlers() error {
	var missing []error
	for name, b := range *p.bindings.Load() {
		for _, m := range b.Unhandled() {
			missing = append(missing, fmt.Errorf("%w: %s.%s", ErrUnhandled, name, m))
		}
	}
	return errors.Join(missing...)
}

// settle waits until those that were found are linked or failed.
func (p *Peer) settle(ctx context.Context) {
	if p.cfg.Settle < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(contextOr(ctx), p.cfg.Settle)
	defer cancel()
	select {
	case <-p.found.Asked():
	case <-ctx.Done():
		return
	case <-p.ctx.Done():
		return
	}
	p.until(ctx, func() bool {
		if p.found.Status().Pending > 0 {
			return false
		}
		for _, t := range p.targets {
			if !t.settled && !t.linkedLocked() {
				return false
			}
		}
		return true
	})
}

// until waits for a change of the membership that makes ready hold. ready runs with the membership locked.
func (p *Peer) until(ctx context.Context, ready func() bool) error {
	for {
		p.mu.Lock()
		ok, changed := ready(), p.changed
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ctx.Done():
			return api.ErrClosed
		}
	}
}

// listen opens the listeners and tells discovery where they are.
func (p *Peer) listen() error {
	addrs, next := p.cfg.listenAddresses()
	self := *p.self.Load()
	var bound []net.Addr
	for _, a := range addrs {
		if a.Scheme == "stdio" {
			if l := p.adoptConn(transport.Stdio(), nil); l == nil {
				return api.ErrClosed
			}
			continue
		}
		if p.keyless && !onLoopback(a.Host) {
			return fmt.Errorf("peer: %s: without a key a mesh is for this machine alone: make one with `peerctl key new %s`, or listen on 127.0.0.1", a, p.cfg.Mesh)
		}
		ln, err := p.listenOn(a, next)
		if err != nil {
			return fmt.Errorf("peer: listen on %s: %w", a, err)
		}
		p.listeners = append(p.listeners, ln)
		bound = append(bound, ln.Addr())
		self.Addresses = append(self.Addresses, reachable(ln.Addr()))
	}
	if len(self.Addresses) > 0 {
		self.Address = self.Addresses[0]
	}
	p.self.Store(&self)
	p.announced.Store(len(bound) > 0)
	ann := discovery.Announcement{ID: self.ID, Name: self.Name, Boot: self.Boot}
	if len(bound) > 0 {
		ann.Port, ann.Addrs = portOf(bound[0]), ipsOf(bound[:1])
	}
	return p.found.Update(ann)
}

// reachable returns an address that others can use for a listener on all addresses of the machine.
func reachable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || !t.IP.IsUnspecified() {
		return a.String()
	}
	best := net.IPv4(127, 0, 0, 1)
	addrs, _ := net.InterfaceAddrs() // without it there is the loopback address
	for _, ifa := range addrs {
		if n, ok := ifa.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			best = n.IP
			break
		}
	}
	return net.JoinHostPort(best.String(), strconv.Itoa(t.Port))
}

const portsTried = 100

func (p *Peer) listenOn(a transport.Address, next bool) (*transport.Listener, error) {
	cfg := transport.ListenConfig{Network: p.cfg.Network, Slots: p.slots, Hosts: p.cfg.Hosts}
	host, port, err := net.SplitHostPort(a.Host)
	if err != nil {
		return nil, err
	}
	ln, err := transport.Listen(a, cfg)
	if n, perr := strconv.Atoi(port); next && perr == nil {
		for i := 1; i < portsTried && isInUse(err); i++ {
			a.Host = net.JoinHostPort(host, strconv.Itoa(n+i))
			ln, err = transport.Listen(a, cfg)
		}
	}
	return ln, err
}

func onLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isInUse(err error) bool {
	var sys *os.SyscallError
	return errors.As(err, &sys) && addressInUse(sys.Err)
}

// accept takes connections until the listener is closed.
func (p *Peer) accept(ln *transport.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		if p.adoptConn(c, nil) == nil {
			_ = c.Close()
		}
	}
}

// Attach makes a link of a connection that was made elsewhere, such as one end of a transport.Pipe. The other end is
// treated as one that has dialled us. The connection is the peer's from then on. It returns api.ErrClosed, and leaves
// the connection alone, when the peer has not joined or is closed.
func (p *Peer) Attach(c *transport.Conn) error {
	if !p.joined.Load() || p.adoptConn(c, nil) == nil {
		return api.ErrClosed
	}
	return nil
}

// adoptConn makes a link of a connection and starts it; nil when the peer is closing.
func (p *Peer) adoptConn(c *transport.Conn, t *target) *link {
	l := p.newLink(c, p.provider(t != nil), t)
	silentGuest := c.Silent && p.cfg.Accept == security.AcceptGuest
	p.mu.Lock()
	if p.closing.Load() {
		p.mu.Unlock()
		return nil
	}
	p.links[l] = struct{}{}
	l.run(silentGuest)
	p.mu.Unlock()
	p.clock.nudge()
	return l
}

// provider makes the security of one link.
func (p *Peer) provider(dialled bool) security.Provider {
	if p.hmac == nil {
		return security.Null{}
	}
	if dialled {
		return p.hmac.Link(security.LinkConfig{Accept: security.AcceptHMAC, Sign: true})
	}
	return p.hmac.Link(security.LinkConfig{Accept: p.cfg.Accept})
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
	p.mu.Lock()
	defer p.mu.Unlock()
	old := *p.bindings.Load()
	if o := old[name]; o != nil {
		_, _, was, _ := o.API()
		return fmt.Errorf("peer: the side %s of %q cannot be bound: its side %s is bound already", side, name, was)
	}
	now := map[string]*bound{name: {b, incoming}}
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
		r := p.resolve(to, b, "", nil, true)
		return len(r.links) > 0 && len(r.refused) == 0
	})
}

// Close leaves the mesh: it says goodbye to discovery and to each peer, lets handlers that run finish and queues drain
// for up to 2 s, and returns when nothing is left running. Calls that wait end with api.ErrGone. Closing again returns
// at once.
func (p *Peer) Close() error {
	if p.closing.Swap(true) {
		<-p.closed
		return nil
	}
	p.life.Lock() // a Join that is under way has opened all or nothing
	err := p.closeListeners()
	p.life.Unlock()
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		p.sayBye(l)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeFor)
	_ = p.until(ctx, func() bool { return len(p.links) == 0 }) // those that take longer are cut
	cancel()
	p.cancel()
	for _, l := range links {
		l.end(reasonBye, nil)
	}
	err = errors.Join(err, p.closeControl())
	p.wg.Wait()
	close(p.closed)
	if t := p.tap.Load(); t != nil {
		t.Close()
	}
	return errors.Join(err, p.releaseID())
}

// closeFor is how long Close lets what runs finish.
const closeFor = 2 * time.Second

// sayBye ends a link once its handlers are done and its queue is written.
func (p *Peer) sayBye(l *link) {
	l.calls.fail(api.ErrGone)
	l.in.refuseNew()
	l.in.idle(func() {
		if l.known.Load() && !l.conn.Once {
			p.bye(l)
		}
		l.finish()
	})
}

func (p *Peer) closeListeners() error {
	var errs []error
	for _, ln := range p.listeners {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
