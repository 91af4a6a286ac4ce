package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/discovery"
	"peermesh/peer/tap"
	"peermesh/security"
)

// requestedOwn answers the requests of the protocol itself. It runs on the reader, so what takes time goes to a lane.
func (l *link) requestedOwn(m *codec.Message, v *security.Verdict, frame, secinfo []byte, batch *batchReply) error {
	method := string(m.Method)
	if method != methodHello {
		if d := l.p.policy().Allows(v.Principal, method, ownMinimum(method, v.Principal)); !d.Allowed {
			l.count("forbidden")
			e := errForbidden
			if isGuest(v.Principal) {
				e = errNotFound
			}
			l.replyError(v, m.ID, e, batch)
			return nil
		}
	}
	switch method {
	case methodHello:
		return l.hello(m, v, batch)
	case methodPing:
		l.reply(v, m.ID, codec.AppendResult(nil, m.ID, []byte("{}"), nil), batch)
	case methodDiscover:
		l.own(m, v, secinfo, batch, l.p.discover)
	case methodPeers:
		l.own(m, v, secinfo, batch, l.p.listPeers)
	case methodTapStart:
		l.own(m, v, secinfo, batch, l.p.startTap)
	case methodTapStop:
		l.own(m, v, secinfo, batch, l.p.stopTap)
	case methodTapClock:
		l.own(m, v, secinfo, batch, l.p.tapClock)
	case security.MethodEnroll:
		l.own(m, v, secinfo, batch, l.p.enroll)
	default:
		l.replyError(v, m.ID, errNotFound, batch)
	}
	return nil
}

// ownMinimum is the role that one of the protocol's methods asks for.
func ownMinimum(method string, who security.Principal) security.Role {
	switch {
	case method == methodPeers, tap.Own(method), method == methodDiscover && !isGuest(who):
		return security.RoleMember
	}
	return security.RoleGuest // a guest discovers what guests may call
}

// own runs one of the protocol's methods as a handler.
func (l *link) own(m *codec.Message, v *security.Verdict, secinfo []byte, batch *batchReply, f func(context.Context, *message, []byte) ([]byte, error)) {
	msg := l.newMessage(m, v, secinfo)
	msg.handle, msg.name, msg.batch = f, string(m.Method), batch
	l.enqueue(msg)
}

// notifiedOwn handles the notifications of the protocol itself. Unknown ones are ignored.
func (l *link) notifiedOwn(m *codec.Message, v *security.Verdict, frame []byte) error {
	switch string(m.Method) {
	case methodCancel:
		var p struct {
			ID json.RawMessage `json:"id"`
		}
		if json.Unmarshal(m.Params, &p) == nil && p.ID != nil {
			l.in.cancel(p.ID)
		}
	case methodProgress:
		l.progressed(m.Params)
	case methodAPIs:
		l.apis(m.Params)
	case methodTapRecords:
		l.tapRecords(m.Params)
	case methodBye:
		var p struct {
			Reason string `json:"reason"`
		}
		_ = json.Unmarshal(m.Params, &p) // a bye without reason is a bye
		if p.Reason == byeRenewed && l.session != nil {
			l.wasRenewed()
			return nil
		}
		// What came before is still handled and answered; then the link ends.
		l.saidBye.Store(true)
		l.p.leaving(l)
		l.in.idle(func() { l.finish() })
	case codec.MethodSecInfo: // with escapes in its name, or else it had been seen for what it is
		l.count("secinfo")
		return &closeError{reason: reasonRefused, err: codec.ErrSecInfo}
	}
	return nil
}

// helloParams introduce a peer. Both sides of the plain hello send them; unknown members are ignored.
type helloParams struct {
	V       string          `json:"v"`
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Boot    string          `json:"boot"`
	Version string          `json:"version,omitempty"`
	M       json.RawMessage `json:"m,omitempty"`
	Noise   string          `json:"noise,omitempty"`
}

