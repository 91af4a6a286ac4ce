package api

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"sync"
)

// Handle has f run for every notification of this kind that reaches the port. Several handlers run one after the other
// in the order of their Handle calls, each with the same params; an error or panic of one is logged and counted, and
// the rest still run. By default one message at a time per sender and API is handled, in the order of arrival. The
// returned function takes the handler away again; what runs then runs to its end. Handle panics when the port belongs
// to another API with the same role types.
func (n Note[H, S, P]) Handle(on *Port[H, S], f func(context.Context, P) error) (off func()) {
	e := on.entry(n.def, n.m)
	return listOf(e, func() *noteHandlers[P] { return new(noteHandlers[P]) }).add(f)
}

// Handle has f answer this call on the port. Several handlers are asked in the order of their Handle calls until one
// returns something else than ErrPass. An *Error is answered as it is; any other error as CodeApplication, with its
// text for members of the mesh; a panic as CodeInternal. ctx ends when the caller cancels, when its deadline passes and
// when its link ends. The order of messages, the returned function and the panic are as for a Note; a handler that
// waits in a call of its own with ctx, or one derived from it, lets the next message start.
func (c Call[H, C, P, R]) Handle(on *Port[H, C], f func(context.Context, P) (R, error)) (off func()) {
	e := on.entry(c.def, c.m)
	return listOf(e, func() *callHandlers[P, R] { return new(callHandlers[P, R]) }).add(f)
}

func (p *Port[H, S]) entry(def *definition, m *Method) *entry {
	if p.p.def != def {
		panic(fmt.Sprintf("api: %s is handled on a port of %q: %v", m.Wire, p.p.def.name, ErrWrongPort))
	}
	return p.p.entries[m.Name]
}

// Send sends the notification to the receivers. It returns once the message stands in the queue of each, and the
// Report says for each receiver whether it does. The error is for what concerns all of them: params against the schema
// (*Error with CodeInvalidParams), ErrWrongPort, ErrClosed, ctx. That a broadcast finds nobody is no error; that a
// peer named by To is not there, or refuses, is: the first such reason, beside the Report.
func (n Note[H, S, P]) Send(ctx context.Context, from *Port[S, H], to Receivers, params P) (Report, error) {
	if from.p.def != n.def {
		return Report{}, fmt.Errorf("send %s: %w", n.m.Wire, ErrWrongPort)
	}
	buf := buffers.Get().(*byteBuffer)
	defer putBuffer(buf)
	raw, err := encodeParams(n.m, buf.AvailableBuffer(), &params)
	if err != nil {
		return Report{}, fmt.Errorf("send %s: %w", n.m.Wire, err)
	}
	return from.p.mesh.Notify(ctx, from.p, n.m.Name, to, present(n.m, raw))
}

// Call calls exactly one peer and waits for its answer. To must name one, or be Any; other Receivers work when they
// happen to match one peer, else the call fails with ErrManyReceivers before anything is sent. A ctx without deadline
// gets the method's, by default 30 s. Cancelling ctx cancels the remote handler's ctx.
//
// The error is the peer's *Error, or a *CallError, for which exactly one of ErrNotSent and ErrOutcomeUnknown holds.
func (c Call[H, C, P, R]) Call(ctx context.Context, from *Port[C, H], to Receivers, params P, opts ...CallOption) (R, error) {
	var zero R
	buf := buffers.Get().(*byteBuffer)
	defer putBuffer(buf)
	raw, err := c.prepare(from, buf, &params)
	if err != nil {
		return zero, err
	}
	answer := buffers.Get().(*byteBuffer)
	defer putBuffer(answer)
	ctx, cancel := withDeadline(withOptions(ctx, opts), c.m)
	defer cancel()
	res, err := from.p.mesh.Request(ctx, from.p, c.m.Name, to, raw, answer.AvailableBuffer())
	if err != nil {
		return zero, err
	}
	answer.Write(res) // keeps what the answer grew to for the next call
	return decodeResult[R](c.m, "", res)
}

