package peer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/discovery/local"
	"peermesh/peer/tap"
	"peermesh/security"
)

// The control socket lets this user's other programs, peerctl first of all, use a running peer: JSON-RPC in NUL framing
// over a unix socket in a folder that nobody else can enter. Its methods are rpc.admin.*, and exist nowhere else.
const (
	adminPeers    = "rpc.admin.peers"
	adminDescribe = "rpc.admin.describe"
	adminCall     = "rpc.admin.call"
	adminResult   = "rpc.admin.result"
	adminNotify   = "rpc.admin.notify"
	adminWatch    = "rpc.admin.watch"
	adminRecord   = "rpc.admin.record"
	adminStats    = "rpc.admin.stats"
	adminInvite   = "rpc.admin.invite"
	adminToken    = "rpc.admin.browser_token"
	adminExplain  = "rpc.admin.explain"
	adminMetrics  = "rpc.admin.metrics"
)

// Status is what peerctl ls shows of a peer.
type Status struct {
	Name       string                 `json:"name"`
	ID         string                 `json:"id,omitempty"`
	Self       bool                   `json:"self"`
	Address    string                 `json:"address,omitempty"`
	Addresses  []string               `json:"addresses"`
	APIs       map[string]api.APIInfo `json:"apis"`
	State      api.State              `json:"state"`
	Protection string                 `json:"protection"`
	Principal  string                 `json:"principal"`
	Verified   bool                   `json:"verified"`
	RTT        float64                `json:"rtt_ms"`
	Seen       time.Time              `json:"seen"`
	Clock      float64                `json:"clock_ms"`           // how far its clock is ahead of ours
	Tap        string                 `json:"tap"`                // what it lets members see of its messages: off, headers or full
	Watchers   []string               `json:"watchers,omitempty"` // of oneself: who watches it
	Version    string                 `json:"version,omitempty"`
	Refused    uint64                 `json:"refused"` // of oneself: by it, in all
	Dropped    uint64                 `json:"dropped"` // likewise
	Via        string                 `json:"via,omitempty"`
	Session    string                 `json:"session,omitempty"`
	Role       string                 `json:"role"`
}

// MeshStatus is a mesh as one peer sees it.
type MeshStatus struct {
	Mesh  string   `json:"mesh"`
	Peers []Status `json:"peers"` // oneself first
}

// CallRequest asks for a call of each of the named peers.
type CallRequest struct {
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
	To      []string        `json:"to"`
	Timeout int64           `json:"timeout_ms"` // 0: 30 s
}

// CallResult is the outcome of a call of one peer.
type CallResult struct {
	Peer      string          `json:"peer"`
	MS        float64         `json:"ms"`
	HandlerMS float64         `json:"handler_ms,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *CallFailure    `json:"error,omitempty"`
}

// CallFailure says why there is no result. Remote tells an error that the peer answered from one of this side.
type CallFailure struct {
	Code    int             `json:"code,omitempty"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
	Remote  bool            `json:"remote"`
	Timeout bool            `json:"timeout,omitempty"`
	NotSent bool            `json:"not_sent,omitempty"`
}

// NotifyRequest asks for a notification to the named peers; All only says how it is shown.
type NotifyRequest struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
	To     []string        `json:"to"`
	All    bool            `json:"all"`
}

// NotifyResult says who was sent a notification.
type NotifyResult struct {
	Queued  []string        `json:"queued"`
	Refused []NotifyRefusal `json:"refused"`
}

// NotifyRefusal says who was not, and why.
type NotifyRefusal struct {
	Peer   string `json:"peer"`
	Reason string `json:"reason"`
}

// InviteRequest asks for an invite.
type InviteRequest struct {
	Role string `json:"role,omitempty"`
	TTL  int64  `json:"ttl_ms"`
}

// InviteCode is the code of an invite: a secret until it is used.
type InviteCode struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// control is the server of the socket.
type control struct {
	p    *Peer
	ln   net.Listener
	path string
}

// socketName is the name of a peer's socket: the same mesh gives the same beginning.
func socketName(mesh, name string) string {
	return socketPrefix(mesh) + digest(name) + ".sock"
}

func socketPrefix(mesh string) string { return digest(mesh) + "-" }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}

func (p *Peer) openControl() error {
	dir := p.cfg.RuntimeDir
	if dir == "" {
		dir = local.DefaultDir()
	}
	if err := local.EnsureDir(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, socketName(p.cfg.Mesh, p.self.Load().Name))
	ln, err := net.Listen("unix", path)
	if err != nil {
		if c, derr := net.Dial("unix", path); derr == nil {
			return errors.Join(fmt.Errorf("peer: another process serves %s", path), c.Close())
		}
		_ = os.Remove(path) // of a process that is gone
		if ln, err = net.Listen("unix", path); err != nil {
			return err
		}
	}
	c := &control{p: p, ln: ln, path: path}
	p.control = c
	p.wg.Go(c.accept)
	return nil
}

