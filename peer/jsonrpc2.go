package peer

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/sourcegraph/jsonrpc2"

	"peermesh/api"
)

// JSONRPC2 returns the link to a peer in the form of github.com/sourcegraph/jsonrpc2, for code that is written against
// that package's interface. The peer is looked up anew for each call, by name or id, so that the value outlives links.
// Call returns a *jsonrpc2.Error where the peer answered with an error, and else what Peer.Request returns; a ctx
// without deadline gets 30 s. Close does nothing: the link is the peer's. Call options are refused, because their
// content is that package's secret.
func (p *Peer) JSONRPC2(name string) jsonrpc2.JSONRPC2 { return interop{p, name} }

type interop struct {
	p    *Peer
	name string
}

// ErrOptions is returned for call options of package jsonrpc2.
var ErrOptions = errors.New("peer: call options of jsonrpc2 are not supported")

func (i interop) Call(ctx context.Context, method string, params, result any, opts ...jsonrpc2.CallOption) error {
	raw, err := interopParams(params, opts)
	if err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, api.DefaultTimeout)
		defer cancel()
	}
	res, err := i.p.Request(ctx, nil, method, api.To(i.name), raw, nil)
	var remote *api.Error
	if errors.As(err, &remote) {
		e := &jsonrpc2.Error{Code: int64(remote.Code), Message: remote.Message}
		if remote.Data != nil {
			e.Data = &remote.Data
		}
		return e
	}
	if err != nil || result == nil {
		return err
	}
	return json.Unmarshal(res, result)
}

func (i interop) Notify(ctx context.Context, method string, params any, opts ...jsonrpc2.CallOption) error {
	raw, err := interopParams(params, opts)
	if err != nil {
		return err
	}
	_, err = i.p.Notify(ctx, nil, method, api.To(i.name), raw)
	return err
}

func (interop) Close() error { return nil }

func interopParams(params any, opts []jsonrpc2.CallOption) (json.RawMessage, error) {
	if len(opts) > 0 {
		return nil, ErrOptions
	}
	if params == nil {
		return nil, nil
	}
	return json.Marshal(params)
}

var _ jsonrpc2.JSONRPC2 = interop{}