func (p *Peer) helloParams() []byte {
	self := p.self.Load()
	raw, _ := json.Marshal(helloParams{V: "1", ID: self.ID, Name: self.Name, Boot: self.Boot, Version: self.Version}) // strings marshal
	return raw
}

// check reports what is wrong with an introduction.
func (h *helloParams) check() error {
	switch {
	case h.V != "1":
		return fmt.Errorf("version %q", clip(h.V))
	case !discovery.ValidID(h.ID):
		return fmt.Errorf("no peer id")
	case !security.ValidName(h.Name):
		return fmt.Errorf("no name")
	case !discovery.ValidBoot(h.Boot):
		return fmt.Errorf("no boot")
	}
	h.Version = clip(h.Version)
	return nil
}

func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > 64 {
		return s[:64]
	}
	return s
}

// hello answers an introduction.
func (l *link) hello(m *codec.Message, v *security.Verdict, batch *batchReply) error {
	var h helloParams
	if json.Unmarshal(m.Params, &h) != nil {
		l.replyError(v, m.ID, &api.Error{Code: api.CodeInvalidParams, Message: "invalid params"}, batch)
		return nil
	}
	if l.session != nil { // "a second hello or auth … closes"
		l.count("hello")
		return &closeError{reason: reasonRefused, err: errors.New("peer: a hello within a session")}
	}
	if h.V != "1" || h.M != nil || h.Noise != "" {
		// A handshake of a kind that is not spoken here. The dialler must not try a weaker one on this link.
		e := (&api.Error{Code: api.CodeRefused, Message: "refused"}).WithData(map[string][]string{"v": {"1"}})
		l.count("hello")
		_ = l.push(codec.AppendError(nil, bytes.Clone(m.ID), e, nil), security.Outgoing{}, bare)
		return &closeError{reason: reasonRefused, err: errors.New("peer: a hello of another version"), flush: true}
	}
	if err := h.check(); err != nil || v.Verified && h.Name != v.User {
		l.count("hello")
		e := &api.Error{Code: api.CodeInvalidParams, Message: "invalid params: v, id, name and boot introduce a peer"}
		l.replyError(v, m.ID, e, batch)
		return nil
	}
	self := l.p.self.Load()
	if h.ID == self.ID {
		return &closeError{reason: reasonSelf}
	}
	if !l.p.hellos.allow(l.conn.Remote(), time.Now()) {
		l.count("hellos")
		l.replyError(v, m.ID, (&api.Error{Code: api.CodeBusy, Message: "busy"}).WithData(map[string]int{"retry_ms": 1000}), batch)
		return nil
	}
	if !l.p.mayClaim(h.ID, h.Name) {
		l.count("hello")
		l.replyError(v, m.ID, (&api.Error{Code: api.CodeRefused, Message: "refused"}).WithData(map[string]string{"reason": "that id or name belongs to a peer with a session"}), batch)
		return nil
	}
	if !l.p.mayIntroduce(l) {
		l.count("hello")
		l.replyError(v, m.ID, (&api.Error{Code: api.CodeRefused, Message: "refused"}).WithData(map[string]string{"reason": "introduced already"}), batch)
		return nil
	}
	l.reply(v, m.ID, codec.AppendResult(nil, m.ID, l.p.helloParams(), nil), batch)
	l.p.introduced(l, &h)
	return nil
}

// apis takes what the other end binds.
func (l *link) apis(params []byte) {
	var p struct {
		APIs    map[string]api.APIInfo `json:"apis"`
		Version string                 `json:"version"` // of the program
		Tap     string                 `json:"tap"`     // what it lets members see of its messages
	}
	if json.Unmarshal(params, &p) != nil || p.APIs == nil || len(p.APIs) > maxAPIs {
		l.count("apis")
		return
	}
	for name, a := range p.APIs {
		if len(name) > 128 || len(a.Side) > 64 || len(a.Hash) > 64 {
			l.count("apis")
			return
		}
		a.Version = clip(a.Version)
		p.APIs[name] = a
	}
	l.p.gotAPIs(l, p.APIs, clip(p.Version), clip(p.Tap))
}

