// Package peer makes a program a member of a mesh: it finds the others, links with each of them, and carries
// notifications and calls both ways. What is said is defined with package api; this package is how it gets there.
//
// # Model
//
// All peers are equal. Each listens, each dials, and every two of them keep one link, over TCP or WebSocket, on which
// both send JSON-RPC 2.0 messages of their own accord. A peer is found by multicast DNS on the local network, through
// files by other processes of the same user, or at addresses that were listed; who answers there proves in a handshake
// that it holds the key of the mesh, and which peer it is.
//
//	p, err := peer.New(peer.Config{Mesh: "lab", Name: "cam1"}) // no connection yet
//	cam := api.Bind(p, lab.API)                                // one side of an API
//	lab.Snap.Handle(cam, snap)                                 // what is handled
//	err = p.Join(ctx)                                          // now it is there
//	defer p.Close()
//	lab.Frame.Send(ctx, cam, api.All, frame)                   // what is sent
//
// # Lifecycle
//
// New reads the key and the identity. Join listens, starts discovery, and returns once those who are there now are
// linked, after a second at the latest. From then on links come and go by themselves: a lost one is dialled again, with
// growing pauses, for as long as the peer is announced or listed. Events tells who came and went. Close says goodbye,
// lets handlers and queues finish for up to two seconds, and leaves nothing running. A peer does not join twice.
//
// A process that is silent for 10 s is suspect, after 15 s it is gone; idle links are pinged every 5 s. One that comes
// back as a new process replaces its former self at once, and calls that the old one had end with api.ErrGone.
//
// # Calls
//
// Every call has exactly one outcome: a result, the peer's *api.Error, or an *api.CallError that says whether the call
// may have run. Nothing is sent twice, except calls that their definition marks as idempotent. Deadlines travel with
// the call; cancelling its context cancels the handler's. Answers count only from the peer that was asked, on the link
// that it was asked on; others are dropped and counted.
//
// # Order and concurrency
//
// Messages from one peer to another arrive in the order in which they were sent, for as long as their link lives.
// Handlers run one at a time for each sender and API, in that order, unless a method is defined with api.Concurrent. A
// handler that waits in a call of its own, with its context, lets the next message start, so that peers may call each
// other back to any depth. Handlers never run on the goroutine that reads a link: a slow one delays nobody but later
// messages of the same sender and API.
//
// # Limits
//
// Whatever the network can fill has a bound, see Limits, and a counter, see Stats. A queue towards a slow peer that is
// full refuses the new message, and its sender is told; other peers notice nothing. More than 256 calls in flight from
// one peer are answered with api.CodeBusy. When 1,024 notifications of one peer wait for their handlers, nothing more is
// read from it for up to 2 s, so that its sender notices; if they have not caught up by then, or a call to that peer
// waits for its answer, what comes is dropped and counted. A message of
// more than 4 MiB is not sent, and not taken. A write that blocks for 10 s ends the link. Strangers get 4 KiB and 5 s.
//
// A single signed message, of a program without sessions, is remembered by its receiver for four minutes, so that it
// cannot be replayed, and a receiver remembers 262,144 of one sender: about 1,000 a second. Beyond that requests are
// answered with api.CodeBusy, and notifications are refused and counted at the receiver. Sessions have no such bound.
//
// # Security
//
// With a key, every link is a session: a handshake proves that both ends hold the mesh's key and which peer each of them
// is, and every message after it is signed, numbered and, with Config.Protection Sealed, unreadable on the way. See
// package security for what that promises. A session is renewed after 23 hours, while it is in use, without a message
// being lost or overtaken.
//
// The first peer that bears a name has it: Config.KnownPeers pins the name to its id, and refuses another id under that
// name, on both sides an event Refused that says so. Whom the file of known peers revokes is cut off at once. A program
// that lives for a command (Config.Throwaway) is not pinned.
//
// Config.Accept takes less from those who dial us: AcceptHMAC single messages that are signed with the mesh's key, for
// programs in other languages; AcceptGuest unsigned ones of guests, who may call what is defined for guests. We take
// nothing less from those whom we dial, whatever they answer, except at an address that says so:
//
//	peer.Config{Mesh: "lab", Peers: []string{"tcp://10.0.0.7:7000?protect=none"}}
//
// Listeners speak TLS too, with a certificate that the identity makes; tcps:// and wss:// insist on it. It is the
// session within, bound to it, that proves who is there. Without a key the peer listens on loopback alone, and everybody
// on this machine is a member.
//
// Config.Policy narrows who may call what; Explain says what it comes to. Invite and Enroll let a new machine in with a
// code that is good once. Keys, pins and policy that stand in files are read again when the files change. Nothing of a
// handler's panic or of this machine reaches another peer.
//
// # Watching
//
// Watch yields what is said in the whole mesh, each message once, as records (see package tap): this peer's own messages
// and, through the other peers' taps, those between others. Config.Tap is what a peer lets members see of it: headers, the
// default, are who, when, which method, how large; full are params and results too; off is nothing. Roles admin see all,
// and so does a peer of the same user on the same machine. Watchers lists who watches. Tap gives this peer's ring alone:
// the newest 4,096 events with up to 8 MiB of text, while somebody watches; what a follower is too slow for is counted.
// A peer that nobody watches keeps nothing. Config.Control lets peerctl use and watch a running program.
package peer
