package peer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"peermesh/api"
	"peermesh/discovery"
	"peermesh/discovery/local"
	"peermesh/discovery/mdns"
	"peermesh/discovery/static"
	"peermesh/peer/tap"
	"peermesh/peer/transport"
	"peermesh/security"
)

// Config says which mesh to join and how. The zero value is a working member of the mesh "default": each field says
// what its zero value means.
type Config struct {
	// Mesh is the mesh's name. Peers of another name, or without the key of this one, are not found. Default "default".
	Mesh string
	// Name is what the others see and address. Default: the host's name, made to fit [a-z0-9][a-z0-9_-]{0,52}. When a
	// process of that name runs already on this machine, this one is NAME-2: Peer.Self tells.
	Name string

	// Keys are the mesh's keys. Nil: those in KeyFile. Without any key the peer is reachable from this machine alone,
	// and everybody on it is a member.
	Keys *security.Keyring
	// KeyFile holds the mesh's keys. Empty: KeyFile(Mesh), where `peerctl key new MESH` puts it, if there is one.
	KeyFile string
	// Provider, when not nil, makes the security of each link in place of Keys: what signs, seals and checks its
	// messages. It is told whether we have dialled. Such a peer may listen anywhere.
	Provider func(dialled bool) security.Provider
	// Identity is the peer's id. Nil: the one of this name that is kept in IdentityDir, or a throw-away one where no
	// file can be kept. Whoever gives one closes it.
	Identity *security.Identity
	// Throwaway makes an id that lives as long as the process, and keeps no file.
	Throwaway bool
	// Protection is how messages travel between peers: security.Sealed, the default, encrypts them, security.Signed
	// leaves them readable; both sign each one. A peer that is Sealed does not talk to one that wants less.
	Protection security.Protection
	// Accept is the least that listeners take: security.AcceptSession, the default with a key, takes peers that prove
	// who they are; security.AcceptHMAC also single messages signed with the mesh's key, security.AcceptGuest also
	// unsigned ones. Without a key it is AcceptGuest.
	Accept security.Accept
	// KnownPeers holds which names belong to which peer ids, and who is revoked. Nil: those in KnownPeersFile(), where
	// a name is pinned to the first id that proves to bear it; a Throwaway peer only reads it.
	KnownPeers *security.KnownPeers
	// Policy says who may call what. Nil: the one in PolicyFile; without one members may call what is for members,
	// guests what is for guests.
	Policy *security.Policy
	// PolicyFile holds the policy. It is read again when it changes. Empty: PolicyFile(Mesh), if it is there.
	PolicyFile string

	// Listen holds the addresses to listen on, as ParseAddresses of package transport reads them: "tcp://:7117",
	// "ws://127.0.0.1:0", "stdio:", "mux(…)". Nil: port 7117 or the next free one, on all addresses with a key and on
	// 127.0.0.1 without. Empty but not nil: none; such a peer dials the others and is not announced.
	Listen []string
	// Hosts are the names, beside the listener's own address and localhost, under which HTTP requests may reach it.
	Hosts []string
	// Origins are the web pages, as scheme://host:port, that may connect by WebSocket with a token of BrowserToken.
	Origins []string
	// Peers holds addresses to dial always, with no discovery needed: "192.168.1.31:7117", "ws://cam1.local/mesh".
	Peers []string
	// NoMDNS leaves multicast discovery out, NoLocal the meeting of peers on one machine through files.
	NoMDNS, NoLocal bool
	// Interfaces restricts multicast discovery to these network interfaces. Nil: all suitable ones.
	Interfaces []string
	// Discovery holds further sources of peers.
	Discovery []discovery.Source
	// Network is where connections are made. Nil: the machine's. peertest has one in memory.
	Network transport.Network
	// RuntimeDir is where local discovery and the control socket are. Empty: local.DefaultDir().
	RuntimeDir string

	// Settle bounds how long Join waits for the peers that were found to be linked. Default 1 s; negative: no wait.
	Settle time.Duration
	// RequireHandlers makes Join fail when a bound API has incoming methods that nobody handles.
	RequireHandlers bool
	// HearAll tells the others that this peer wants every broadcast, of any API: what an inspector does.
	HearAll bool
	// Tap is how much of its messages this peer shows to members who watch the mesh: tap.Off, tap.Headers (the default:
	// who, when, which method, how large) or tap.Full. Unless it is Off, admins see all of it.
	Tap tap.Level
	// Control opens a socket, for this user alone, through which peerctl can use this peer.
	Control bool
	// Version is what the others are told of this program's version.
	Version string
	// Limits are the bounds of what the network can fill.
	Limits Limits
	// Logger takes what happens. Nil: nothing is logged.
	Logger *slog.Logger

	keyPath string // where Keys were read from
}

