package api

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"runtime/debug"
)

// Call calls exactly one peer and waits for its answer. To must name one, or be Any; other Receivers work when they
// happen to match one peer, else the call fails with ErrManyReceivers before anything is sent. A ctx without deadline
// gets the method's, by default DefaultTimeout. The deadline travels, and cancelling ctx cancels the remote handler's
// ctx. Call does not keep params.
//
// The error is the peer's *Error, or a *CallError, for which exactly one of ErrNotSent (safe to try again) and
// ErrOutcomeUnknown holds. Under ErrNotSent there is the reason: params that break the definition (an *Error with
// CodeInvalidParams), ErrWrongPort, ErrNoReceiver, ErrManyReceivers, ErrUnknownPeer, ErrAmbiguousPeer, ErrSelf,
// ErrNotServed, ErrBusy, ErrTooLarge, ErrClosed, the error of ctx. Under ErrOutcomeUnknown: the error of ctx, ErrGone,
// or a result that does not fit the definition.
func (c Call[H, C, P, R]) Call(ctx context.Context, from *Port[C, H], to Receivers, params P, opts ...CallOption) (R, error) {
	var zero R
	buf := getBuffer()
	defer putBuffer(&buffers, buf)
	raw, err := prepare(from.p, c.def, c.m, to, buf, params)
	if err != nil {
		return zero, c.notSent(err)
	}
	ctx = withOptions(ctx, opts)
	answer := answers.Get().(*buffer) // is not put back when OnProgress panics: the answer may still come
	res, err := from.p.mesh.Request(ctx, from.p, c.m.Name, to, raw, answer.b)
	if err != nil {
		putBuffer(&answers, answer)
		return zero, err
	}
	r, err := decodeResult[R](c.m, "", res)
	answer.b = res // what the answer grew to is there for the next call
	putBuffer(&answers, answer)
	return r, err
}

func (c Call[H, C, P, R]) notSent(err error) error {
	return &CallError{Method: c.m.Wire, Err: fmt.Errorf("%w: %w", ErrNotSent, err)}
}

// CallEach calls all receivers at once and yields each answer as it comes; the peers that stay silent until the
// deadline come last, with an error. Each receiver is yielded once. Leaving the loop cancels the calls that are still
// out. The deadline is as for Call. A failure that concerns all of them, such as ErrNoReceiver, is yielded once, with a
// nil Info. The calls are made when the loop begins, and again in each loop over the same iterator.
func (c Call[H, C, P, R]) CallEach(ctx context.Context, from *Port[C, H], to Receivers, params P, opts ...CallOption) iter.Seq2[*Info, Result[R]] {
	return func(yield func(*Info, Result[R]) bool) {
		buf := getBuffer()
		defer putBuffer(&buffers, buf)
		raw, err := prepare(from.p, c.def, c.m, to, buf, params)
		if err != nil {
			yield(nil, Result[R]{Err: c.notSent(err)})
			return
		}
		ctx := withOptions(ctx, opts)
		left := false
		err = from.p.mesh.RequestEach(ctx, from.p, c.m.Name, to, raw, func(who *Info, res []byte, err error) bool {
			var r Result[R]
			if r.Err = err; err == nil {
				r.Value, r.Err = decodeResult[R](c.m, who.Name, res)
			}
			left = !yield(who, r)
			return !left
		})
		if err != nil && !left {
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
// answer was faster. It does not wait, and may be called more than once.
func (p *Pending[R]) Cancel() { p.cancel() }

// Go starts a call and returns at once. The call ends like one of Call, at the latest with its deadline, whether anybody
// asks for the outcome or not. What params refers to must not change until then.
func (c Call[H, C, P, R]) Go(ctx context.Context, from *Port[C, H], to Receivers, params P, opts ...CallOption) *Pending[R] {
	ctx, cancel := context.WithCancel(ctx)
	p := &Pending[R]{done: make(chan struct{}), cancel: cancel}
	go func() {
		defer cancel()
		defer close(p.done)
		defer func() {
			if v := recover(); v != nil { // in the function of OnProgress
				p.err = &CallError{Method: c.m.Wire, Err: fmt.Errorf("%w: %w", ErrOutcomeUnknown,
					&PanicError{Method: c.m.Wire, Value: v, Stack: debug.Stack()})}
			}
		}()
		p.value, p.err = c.Call(ctx, from, to, params, opts...)
	}()
	return p
}

// ProgressKey is the context key under which a call option hands the mesh a func(json.RawMessage) that wants the
// call's progress. The mesh calls it in order, never after the call has returned, on the goroutine that called.
type ProgressKey struct{}

// A CallOption changes one call; see OnProgress.
type CallOption func(*callOptions)

type callOptions struct{ progress func(json.RawMessage) }

// OnProgress has f called, on the goroutine that waits for the call, with each progress value that a handler sends, in
// order and never after the call has returned. A value that does not decode into V is skipped. f delays the answer, and
// for CallEach it hears the progress of all receivers. Of several OnProgress of one call the last one counts.
func OnProgress[V any](f func(V)) CallOption {
	return func(o *callOptions) {
		o.progress = func(raw json.RawMessage) {
			var v V
			if decodeProgress(raw, &v) == nil {
				f(v)
			}
		}
	}
}

func decodeProgress(raw json.RawMessage, v any) (err error) {
	defer recovered("$/progress", &err)
	return unmarshal(raw, v)
}

func withOptions(ctx context.Context, opts []CallOption) context.Context {
	if len(opts) == 0 {
		return ctx
	}
	var o callOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.progress != nil {
		ctx = context.WithValue(ctx, ProgressKey{}, o.progress)
	}
	return ctx
}