func (p *Peer) closeControl() error {
	if p.control == nil {
		return nil
	}
	return p.control.ln.Close() // removes the file
}

func (c *control) accept() {
	for {
		conn, err := c.ln.Accept()
		if err != nil {
			return
		}
		c.p.wg.Go(func() { c.p.ServeControl(c.p.ctx, conn) })
	}
}

// ServeControl serves the control protocol on a connection until it ends, ctx does, or the peer closes. Whoever holds
// the other end can do everything that this program can: give it to nobody but the user who runs it.
func (p *Peer) ServeControl(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &controlSession{p: p, ctx: ctx}
	stream := jsonrpc2.NewBufferedStream(conn, codec.ObjectCodec(codec.NUL))
	rpc := jsonrpc2.NewConn(ctx, stream, jsonrpc2.AsyncHandler(jsonrpc2.HandlerWithError(s.handle)), jsonrpc2.SetLogger(quiet{}))
	select {
	case <-rpc.DisconnectNotify():
	case <-ctx.Done():
	case <-p.ctx.Done():
	}
	cancel()
	_ = rpc.Close() // it may be closed already
	s.wg.Wait()
}

// quiet swallows what the library would write to stderr.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// controlSession is one connection to the socket.
type controlSession struct {
	p   *Peer
	ctx context.Context
	wg  sync.WaitGroup
}

// packed carries a JSON text as a string: the library takes apart what it carries, and puts the members of objects into
// another order.
type packed struct {
	JSON string `json:"json"`
}

func pack(v any) (packed, error) {
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return packed{strings.TrimSuffix(text.String(), "\n")}, err
}

func (p packed) unpack(v any) error {
	if p.JSON == "" {
		return nil
	}
	return json.Unmarshal([]byte(p.JSON), v)
}

func (s *controlSession) handle(_ context.Context, conn *jsonrpc2.Conn, req *jsonrpc2.Request) (any, error) {
	var in packed
	if req.Params != nil {
		if err := json.Unmarshal(*req.Params, &in); err != nil {
			return nil, badParams(err)
		}
	}
	out, err := s.answer(conn, req.Method, in)
	if err != nil {
		return nil, err
	}
	return pack(out)
}

func (s *controlSession) answer(conn *jsonrpc2.Conn, method string, in packed) (any, error) {
	switch method {
	case adminPeers:
		return s.p.meshStatus(), nil
	case adminStats:
		return s.p.Stats(), nil
	case adminDescribe:
		var name string
		if err := in.unpack(&name); err != nil {
			return nil, badParams(err)
		}
		return s.p.describe(s.ctx, name)
	case adminCall:
		var req CallRequest
		if err := in.unpack(&req); err != nil {
			return nil, badParams(err)
		}
		return nil, s.call(&req, func(r *CallResult) error { return s.tell(conn, adminResult, r) })
	case adminNotify:
		var req NotifyRequest
		if err := in.unpack(&req); err != nil {
			return nil, badParams(err)
		}
		return s.notify(&req)
	case adminWatch:
		return nil, s.watch(conn)
	case adminInvite:
		var req InviteRequest
		if err := in.unpack(&req); err != nil {
			return nil, badParams(err)
		}
		inv, err := s.p.Invite(security.Role(req.Role), time.Duration(req.TTL)*time.Millisecond)
		if err != nil {
			return nil, err
		}
		return InviteCode{Code: inv.Code(), Expires: inv.Expires}, nil
	case adminToken:
		var origin string
		if err := in.unpack(&origin); err != nil {
			return nil, badParams(err)
		}
		return s.p.BrowserToken(origin)
	case adminExplain:
		var req [2]string
		if err := in.unpack(&req); err != nil {
			return nil, badParams(err)
		}
		return s.p.Explain(req[0], req[1])
	case adminMetrics:
		var text strings.Builder
		err := s.p.WriteMetrics(&text)
		return text.String(), err
	}
	return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: "method not found"}
}

// tell sends the other end something that belongs to one of its requests.
func (s *controlSession) tell(conn *jsonrpc2.Conn, method string, v any) error {
	out, err := pack(v)
	if err != nil {
		return err
	}
	return conn.Notify(s.ctx, method, out)
}

func badParams(err error) error {
	return &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: err.Error()}
}

