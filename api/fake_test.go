package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"

	"peermesh/api"
)

// network is a mesh of fakes: params and results go from one to the other as bytes, on the caller's goroutine.
type network struct {
	mu    sync.Mutex
	nodes []*node
}

// node is one peer of a network. It implements api.Mesh as far as the tests of this package need it.
type node struct {
	net  *network
	info *api.Info
	b    map[string]api.Binding
	last []byte // the params that were sent last
	sent int
}

func (n *network) node(name string) *node {
	n.mu.Lock()
	defer n.mu.Unlock()
	x := &node{net: n, b: map[string]api.Binding{}, info: &api.Info{ID: "id-" + name, Name: name, State: api.Linked}}
	n.nodes = append(n.nodes, x)
	return x
}

func (n *node) Self() *api.Info { return n.show() }

// show returns a snapshot of what the others know of n. The caller holds no lock.
func (n *node) show() *api.Info {
	i := *n.info
	i.APIs = map[string]api.APIInfo{}
	for name, b := range n.b {
		_, version, side, _ := b.API()
		i.APIs[name] = api.APIInfo{Version: version, Side: side, Hash: b.Hash()}
	}
	return &i
}

func (n *node) Peers() iter.Seq[*api.Info] {
	return func(yield func(*api.Info) bool) {
		for _, x := range n.net.nodes {
			if x != n && !yield(x.show()) {
				return
			}
		}
	}
}

func (n *node) Bind(b api.Binding) error {
	name, _, _, _ := b.API()
	if n.b[name] != nil {
		return errors.New("bound already")
	}
	n.b[name] = b
	return nil
}

func (n *node) receivers(b api.Binding, to api.Receivers) (found []*node, err error) {
	name, _, _, other := b.API()
	for _, x := range n.net.nodes {
		if i := x.show(); x != n && i.Binds(name, other) && to.Matches(i) {
			found = append(found, x)
		}
	}
	if names, ok := to.Named(); ok && to.IsTo() && len(found) < len(names) {
		return found, api.ErrUnknownPeer
	}
	if to.IsAny() && len(found) > 1 {
		found = found[:1]
	}
	return found, nil
}

func (n *node) Notify(ctx context.Context, b api.Binding, method string, to api.Receivers, params []byte) (api.Report, error) {
	found, err := n.receivers(b, to)
	rep := api.Report{Queued: len(found)}
	n.last, n.sent = slices.Clone(params), n.sent+1
	for _, x := range found {
		rep.To = append(rep.To, x.info)
		_, _ = x.dispatch(ctx, n, b, method, params, nil) // a notification is not answered
	}
	return rep, err
}

func (n *node) Request(ctx context.Context, b api.Binding, method string, to api.Receivers, params, dst []byte) ([]byte, error) {
	found, err := n.receivers(b, to)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err == nil && len(found) == 0:
		err = api.ErrNoReceiver
	case err == nil && len(found) > 1:
		err = api.ErrManyReceivers
	}
	if err != nil {
		return dst, &api.CallError{Method: method, Err: fmt.Errorf("%w: %w", api.ErrNotSent, err)}
	}
	n.last, n.sent = slices.Clone(params), n.sent+1
	return found[0].dispatch(ctx, n, b, method, params, dst)
}

func (n *node) RequestEach(ctx context.Context, b api.Binding, method string, to api.Receivers, params []byte, yield func(*api.Info, []byte, error) bool) error {
	found, err := n.receivers(b, to)
	if err == nil && len(found) == 0 {
		err = &api.CallError{Method: method, Err: fmt.Errorf("%w: %w", api.ErrNotSent, api.ErrNoReceiver)}
	}
	if err != nil {
		return err
	}
	for _, x := range found {
		raw, err := x.dispatch(ctx, n, b, method, params, nil)
		if !yield(x.show(), raw, err) {
			return nil
		}
	}
	return nil
}

func (n *node) Wait(_ context.Context, b api.Binding, to api.Receivers) error {
	found, err := n.receivers(b, to)
	if err == nil && len(found) == 0 {
		err = api.ErrNoReceiver
	}
	return err
}

// dispatch runs the handlers as a peer does, and makes of their error what the caller gets.
func (n *node) dispatch(ctx context.Context, from *node, b api.Binding, method string, params, dst []byte) ([]byte, error) {
	name, _, _, _ := b.API()
	m := &message{from: from.show(), params: slices.Clone(params)}
	m.progress, _ = ctx.Value(api.ProgressKey{}).(func(json.RawMessage))
	out, err := n.b[name].Dispatch(context.WithValue(ctx, api.MessageKey{}, m), method, m.params, dst)
	clear(m.params) // whoever kept them sees it
	var own *api.Error
	var panicked *api.PanicError
	var notes *api.NotificationError
	switch {
	case err == nil || errors.As(err, &notes):
		return out, nil
	case errors.As(err, &panicked):
		return dst, api.Errorf(api.CodeInternal, "internal error")
	case errors.As(err, &own):
		return dst, own
	}
	return dst, api.Errorf(api.CodeApplication, "%v", err)
}

// message is what a handler of the fake learns.
type message struct {
	from     *api.Info
	params   []byte
	progress func(json.RawMessage)
}

func (m *message) Sender() *api.Info             { return m.from }
func (m *message) SecInfo() map[string]string    { return map[string]string{"kid": "k"} }
func (m *message) CallID() json.RawMessage       { return json.RawMessage("7") }
func (m *message) Trace() (parent, state string) { return "parent", "state" }
func (m *message) Progress(v json.RawMessage) error {
	if m.progress != nil {
		m.progress(v)
	}
	return nil
}

// mustPanic runs f and returns the text of its panic.
func mustPanic(t *testing.T, what string, f func()) (text string) {
	t.Helper()
	defer func() {
		if v := recover(); v == nil {
			t.Errorf("%s: no panic", what)
		} else {
			text = fmt.Sprint(v)
		}
	}()
	f()
	return ""
}
