package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"peermesh/codec"
	"peermesh/discovery/local"
	"peermesh/peer/tap"
)

// Control is a connection to the control socket of a running peer of this user. It is safe for concurrent use, for one
// Call at a time.
type Control struct {
	rpc *jsonrpc2.Conn

	mu      sync.Mutex
	results func(*CallResult)
	records func(*tap.Record)
	calls   sync.Mutex
}

// ErrNoControl is returned by Controls when no running peer of the mesh can be reached.
var ErrNoControl = errors.New("peer: no running peer of this mesh on this machine")

// Controls connects to the running peers of a mesh on this machine, the one that runs for longest first. A name asks
// for that one alone. dir is Config.RuntimeDir. Sockets that nobody serves are passed over.
func Controls(ctx context.Context, dir, mesh, name string) ([]*Control, error) {
	if dir == "" {
		dir = local.DefaultDir()
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, ErrNoControl
	}
	type socket struct {
		path string
		at   time.Time
	}
	var found []socket
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), socketPrefix(mesh)) || !strings.HasSuffix(e.Name(), ".sock") ||
			name != "" && e.Name() != socketName(mesh, name) {
			continue
		}
		if info, err := e.Info(); err == nil {
			found = append(found, socket{filepath.Join(dir, e.Name()), info.ModTime()})
		}
	}
	slices.SortFunc(found, func(a, b socket) int { return a.at.Compare(b.at) })
	if len(found) > 0 {
		if err := local.EnsureDir(dir); err != nil { // somebody else's sockets are not talked to
			return nil, err
		}
	}
	var all []*Control
	for _, s := range found {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", s.path)
		if err == nil {
			all = append(all, NewControl(conn))
		}
	}
	if len(all) == 0 {
		return nil, ErrNoControl
	}
	return all, nil
}

// NewControl speaks the control protocol on a connection whose other end is served by Peer.ServeControl.
func NewControl(conn net.Conn) *Control {
	c := &Control{}
	stream := jsonrpc2.NewBufferedStream(conn, codec.ObjectCodec(codec.NUL))
	c.rpc = jsonrpc2.NewConn(context.Background(), stream, jsonrpc2.HandlerWithError(c.handle), jsonrpc2.SetLogger(quiet{}))
	return c
}

// Close ends the connection.
func (c *Control) Close() error {
	err := c.rpc.Close()
	if errors.Is(err, jsonrpc2.ErrClosed) {
		return nil
	}
	return err
}

// Done is closed when the connection has ended.
func (c *Control) Done() <-chan struct{} { return c.rpc.DisconnectNotify() }

func (c *Control) handle(_ context.Context, _ *jsonrpc2.Conn, req *jsonrpc2.Request) (any, error) {
	c.mu.Lock()
	results, records := c.results, c.records
	c.mu.Unlock()
	var in packed
	if req.Params == nil || json.Unmarshal(*req.Params, &in) != nil {
		return nil, nil
	}
	switch {
	case req.Method == adminResult && results != nil:
		var r CallResult
		if in.unpack(&r) == nil {
			results(&r)
		}
	case req.Method == adminRecord && records != nil:
		var r tap.Record
		if in.unpack(&r) == nil {
			records(&r)
		}
	}
	return nil, nil
}

// ask makes one request. in and out may be nil.
func (c *Control) ask(ctx context.Context, method string, in, out any) error {
	params, err := pack(in)
	if err != nil {
		return err
	}
	var answer packed
	if err := c.rpc.Call(ctx, method, params, &answer); err != nil {
		return controlError(err)
	}
	if out == nil {
		return nil
	}
	return answer.unpack(out)
}

// Peers returns the mesh as the peer sees it.
func (c *Control) Peers(ctx context.Context) (*MeshStatus, error) {
	var out MeshStatus
	err := c.ask(ctx, adminPeers, nil, &out)
	return &out, err
}

// Stats returns what the peer has counted.
func (c *Control) Stats(ctx context.Context) (*Stats, error) {
	var out Stats
	err := c.ask(ctx, adminStats, nil, &out)
	return &out, err
}

// Describe returns the OpenRPC document of what a peer lets us call, of the running peer itself for an empty name.
func (c *Control) Describe(ctx context.Context, name string) (json.RawMessage, error) {
	var out json.RawMessage
	err := c.ask(ctx, adminDescribe, name, &out)
	return out, err
}

// Call calls the peers named in req and hands each outcome to f as it comes, one at a time, the silent ones last.
func (c *Control) Call(ctx context.Context, req CallRequest, f func(*CallResult)) error {
	c.calls.Lock()
	defer c.calls.Unlock()
	c.mu.Lock()
	c.results = f
	c.mu.Unlock()
	return c.ask(ctx, adminCall, req, nil)
}

// Notify sends a notification.
func (c *Control) Notify(ctx context.Context, req NotifyRequest) (*NotifyResult, error) {
	var out NotifyResult
	err := c.ask(ctx, adminNotify, req, &out)
	return &out, err
}

// Invite makes an invite of the running peer; see Peer.Invite.
func (c *Control) Invite(ctx context.Context, req InviteRequest) (*InviteCode, error) {
	var out InviteCode
	err := c.ask(ctx, adminInvite, req, &out)
	return &out, err
}

// BrowserToken makes a token for a web page; see Peer.BrowserToken.
func (c *Control) BrowserToken(ctx context.Context, origin string) (token string, err error) {
	err = c.ask(ctx, adminToken, origin, &token)
	return token, err
}

// Explain says whether the running peer would let another one call a method, and why; see Peer.Explain.
func (c *Control) Explain(ctx context.Context, who, method string) (*Explanation, error) {
	var out Explanation
	err := c.ask(ctx, adminExplain, [2]string{who, method}, &out)
	return &out, err
}

// Metrics returns what the running peer counts in the text format of Prometheus.
func (c *Control) Metrics(ctx context.Context) (text string, err error) {
	err = c.ask(ctx, adminMetrics, nil, &text)
	return text, err
}

// Watch has f called, one call at a time, with the records of what the peer sends and receives from now on, until the
// connection ends. It returns once the watching has begun.
func (c *Control) Watch(ctx context.Context, f func(*tap.Record)) error {
	c.mu.Lock()
	c.records = f
	c.mu.Unlock()
	return c.ask(ctx, adminWatch, nil, nil)
}

// controlError takes the library's form off an error.
func controlError(err error) error {
	var e *jsonrpc2.Error
	if errors.As(err, &e) {
		return fmt.Errorf("peer: %s", e.Message)
	}
	if errors.Is(err, jsonrpc2.ErrClosed) {
		return errors.New("peer: the running peer has ended")
	}
	return err
}
