// Package service has the methods of the examples in the JSON-RPC 2.0 specification, bare-named and open to guests, and
// a few more that show what a peer does with errors, panics and time.
package service

import (
	"context"
	"encoding/json"
	"time"

	"peermesh/api"
)

// Server and Client are the two sides.
type (
	Server struct{}
	Client struct{}
)

// API has the empty name, so that its methods stand on the wire as they are: subtract, not math.subtract.
var API = api.Define[Server, Client]("", "2.0", "The example methods of the JSON-RPC 2.0 specification.")

var guest = api.MinRole(api.RoleGuest) // every method is for those who sign nothing, too

// The methods that the specification's examples use, section 7.
var (
	// Subtract is called by position and by name.
	Subtract = api.IncomingCall[Operands, float64](API, "subtract", "Subtract the subtrahend from the minuend.", guest, api.Positional(),
		api.Example(Operands{42, 23}, 19.0))
	// Sum takes a list, and so by position alone.
	Sum = api.IncomingCall[[]float64, float64](API, "sum", "Add numbers.", guest)
	// GetData takes nothing.
	GetData = api.IncomingCall[api.None, []any](API, "get_data", "Return some data.", guest)
	// Update is a notification with any params, like the next two.
	Update = api.Incoming[json.RawMessage](API, "update", "Take a notification.", guest)
	// NotifyHello is a notification.
	NotifyHello = api.Incoming[json.RawMessage](API, "notify_hello", "Take a notification.", guest)
	// NotifySum is a notification.
	NotifySum = api.Incoming[json.RawMessage](API, "notify_sum", "Take a notification.", guest)
)

// Methods that show what becomes of bytes, errors, panics and time.
var (
	// Echo returns its params untouched. Sixteen may run at once.
	Echo = api.IncomingCall[json.RawMessage, json.RawMessage](API, "echo", "Return the params, byte for byte.", guest, api.Concurrent(16))
	// Fail answers with api.CodeApplication.
	Fail = api.IncomingCall[json.RawMessage, api.None](API, "fail", "Answer with an error.", guest)
	// Panic shows that a handler cannot bring the peer down: the caller gets api.CodeInternal.
	Panic = api.IncomingCall[json.RawMessage, api.None](API, "panic", "Panic; the peer lives on.", guest)
	// Slow can be cancelled, and can run into the caller's deadline.
	Slow = api.IncomingCall[Wait, api.None](API, "slow", "Answer after a while.", guest, api.Concurrent(64))
)

// Operands are the params of subtract.
type Operands struct {
	Minuend    float64 `json:"minuend"`
	Subtrahend float64 `json:"subtrahend"`
}

// Wait is the params of slow.
type Wait struct {
	MS int `json:"ms" jsonschema:"milliseconds to wait" minimum:"0" maximum:"60000" default:"100"`
}

// Bind binds the server's side on a mesh and handles all of its methods.
func Bind(mesh api.Mesh) *api.Port[Server, Client] {
	port := api.Bind(mesh, API)
	Subtract.Handle(port, func(_ context.Context, in Operands) (float64, error) { return in.Minuend - in.Subtrahend, nil })
	Sum.Handle(port, func(_ context.Context, in []float64) (total float64, _ error) {
		for _, v := range in {
			total += v
		}
		return total, nil
	})
	GetData.Handle(port, func(context.Context, api.None) ([]any, error) { return []any{"hello", 5}, nil })
	for _, n := range []api.Note[Server, Client, json.RawMessage]{Update, NotifyHello, NotifySum} {
		n.Handle(port, func(context.Context, json.RawMessage) error { return nil })
	}
	Echo.Handle(port, func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	Fail.Handle(port, func(context.Context, json.RawMessage) (api.None, error) {
		return api.None{}, api.Errorf(api.CodeApplication, "failed")
	})
	Panic.Handle(port, func(context.Context, json.RawMessage) (api.None, error) { panic("as asked") })
	Slow.Handle(port, func(ctx context.Context, in Wait) (api.None, error) {
		select {
		case <-time.After(time.Duration(in.MS) * time.Millisecond):
			return api.None{}, nil
		case <-ctx.Done():
			return api.None{}, ctx.Err()
		}
	})
	return port
}
