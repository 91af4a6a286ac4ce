package api

import (
	"context"
	"fmt"
)

// Handle has f run for every notification of this kind that reaches the port. Several handlers run one after the other
// in the order of their Handle calls, each with the same params, which they share and must not change; an error or
// panic of one is logged and counted, and the rest still run. By default one message at a time per sender and API is
// handled, in the order of arrival; Concurrent lifts that.
//
// The returned function takes the handler away again; what runs then runs to its end. Taking it away twice does
// nothing. Handle panics when the port belongs to another API with the same role types.
func (n Note[H, S, P]) Handle(on *Port[H, S], f func(context.Context, P) error) (off func()) {
	if f == nil {
		panic(fmt.Sprintf("api: %s: no handler", n.m.Wire))
	}
	return on.p.handlers(n.def, n.m).(*noteHandlers[P]).add(f)
}

// Handle has f answer this call on the port. Several handlers are asked in the order of their Handle calls until one
// returns something else than ErrPass; they share the params and must not change them. An *Error is answered as it is;
// any other error as CodeApplication, with its text for members of the mesh; a panic as CodeInternal, and so is a result
// that does not fit the definition. ctx ends when the caller cancels, when its deadline passes and when its link ends.
//
// The order of messages, the returned function and the panic are as for a Note; a handler that waits in a call of its
// own with ctx, or one derived from it, lets the next message start.
func (c Call[H, C, P, R]) Handle(on *Port[H, C], f func(context.Context, P) (R, error)) (off func()) {
	if f == nil {
		panic(fmt.Sprintf("api: %s: no handler", c.m.Wire))
	}
	return on.p.handlers(c.def, c.m).(*callHandlers[P, R]).add(f)
}

func (p *port) handlers(def *definition, m *Method) runner {
	if p.def != def {
		panic(fmt.Sprintf("api: %s is handled on a port of %q: %v", m.Wire, p.def.name, ErrWrongPort))
	}
	return p.entries[m.Name].handlers
}

// Send sends the notification to the receivers. It returns once the message stands in the queue of each, and the
// Report says for each receiver whether it does; queued is not yet delivered. Send does not wait for handlers and does
// not keep params.
//
// The error is for what concerns all of them, and then nothing was sent: params that break the definition (an *Error
// with CodeInvalidParams), ErrWrongPort, ErrClosed, ErrTooLarge, the error of ctx, a panic in a method of the params or
// in the function of Where (*PanicError). That a broadcast finds nobody is no error; that a peer named by To is not
// there, or refuses, is: the first such reason, beside the Report.
func (n Note[H, S, P]) Send(ctx context.Context, from *Port[S, H], to Receivers, params P) (Report, error) {
	buf := getBuffer()
	defer putBuffer(&buffers, buf)
	raw, err := prepare(from.p, n.def, n.m, to, buf, params)
	if err != nil {
		return Report{}, fmt.Errorf("send %s: %w", n.m.Wire, err)
	}
	return from.p.mesh.Notify(ctx, from.p, n.m.Name, to, raw)
}

// prepare does what can be done before anything is sent: it encodes the params into buf, and looks for what speaks
// against sending them. Absent params are nil.
func prepare[P any](from *port, def *definition, m *Method, to Receivers, buf *buffer, params P) ([]byte, error) {
	if from.def != def {
		return nil, ErrWrongPort
	}
	if err := to.try(from.mesh, m.Wire); err != nil {
		return nil, err
	}
	held := box[P](m.params)
	defer unbox(m.params, held)
	held.v = params
	raw, err := encodeParams(m, buf.b, &held.v)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	buf.b = raw
	return raw, nil
}
