// Package transport carries frames: over TCP, over WebSocket, both with TLS or without, over the standard streams of a
// process, and between two ends in one process. A Conn is a net.Conn to which whole frames are written; how the frames
// are told apart is package codec's affair, and who sends them package security's.
//
// # One port
//
// A Listener serves every protocol on one port: what a connection speaks is decided from its first bytes. TCP
// connections carry frames directly; HTTP requests for /mesh become WebSocket connections; POST requests for /rpc
// become a Conn that lives for one message. A listener that has a certificate takes the same inside TLS, and those of
// tcps and wss addresses take nothing else.
//
// # Web pages
//
// A browser sends requests to this machine for any page that asks it to. So a request must be for a host that is ours,
// and one of a page is refused unless the page's origin is listed and it brings a token that its user has given it; see
// Tokens. No answer has CORS headers.
//
// # Limits
//
// A connection is new until what is above has called Admitted. There are at most 64 new ones, 8 of one address, and
// each has 5 seconds, from the moment it is accepted, for all that happens here: a TLS handshake, the headers of a
// request, the body of a POST request. No memory is taken for lengths that are merely announced.
package transport