func (p *Peer) meshStatus() *MeshStatus {
	self := statusOf(p.Self())
	self.APIs = p.boundAPIs()
	self.Seen = time.Now()
	stats := p.Stats()
	for _, n := range stats.Refused {
		self.Refused += n
	}
	self.Dropped = stats.Dropped
	self.Tap = string(p.cfg.Tap)
	self.Watchers = p.Watchers()
	out := &MeshStatus{Mesh: p.cfg.Mesh, Peers: []Status{self}}
	for info := range p.Peers() {
		out.Peers = append(out.Peers, statusOf(info))
	}
	return out
}

func statusOf(i *api.Info) Status {
	s := Status{Name: i.Name, ID: i.ID, Self: i.Self, Address: i.Address, Addresses: i.Addresses, APIs: i.APIs, State: i.State,
		Protection: i.Protection, Principal: i.Principal, Verified: i.Verified, RTT: millis(i.RTT),
		Seen: i.Seen, Clock: millis(i.Clock), Tap: i.Tap, Version: i.Version, Refused: i.Refused, Dropped: i.Dropped, Via: i.Via,
		Session: i.Session, Role: i.Role}
	if s.Addresses == nil {
		s.Addresses = []string{}
		if i.Address != "" {
			s.Addresses = append(s.Addresses, i.Address)
		}
	}
	if s.APIs == nil {
		s.APIs = map[string]api.APIInfo{}
	}
	return s
}

// describe returns the OpenRPC document of a peer; of this one for an empty name or its own.
func (p *Peer) describe(ctx context.Context, name string) (json.RawMessage, error) {
	self := p.self.Load()
	if name == "" || name == self.Name || name == self.ID {
		return p.document(security.Principal{Role: security.RoleAdmin})
	}
	ctx, cancel := context.WithTimeout(ctx, describeFor)
	defer cancel()
	return p.Request(ctx, nil, methodDiscover, api.To(name), nil, nil)
}

const describeFor = 5 * time.Second

func (s *controlSession) call(in *CallRequest, yield func(*CallResult) error) error {
	timeout := time.Duration(in.Timeout) * time.Millisecond
	if timeout <= 0 {
		timeout = api.DefaultTimeout
	}
	if len(in.To) == 0 {
		return badParams(errors.New("no receiver"))
	}
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	started := time.Now()
	var failed error
	err := s.p.requestEach(ctx, nil, in.Method, api.To(in.To[0], in.To[1:]...), in.Params, func(c *call) bool {
		r := &CallResult{Peer: c.to.Name, MS: millis(time.Since(started)), HandlerMS: millis(c.handler), Result: c.result}
		if err := c.outcome(); err != nil {
			r.Error, r.Result = callFailure(err), nil
		}
		failed = yield(r)
		return failed == nil
	})
	if err != nil {
		f := callFailure(err)
		return yield(&CallResult{Peer: in.To[0], Error: f})
	}
	return failed
}

func callFailure(err error) *CallFailure {
	var remote *api.Error
	if errors.Is(err, context.DeadlineExceeded) {
		return &CallFailure{Message: "no answer in time", Timeout: true, NotSent: errors.Is(err, api.ErrNotSent)}
	}
	if errors.As(err, &remote) {
		return &CallFailure{Code: remote.Code, Message: remote.Message, Data: remote.Data, Remote: true}
	}
	var call *api.CallError
	text := err
	if errors.As(err, &call) {
		text = call.Err
	}
	return &CallFailure{Message: text.Error(), NotSent: errors.Is(err, api.ErrNotSent)}
}

func (s *controlSession) notify(in *NotifyRequest) (*NotifyResult, error) {
	out := &NotifyResult{Queued: []string{}, Refused: []NotifyRefusal{}}
	if len(in.To) == 0 {
		return out, nil
	}
	to := api.To(in.To[0], in.To[1:]...)
	if in.All {
		names := map[string]bool{}
		for _, n := range in.To {
			names[n] = true
		}
		to = api.Where(func(i *api.Info) bool { return names[i.Name] || names[i.ID] })
	}
	rep, err := s.p.Notify(s.ctx, nil, in.Method, to, in.Params)
	for _, i := range rep.To {
		out.Queued = append(out.Queued, i.Name)
	}
	for _, r := range rep.Refused {
		out.Refused = append(out.Refused, NotifyRefusal{r.Peer, r.Err.Error()})
	}
	if err != nil && len(rep.Refused) == 0 {
		return nil, err
	}
	return out, nil
}

// watch streams the records of what is said in the mesh until the connection ends.
func (s *controlSession) watch(conn *jsonrpc2.Conn) error {
	w, leave := s.p.startWatching()
	s.wg.Go(func() {
		defer leave()
		s.p.records(s.ctx, w, func(r tap.Record) bool { return s.tell(conn, adminRecord, &r) == nil })
	})
	return nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