const maxAPIs = 256

// announceAPIs tells one link what is bound here.
func (p *Peer) announceAPIs(l *link) {
	told := map[string]any{"apis": p.boundAPIs()}
	if v := p.cfg.Version; v != "" {
		told["version"] = v
	}
	told["tap"] = p.cfg.Tap
	raw, _ := json.Marshal(told) // strings marshal
	_ = l.push(codec.AppendNotification(nil, methodAPIs, raw, nil), security.Outgoing{To: l.to()}, urgent)
}

// boundAPIs is what the others are told of what is bound here.
func (p *Peer) boundAPIs() map[string]api.APIInfo {
	apis := map[string]api.APIInfo{}
	if p.cfg.HearAll {
		apis["*"] = api.APIInfo{}
	}
	for name, b := range *p.bindings.Load() {
		_, version, side, _ := b.API()
		apis[name] = api.APIInfo{Version: version, Side: side, Hash: b.Hash()}
	}
	return apis
}

// ping asks the other end for a sign of life; f runs on the reader with the outcome, and must not block.
func (l *link) ping(f func(error)) {
	c := &call{id: l.p.ids.Add(1), method: methodPing, link: l, to: l.info.Load(), signed: l.signs(), started: time.Now()}
	c.own = func(c *call) {
		if c.err == nil || api.CodeOf(c.err) == api.CodeMethodNotFound {
			l.rtt.Store(int64(time.Since(c.started)))
		}
		if f != nil {
			f(c.err)
		}
	}
	if !l.calls.add(c) {
		return
	}
	text := codec.AppendRequest(nil, c.id, methodPing, nil, nil)
	if l.push(text, security.Outgoing{To: l.to()}, urgent) != nil && l.calls.give(c, false) && f != nil {
		f(api.ErrGone)
	}
}

// discover answers rpc.discover: one OpenRPC document of what the caller may call.
func (p *Peer) discover(_ context.Context, m *message, dst []byte) ([]byte, error) {
	raw, err := p.document(m.verdict.Principal)
	return append(dst, raw...), err
}

// document describes the methods of all bound APIs that who may call.
func (p *Peer) document(who security.Principal) ([]byte, error) {
	bound := *p.bindings.Load()
	doc := api.Document{OpenRPC: api.OpenRPCVersion, Methods: []api.DocumentMethod{}, APIs: map[string]api.APIInfo{}}
	doc.Info = api.DocumentInfo{Title: p.self.Load().Name, Version: "1"}
	for _, name := range slices.Sorted(maps.Keys(bound)) {
		d := bound[name].Document()
		_, version, side, _ := bound[name].API()
		d.Methods = slices.DeleteFunc(slices.Clone(d.Methods), func(m api.DocumentMethod) bool {
			return !p.policy().Allows(who, m.Name, security.Role(m.Role)).Allowed
		})
		if len(d.Methods) == 0 && isGuest(who) {
			continue // a stranger is not told what there is for others
		}
		doc.Merge(d)
		doc.APIs[name] = api.APIInfo{Version: version, Side: side, Hash: bound[name].Hash(), Inverted: d.Inverted, Description: d.Info.Description}
	}
	return json.Marshal(doc)
}

// listPeers answers rpc.peers: the names, ids and APIs of those who introduced themselves here.
func (p *Peer) listPeers(_ context.Context, _ *message, dst []byte) ([]byte, error) {
	type entry struct {
		ID   string                 `json:"id"`
		Name string                 `json:"name"`
		APIs map[string]api.APIInfo `json:"apis,omitempty"`
	}
	list := []entry{}
	for info := range p.Peers() {
		if info.ID != "" {
			list = append(list, entry{info.ID, info.Name, info.APIs})
		}
	}
	raw, err := json.Marshal(map[string]any{"peers": list})
	return append(dst, raw...), err
}