// CallEach calls all receivers at once and yields each answer as it comes, the peers that stay silent until the
// deadline last. Leaving the loop cancels the calls that are still out. A failure that concerns all of them, such as
// ErrNoReceiver, is yielded once with a nil Info.
func (c Call[H, C, P, R]) CallEach(ctx context.Context, from *Port[C, H], to Receivers, params P, opts ...CallOption) iter.Seq2[*Info, Result[R]] {
	return func(yield func(*Info, Result[R]) bool) {
		buf := buffers.Get().(*byteBuffer)
		defer putBuffer(buf)
		raw, err := c.prepare(from, buf, &params)
		if err != nil {
			yield(nil, Result[R]{Err: err})
			return
		}
		ctx, cancel := withDeadline(withOptions(ctx, opts), c.m)
		defer cancel()
		err = from.p.mesh.RequestEach(ctx, from.p, c.m.Name, to, raw, func(who *Info, res []byte, err error) bool {
			var r Result[R]
			if r.Err = err; err == nil {
				r.Value, r.Err = decodeResult[R](c.m, who.Name, res)
			}
			return yield(who, r)
		})
		if err != nil {
			yield(nil, Result[R]{Err: err})
		}
	}
}

// Pending is a call that runs in the background. It is safe for concurrent use.
type Pending[R any] struct {
	done   chan struct{}
	cancel context.CancelFunc
	value  R
	err    error
}

// Done is closed when the outcome is there.
func (p *Pending[R]) Done() <-chan struct{} { return p.done }

// Result waits for the outcome and returns it, as often as it is asked.
func (p *Pending[R]) Result() (R, error) {
	<-p.done
	return p.value, p.err
}

// Cancel ends the call, here and at the handler; the outcome is then a *CallError with context.Canceled, unless the
// answer was faster.
func (p *Pending[R]) Cancel() { p.cancel() }

// Go starts a call and returns at once. The call ends like one of Call, at the latest with its deadline.
func (c Call[H, C, P, R]) Go(ctx context.Context, from *Port[C, H], to Receivers, params P, opts ...CallOption) *Pending[R] {
	ctx, cancel := context.WithCancel(ctx)
	p := &Pending[R]{done: make(chan struct{}), cancel: sync.OnceFunc(cancel)}
	go func() {
		defer p.Cancel()
		defer close(p.done)
		p.value, p.err = c.Call(ctx, from, to, params, opts...)
	}()
	return p
}

// prepare checks the port and encodes the params into buf.
func (c Call[H, C, P, R]) prepare(from *Port[C, H], buf *byteBuffer, params *P) ([]byte, error) {
	err := ErrWrongPort
	if from.p.def == c.def {
		var raw []byte
		if raw, err = encodeParams(c.m, buf.AvailableBuffer(), params); err == nil {
			return present(c.m, raw), nil
		}
	}
	return nil, &CallError{Method: c.m.Wire, Err: fmt.Errorf("%w: %w", ErrNotSent, err)}
}

// present tells absent params (nil) from empty ones.
func present(m *Method, raw []byte) []byte {
	if m.none || len(raw) == 0 {
		return nil
	}
	return raw
}

func withDeadline(ctx context.Context, m *Method) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	d := m.Timeout
	if d == 0 {
		d = DefaultTimeout
	}
	return context.WithTimeout(ctx, d)
}

// decodeResult reads a peer's raw result. One that does not fit the definition is an error of the call: the handler
// ran.
func decodeResult[R any](m *Method, peer string, raw []byte) (r R, err error) {
	switch {
	case m.Result.typ == noneType:
		return r, nil
	case m.Result.typ == rawType:
		*any(&r).(*json.RawMessage) = append(json.RawMessage(nil), raw...)
		return r, nil
	}
	if err = m.Result.verify(raw); err == nil {
		if err = unmarshal(raw, &r); err != nil {
			err = paramsError(err)
		}
	}
	if err != nil {
		return r, &CallError{Peer: peer, Method: m.Wire, Err: fmt.Errorf("%w: the result does not fit: %w", ErrOutcomeUnknown, err)}
	}
	return r, nil
}