// Limits are the bounds of what others can fill. Zero fields have the default, which is enough for a laboratory.
type Limits struct {
	MaxFrame    int // bytes of JSON text of one message that is taken, once the sender is known; default 4 MiB
	Calls       int // requests of one link in flight here; default 256
	QueuedIn    int // notifications of one link that wait or run; default 1,024
	QueuedBytes int // bytes of messages that wait for one link's handlers; default 8 MiB
	Queue       int // messages that wait to be written to one link; default 1,024
	QueueBytes  int // bytes of them; default 8 MiB
	NewLinks    int // accepted links that have proven nothing yet; default 64
	NewPerAddr  int // the same from one address (not of this machine); default 8
	Peers       int // peers that are linked automatically; default 128
}

const (
	maxNewFrame   = 4 << 10  // a message of a new link
	maxUnverified = 16 << 20 // bytes of messages of all new links together
)

// DefaultPort is the port that a peer listens on when nothing else is said.
const DefaultPort = "7117"

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.MaxFrame, 4<<20)
	def(&l.Calls, 256)
	def(&l.QueuedIn, 1024)
	def(&l.QueuedBytes, 8<<20)
	def(&l.Queue, 1024)
	def(&l.QueueBytes, 8<<20)
	def(&l.NewLinks, transport.MaxNew)
	def(&l.NewPerAddr, transport.MaxNewPerAddr)
	def(&l.Peers, 128)
	return l
}

// complete fills in the defaults. It reads files and opens the identity, but opens no connection.
func (c Config) complete() (Config, error) {
	if c.Mesh == "" {
		c.Mesh = "default"
	}
	if !security.ValidName(c.Mesh) {
		return c, fmt.Errorf("peer: mesh: %w", &security.NameError{Name: c.Mesh})
	}
	if c.Name == "" {
		c.Name = HostName()
	}
	if !security.ValidName(c.Name) {
		return c, fmt.Errorf("peer: %w", &security.NameError{Name: c.Name})
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	}
	if c.Network == nil {
		c.Network = transport.Net{}
	}
	if c.Settle == 0 {
		c.Settle = time.Second
	}
	c.Limits = c.Limits.withDefaults()
	if c.Tap == "" {
		c.Tap = tap.Headers
	}
	if _, err := tap.ParseLevel(string(c.Tap)); err != nil {
		return c, fmt.Errorf("peer: %w", err)
	}
	if err := c.loadKeys(); err != nil {
		return c, err
	}
	switch {
	case c.keyless():
		c.Accept = security.AcceptGuest
	case c.Provider != nil:
		c.Accept = max(c.Accept, security.AcceptHMAC) // what a link accepts is the provider's affair
	}
	for _, expr := range slices.Concat(c.Listen, c.Peers) {
		if _, err := transport.ParseAddresses(expr); err != nil {
			return c, fmt.Errorf("peer: %w", err)
		}
	}
	return c, nil
}

// keyless reports whether nothing tells members from strangers.
func (c *Config) keyless() bool { return c.Keys.Len() == 0 && c.Provider == nil }

func (c *Config) loadKeys() error {
	if c.Keys != nil {
		return nil
	}
	path, must := c.KeyFile, true
	if path == "" {
		var err error
		if path, err = KeyFile(c.Mesh); err != nil {
			path = "" // no home, no key
		}
		must = false
	}
	var entries []security.Entry
	if path != "" {
		var err error
		entries, err = security.ReadKeyFile(path)
		if err != nil && (must || !errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("peer: %w", err)
		}
	}
	keys, err := security.NewKeyring(entries...)
	if err != nil {
		return fmt.Errorf("peer: %s: %w", path, err)
	}
	c.Keys = keys
	if len(entries) > 0 {
		c.keyPath = path
	}
	return nil
}

