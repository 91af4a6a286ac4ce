// Package contender has the ways to talk to another process that are compared, one file each, behind one interface.
//
// Each is used as its documentation says, with the settings that it comes with and the cheapest handler that it has;
// where a default had to be changed, the file says why.
package contender

import (
	"context"
	"errors"
	"slices"
)

// Echo is what is sent and, by a call, comes back.
type Echo struct {
	Text string `json:"text"`
	N    int    `json:"n"`
}

// Wire says what travels.
type Wire string

// The forms of messages. JSONRPC2 is JSON too.
const (
	Bytes    Wire = "bytes"
	Gob      Wire = "gob"
	Protobuf Wire = "protobuf"
	JSON     Wire = "JSON"
	JSONRPC2 Wire = "JSON-RPC 2.0"
)

// Ability is what a contender can do beside calls that are made one after the other.
type Ability uint8

// The abilities.
const (
	Concurrent Ability = 1 << iota // many calls in flight on one connection
	Notify                         // messages without an answer, from the client to the server
	Broadcast                      // messages from the server to all its clients
)

// Contender is one way to talk to another process.
type Contender struct {
	Name   string
	About  string // what it is, for the table of contenders
	Module string // whose version is shown; empty for the standard library and for ourselves
	Wire   Wire
	Guard  string // what protects a message; empty: nothing
	Can    Ability
	// How many messages may be under way to one receiver before something refuses or drops them, of Notify and of
	// Broadcast; 0: as many as one likes.
	NotesAhead, CastsAhead int
	Ours                   bool
	Limit                  bool // no library, but what the operating system makes possible

	Serve func(Options) (Server, error)
	Dial  func(addr string, o Options) (Client, error)
}

// JSON reports whether its messages are JSON.
func (c *Contender) JSON() bool { return c.Wire == JSON || c.Wire == JSONRPC2 }

// Library reports whether it is somebody else's library.
func (c *Contender) Library() bool { return !c.Ours && !c.Limit }

// Options are what both ends are told.
type Options struct {
	Key   string     // the mesh's, in hexadecimal, for who uses one
	Index int        // which of the clients it is
	Got   func(Echo) // takes each message without an answer; it may be called by several goroutines at once
}

// Server is the end that is dialled. It answers calls with what they carry.
type Server interface {
	Addr() string
	// Receivers tells how many clients a broadcast would reach now.
	Receivers() int
	// Broadcast hands a message to all clients. It is called by one goroutine at a time.
	Broadcast(Echo) error
	Close() error
}

// Client is the end that dials. Call may be used by several goroutines at once where the contender is Concurrent.
type Client interface {
	Call(Echo) (Echo, error)
	Notify(Echo) error
	Close() error
}

var errCannot = errors.New("this contender cannot do that")

// callsOnly is part of servers and clients that know nothing but calls.
type callsOnly struct{}

func (callsOnly) Receivers() int       { return 0 }
func (callsOnly) Broadcast(Echo) error { return errCannot }
func (callsOnly) Notify(Echo) error    { return errCannot }

// noBroadcast is part of servers that cannot speak first.
type noBroadcast struct{}

func (noBroadcast) Receivers() int       { return 0 }
func (noBroadcast) Broadcast(Echo) error { return errCannot }

var all = slices.Concat(raws(), []*Contender{
	sourcegraph(), creachadair(), xexp(), geth(), filecoin(), netRPC(), rpc2(), arpc(), grpcProto(), natsJSON(),
}, ours())

// All returns the contenders, in the order in which they take turns.
func All() []*Contender { return all }

// Find returns a contender by its name, or nil.
func Find(name string) *Contender {
	if i := slices.IndexFunc(all, func(c *Contender) bool { return c.Name == name }); i >= 0 {
		return all[i]
	}
	return nil
}

// background is the context of all calls: none of them has a deadline of its own.
var background = context.Background()
