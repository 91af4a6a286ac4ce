package discovery

import (
	"context"
	"fmt"
	"slices"
)

// Limits of the merged table.
const (
	MaxPeers = 256 // peers in the table of a Set
	MaxAddrs = 4   // addresses of one peer
)

// Names of peers, and the forms of ids and boots, are those of the wire protocol.
const (
	maxName = 53 // bytes of a peer name
	idLen   = 32 // characters of a peer id
	bootLen = 22 // characters of a boot: 13 digits, "-", 8 hex digits
)

// Announcement is what a peer says about itself. The zero value announces nothing: a peer that only looks.
type Announcement struct {
	// ID is the peer id, 32 characters of lower-case base32.
	ID string
	// Name is the peer's name, [a-z0-9][a-z0-9_-]{0,52}.
	Name string
	// Boot names this run of the process: Unix milliseconds of its start in 13 digits, "-", 8 hex digits.
	Boot string
	// Port is the one that all Addrs listen on. 0 means that nothing listens yet: sources look but do not announce.
	Port int
	// Addrs are IP addresses without port and zone, best first. Empty means every address of the machine, as a
	// listener on the wildcard address has it.
	Addrs []string
	// TLS says that the listener demands TLS.
	TLS bool
}

// Announces reports whether there is something to announce: an id and a port.
func (a Announcement) Announces() bool { return a.ID != "" && a.Port != 0 }

// Equal reports whether a and b say the same.
func (a Announcement) Equal(b Announcement) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Boot == b.Boot && a.Port == b.Port && a.TLS == b.TLS &&
		slices.Equal(a.Addrs, b.Addrs)
}

// Record is what is known about how to reach one peer. Records are values: a receiver may keep one, but shares its
// Addrs with others and must not write to them.
type Record struct {
	// ID is the peer id. It is empty for a static address until somebody has linked it: such a record stands alone,
	// is never merged, and is told apart by its first address.
	ID string
	// Name and Boot are what the peer said; both are empty where ID is. The name is for display: no proof covers it.
	Name, Boot string
	// Source names where the record comes from: "mdns", "local", "static". In merged records it holds all of them,
	// sorted and comma separated.
	Source string
	// Addrs are dialable, best first: "192.0.2.1:7117", "[fe80::1%eth0]:7117", or, for listed addresses, with a scheme
	// in front: "tcp://…", "tcps://…", "ws://…", "wss://…".
	Addrs []string
	// TLS says that the peer's listener demands TLS.
	TLS bool
	// Trusted says that the record was configured literally, or that its proof verified under a key of the mesh. It
	// says nothing about who answers at the addresses: that is for the handshake to find out.
	Trusted bool
}

// Equal reports whether a and b hold the same.
func (r Record) Equal(o Record) bool {
	return r.ID == o.ID && r.Name == o.Name && r.Boot == o.Boot && r.Source == o.Source && r.TLS == o.TLS &&
		r.Trusted == o.Trusted && slices.Equal(r.Addrs, o.Addrs)
}

// key is what the table files a record under. Ids hold no ":", so that the two kinds never collide.
func (r Record) key() string {
	if r.ID != "" {
		return r.ID
	}
	if len(r.Addrs) == 0 {
		return ""
	}
	return "addr:" + r.Addrs[0]
}

// Kind says what happened to a record.
type Kind int

// The kinds of events.
const (
	Joined  Kind = iota + 1 // a peer that was not known
	Updated                 // other addresses, another source, or another boot: the process was restarted
	Left                    // no source knows it any more; its link, if there is one, is not affected
)

func (k Kind) String() string {
	switch k {
	case Joined:
		return "joined"
	case Updated:
		return "updated"
	case Left:
		return "left"
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// Reasons of a Left event.
const (
	Goodbye   = "goodbye"   // the peer said that it goes
	Expired   = "expired"   // nothing was heard of it for as long as its record was good for
	Interface = "interface" // the network interface that it was heard on went away
	Removed   = "removed"   // the source stopped, or the peer became ourselves
	Evicted   = "evicted"   // the table was full and somebody else was worth more
)

// Event is one change. For Left, Record is the last one that was known, and Reason is set.
type Event struct {
	Kind   Kind
	Record Record
	Reason string
}

func (e Event) String() string {
	s := fmt.Sprintf("%s %s(%s) %v by %s", e.Kind, e.Record.Name, e.Record.ID, e.Record.Addrs, e.Record.Source)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// Source is one way to find peers and to be found.
//
// Run looks for peers, and announces feed.Self for as long as it names a port, until ctx ends; then it says goodbye,
// releases everything that it holds, goroutines included, and returns nil. It returns an error only when the source
// cannot work at all. A network that is absent or that comes and goes is no such reason: that is what Status is for.
// A Source runs once.
//
// Status may be called at any time from any goroutine. A source fills Notes and Counters; the rest is the Set's.
type Source interface {
	Name() string
	Run(ctx context.Context, feed *Feed) error
	Status() SourceStatus
}

// SourceStatus is how one source is doing, for people and their doctor.
type SourceStatus struct {
	Name     string            // the source's
	State    string            // "idle", "running", "stopped" or "failed"
	Asked    bool              // it has asked once (see Feed.Asked)
	Err      error             // why it failed, or nil
	Records  int               // records it contributes now
	Notes    []string          // one finding a line: "eth0: IPv4 and IPv6 joined", "no multicast route"
	Counters map[string]uint64 // since the start
}