// openIdentity returns the identity and whether it is ours to close.
func (c *Config) openIdentity() (*security.Identity, bool, error) {
	if c.Identity != nil {
		return c.Identity, false, nil
	}
	if !c.Throwaway {
		if dir, err := IdentityDir(); err == nil {
			id, err := security.OpenIdentity(dir, c.Name)
			if err == nil {
				return id, true, nil
			}
			if !errors.Is(err, fs.ErrPermission) && !isReadOnly(err) {
				return nil, false, fmt.Errorf("peer: %w", err)
			}
		}
	}
	id, err := security.NewIdentity(c.Name)
	if err != nil {
		return nil, false, fmt.Errorf("peer: %w", err)
	}
	return id, true, nil
}

// isReadOnly reports a home that cannot be written to: a container's, most likely.
func isReadOnly(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p) && strings.Contains(p.Err.Error(), "read-only")
}

// sources makes the sources of discovery that the Config asks for.
func (c *Config) sources() ([]discovery.Source, error) {
	keys := func() (keys [][]byte) { // read anew each time, for keys are changed while the mesh runs
		for _, e := range c.sendingFirst() {
			if e.Users == nil {
				keys = append(keys, e.Key.MDNSKey().Bytes())
			}
		}
		return keys
	}
	var all []discovery.Source
	if len(c.Peers) > 0 {
		var addrs []string
		for _, expr := range c.Peers {
			as, _ := transport.ParseAddresses(expr) // complete has checked it
			for _, a := range as {
				addrs = append(addrs, a.String())
			}
		}
		s, err := static.New(addrs...)
		if err != nil {
			return nil, fmt.Errorf("peer: %w", err)
		}
		all = append(all, s)
	}
	if !c.NoLocal {
		s, err := local.New(local.Config{Dir: c.RuntimeDir, Mesh: c.Mesh, Keys: keys})
		if err != nil {
			return nil, fmt.Errorf("peer: %w", err)
		}
		all = append(all, s)
	}
	if !c.NoMDNS && len(keys()) > 0 {
		s, err := mdns.New(mdns.Config{Keys: keys, Interfaces: c.Interfaces, Logger: c.Logger})
		if err != nil {
			return nil, fmt.Errorf("peer: %w", err)
		}
		all = append(all, s)
	}
	return append(all, c.Discovery...), nil
}

// sendingFirst lists the valid keys, the one that is signed with first.
func (c *Config) sendingFirst() []security.Entry {
	now := time.Now()
	entries := slices.DeleteFunc(c.Keys.Entries(), func(e security.Entry) bool { return !e.Valid(now) })
	if first, ok := c.Keys.Sending("", now); ok {
		slices.SortStableFunc(entries, func(a, b security.Entry) int {
			return rank(!a.Key.Equal(first.Key)) - rank(!b.Key.Equal(first.Key))
		})
	}
	return entries
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// listenAddresses returns what to listen on, and whether a taken port means the next one.
func (c *Config) listenAddresses() (addrs []transport.Address, next bool) {
	if c.Listen == nil {
		host := ""
		if c.keyless() {
			host = "127.0.0.1"
		}
		return []transport.Address{{Scheme: "tcp", Host: net.JoinHostPort(host, DefaultPort)}}, true
	}
	for _, expr := range c.Listen {
		as, _ := transport.ParseAddresses(expr) // complete has checked it
		addrs = append(addrs, as...)
	}
	return addrs, false
}

// HostName returns the host's name, made to fit what a peer may be called; "peer" where there is none.
func HostName() string {
	host, _ := os.Hostname() // an error leaves it empty
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	var b strings.Builder
	for _, r := range host {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0:
			b.WriteByte('-')
		}
	}
	name := strings.TrimRight(b.String(), "-")
	if len(name) > 40 {
		name = name[:40]
	}
	if name == "" {
		return "peer"
	}
	return name
}

var _ api.Mesh = (*Peer)(nil)
