// Package discovery finds the other peers: where they are, under which id, and when they came and went.
//
// # Model
//
// A Source is one way to find peers and to be found: mDNS on the local network (package mdns), a registry of files for
// the processes of one user on one machine (package local), a list of addresses (package static). A Set runs several
// of them side by side and merges what they report by peer id, so that a peer seen by two of them is one Record, and
// leaves when both have lost it. What we say of ourselves is an Announcement; it may change while the sources run, for
// a listener is often bound after discovery has started.
//
//	set, err := discovery.New(discovery.Config{Self: me}, local.New(local.Config{Mesh: "lab"}), mdns)
//	go set.Run(ctx)
//	for {
//		ev, err := set.Next(ctx) // Joined, Updated or Left
//	}
//
// # Lifecycle
//
// Run starts the sources and returns after ctx has ended and each of them has said goodbye; nothing is left running.
// Asked is closed once all sources have looked around once, which is what somebody waits for (with a time limit of
// their own) who wants to know who is there. Refresh makes them look again.
//
// # A hint, not a fact
//
// A record says where it may be worth dialling. It is not a sign of life: a linked peer stays linked when its record
// expires, and a record may outlive its process. Nor is it an identity: who answers at an address is proven by the
// handshake of the link. Record.Trusted says that the record was configured literally or carries a proof made with a
// key of the mesh (see Proof); records that claim to be of our mesh and fail that proof are refused by the sources.
// Trusted records are not mixed with others, and are not evicted to make room for them.
//
// # Limits
//
// A Set knows at most MaxPeers peers with MaxAddrs addresses each. When the table is full, the peer goes that is least
// trusted and was not heard of for longest, but never one that is kept (see Keep). Events do not queue up: the
// consumer is told the difference between what it knows and what is known. What is evicted or ignored is counted in
// Status.
//
// # Concurrency
//
// All methods of Set and Feed may be called from any goroutine. No source ever waits for the consumer, for another
// source, or for a lock that is held during I/O.
package discovery
