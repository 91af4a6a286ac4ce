package api

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// runner is the handlers of one method, whatever its types.
type runner interface {
	run(ctx context.Context, m *Method, params, dst []byte) ([]byte, error)
	len() int
}

// handlers is a list of handlers that is read without a lock.
type handlers[F any] struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*F]
}

func (h *handlers[F]) load() []*F {
	if l := h.list.Load(); l != nil {
		return *l
	}
	return nil
}

func (h *handlers[F]) len() int { return len(h.load()) }

// add appends f and returns what removes it again; removing twice does nothing.
func (h *handlers[F]) add(f F) (off func()) {
	ref := &f
	h.change(func(old []*F) []*F { return append(old, ref) })
	return func() {
		h.change(func(old []*F) []*F {
			kept := old[:0]
			for _, o := range old {
				if o != ref {
					kept = append(kept, o)
				}
			}
			return kept
		})
	}
}

func (h *handlers[F]) change(f func([]*F) []*F) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := f(append([]*F(nil), h.load()...))
	h.list.Store(&l)
}

type noteHandlers[P any] struct {
	handlers[func(context.Context, P) error]
}

func (h *noteHandlers[P]) run(ctx context.Context, m *Method, params, dst []byte) ([]byte, error) {
	p, err := unboxedParams[P](m, params)
	if err != nil {
		return dst, err
	}
	var failed []error
	for _, f := range h.load() {
		if err := runNote(ctx, m, *f, p); err != nil {
			failed = append(failed, err)
		}
	}
	dst = append(dst, "null"...)
	if failed != nil {
		return dst, &NotificationError{failed}
	}
	return dst, nil
}

func runNote[P any](ctx context.Context, m *Method, f func(context.Context, P) error, p P) (err error) {
	defer recovered(m.Wire, &err)
	return f(ctx, p)
}

type callHandlers[P, R any] struct {
	handlers[func(context.Context, P) (R, error)]
}

func (h *callHandlers[P, R]) run(ctx context.Context, m *Method, params, dst []byte) ([]byte, error) {
	p, err := unboxedParams[P](m, params)
	if err != nil {
		return dst, err
	}
	for _, f := range h.load() {
		r, err := runCall(ctx, m, *f, p)
		if err == nil {
			return encodeResult(m, dst, r)
		}
		if !errors.Is(err, ErrPass) {
			return dst, err
		}
	}
	return dst, errNotFound
}

func unboxedParams[P any](m *Method, raw []byte) (p P, err error) {
	held := box[P](m.params)
	defer unbox(m.params, held)
	if err := decodeParams(m, raw, held); err != nil {
		return p, err
	}
	return held.v, nil
}

func runCall[P, R any](ctx context.Context, m *Method, f func(context.Context, P) (R, error), p P) (r R, err error) {
	defer recovered(m.Wire, &err)
	return f(ctx, p)
}

var errNotFound = &Error{Code: CodeMethodNotFound, Message: "method not found"}
