// Package mdns finds the peers of the local network by multicast DNS (RFC 6762) and DNS service discovery (RFC 6763):
// the same protocol, and the same port, as printers, avahi and Bonjour.
//
// # Model
//
// A peer is an instance "<name>-<first 8 characters of the id>" of the service type _peermesh._tcp. The TXT record
// says who it is and where: v=1, id, boot, a (its addresses), tls=1 if it wants TLS, and m, the proof that whoever wrote
// this holds the key of the mesh (discovery.Proof). The port is that of the SRV record. With Config.Keys nothing is
// believed that has no valid proof, and nothing is dialled but the addresses in a, which the proof covers.
//
// The library github.com/hashicorp/mdns answers questions. Everything else a mesh needs is done here, on one socket for
// each interface and IP version that has joined the group: announcements, goodbyes, answers to everybody, and listening
// to those of others. The library's client is not used, as it ignores TTL, service and interface, knows one instance a
// packet, and lets an IPv6 error end IPv4.
//
// # Lifecycle
//
// When there is something to announce it is said twice, one second apart, and again after each change; on the way out
// we say goodbye. We ask who is there at once and then after 1, 3, 9, 27, 60, 60 … seconds, listing whom we know, so
// that they need not answer. A peer is forgotten one second after its goodbye, or when its record has expired: it is
// good for 120 s and asked for again when 80 % of them have passed.
//
// Interfaces are looked at every 5 s and a change is believed when it has lasted 2 s; then sockets are opened and
// closed, and we announce and ask again. IPv4 and IPv6 are kept apart: what goes wrong with one never concerns the
// other. An absent network is no error, but a note in Status.
//
// # Limits
//
// 256 peers are known at most; who was not heard of for longest makes room, but nobody who is linked or pinned. An
// announcement has at most 8 addresses, a packet of ours 1,200 bytes. Each answer goes to everybody at most once a
// second, and at most 100 questions a second are answered to the asker alone.
//
// While we announce, the library's server has port 5353 open beside whoever else has it, avahi for instance. Packets to
// the group reach all of them; packets to the port alone reach the one that came last, on Linux. So on a machine with
// peers another responder may miss answers that are meant for it alone, which it must be able to do without (RFC 6762,
// section 15.1); for ours nobody depends on them.
//
// # Security
//
// Everybody on the network can read what is announced, and can replay it. So nothing secret is in it, and it is a hint
// where to dial, never proof of who is there or that they are alive: its worst effect is a dial in vain.
//
// # Concurrency
//
// One goroutine, that of Run, owns all state; there is one more for each socket, all gone when Run returns, except that
// a server of the library may take a moment to notice that its socket was closed. Status may be called from any.
package mdns
