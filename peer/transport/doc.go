// Package transport carries frames: over TCP, over WebSocket, over the standard streams of a process, and between two
// ends in one process. A Conn is a net.Conn to which whole frames are written; how the frames are told apart is
// package codec's affair.
//
// A Listener serves every protocol on one port: what a connection speaks is decided from its first bytes. TCP
// connections carry frames directly; HTTP requests for /mesh become WebSocket connections; POST requests for /rpc
// become a Conn that lives for one message.
package transport
