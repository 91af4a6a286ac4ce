package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"peermesh/api"
	"peermesh/peer/transport"
	"peermesh/security"
)

// ErrNoInvites is returned by Invite of a peer that cannot enrol anybody: it has no key, or nobody can dial it.
var ErrNoInvites = errors.New("peer: an invite needs a key and an address to listen on")

// Invite makes an invite: a code with which one other program, once, within ttl, can get the mesh's keys from this
// peer over a sealed link. role is what the new peer will be here ("" for a member). The peer has to be running when
// the invite is used; a peer that keeps its identity in a file keeps its open invites too. At most 256 are open at a
// time. Errors are ErrNoInvites, security.ErrTooManyInvites, and those of the file.
func (p *Peer) Invite(role security.Role, ttl time.Duration) (security.Invite, error) {
	self := p.self.Load()
	if !p.sessions() || len(self.Addresses) == 0 {
		return security.Invite{}, ErrNoInvites
	}
	inv, err := security.NewInvite(p.cfg.Mesh, self.ID, ttl, time.Now())
	if err != nil {
		return security.Invite{}, err
	}
	inv.Address = strings.Join(self.Addresses, ",")
	if err := p.invites.Add(inv, role); err != nil {
		return security.Invite{}, err
	}
	return inv, nil
}

// Withdraw takes an invite of this peer back, if it was not used.
func (p *Peer) Withdraw(inv security.Invite) error {
	err := p.invites.Withdraw(inv.Key.ID())
	if errors.Is(err, security.ErrNoInvite) {
		return nil
	}
	return err
}

// enrolment is the result of rpc.enroll.
type enrolment struct {
	Mesh string   `json:"mesh"`
	Role string   `json:"role"`
	Keys []string `json:"keys"`
}

// enroll answers rpc.enroll: the mesh's keys for whoever has proven to hold an open invite. The invite is spent, on
// disk, before the answer is made.
func (p *Peer) enroll(_ context.Context, m *message, dst []byte) ([]byte, error) {
	l := m.link
	if l.session == nil || !l.session.Remote().Invite {
		return dst, errNotFound
	}
	l.in.idle(l.finish) // whatever the answer is, it is the last
	refused := func(reason string) error {
		l.count("enroll")
		p.log.Warn("an invite was not accepted", "address", l.conn.Remote(), "reason", reason)
		return (&api.Error{Code: api.CodeRefused, Message: "refused: " + reason}).WithData(map[string]string{"reason": reason})
	}
	remote := l.session.Remote()
	if err := p.admissible(remote); err != nil {
		return dst, refused(reasonToTell(err))
	}
	_, role, err := p.invites.Take(remote.Kid, time.Now())
	if err != nil {
		return dst, refused("the invite is used up or expired")
	}
	if role == "" {
		role = security.RoleMember
	}
	if err := p.pins().Enroll(p.cfg.Mesh, remote.User, remote.ID, role); err != nil {
		p.log.Error("the new peer could not be remembered", "name", remote.User, "error", err)
		return dst, refused("the new peer could not be remembered")
	}
	e := enrolment{Mesh: p.cfg.Mesh, Role: string(role)}
	for _, entry := range p.cfg.sendingFirst() {
		if entry.Users == nil {
			e.Keys = append(e.Keys, entry.Key.Export())
		}
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return dst, err
	}
	p.log.Info("a peer was enrolled", "name", remote.User, "id", remote.ID, "role", role)
	p.emit(Event{Kind: Enrolled, Peer: p.show(l)})
	return append(dst, raw...), nil
}

// Enrolment is what an invite was exchanged for.
type Enrolment struct {
	Mesh    string
	Role    security.Role   // what we are to the inviter
	Keys    []*security.Key // of the mesh; the first one is for signing
	Inviter *api.Info
	Name    string // ours, as the inviter knows it from now on
}

// Enroll exchanges an invite for the keys of its mesh. Of cfg it takes the identity (which must be the one that will
// join later), KnownPeers, where the inviter is pinned, Network, and Peers, which, when not empty, are dialled instead
// of the invite's own addresses. It keeps nothing else: what to do with the keys is the caller's affair. Errors are
// *api.Error (code api.CodeRefused, with the reason) where the inviter refused, api.ErrNoReceiver where nobody answered,
// and security.ErrInviteExpired.
func Enroll(ctx context.Context, cfg Config, inv security.Invite) (_ *Enrolment, err error) {
	if inv.Expired(time.Now()) {
		return nil, security.ErrInviteExpired
	}
	cfg.Mesh, cfg.Keys, cfg.Provider = inv.Mesh, &security.Keyring{}, nil
	addrs := cfg.Peers
	if len(addrs) == 0 {
		addrs = strings.Split(inv.Address, ",")
	}
	cfg.Peers = nil
	p, err := New(cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var errs []error
	for _, expr := range addrs {
		e, err := p.enrollAt(ctx, expr, inv)
		if err == nil {
			return e, nil
		}
		var remote *api.Error
		if errors.As(err, &remote) {
			return nil, err // that was the inviter, and it has decided
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("%w: the inviter, at %s: %w", api.ErrNoReceiver, strings.Join(addrs, ", "), errors.Join(errs...))
}

func (p *Peer) enrollAt(ctx context.Context, expr string, inv security.Invite) (*Enrolment, error) {
	addr, err := transport.ParseAddress(expr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*handshakeFor)
	defer cancel()
	conn, err := transport.Dial(ctx, p.cfg.Network, addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // everything was said
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	l := p.newLink(conn, nil, &target{p: p})
	cfg := p.handshake(l)
	cfg.Invite, cfg.Protection = inv.Key, security.Sealed
	if err := l.shakeHands(ctx, cfg, inv.Inviter); err != nil {
		return nil, err
	}
	frames, err := l.protect(nil, *l.framing.Load(), &item{}, []byte(`{"jsonrpc":"2.0","id":"h3","method":"rpc.enroll"}`))
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(frames); err != nil {
		return nil, err
	}
	result, err := l.protectedAnswer(l.session, `"h3"`)
	if err != nil {
		return nil, err
	}
	var e enrolment
	if err := json.Unmarshal(result, &e); err != nil || e.Mesh != inv.Mesh || len(e.Keys) == 0 {
		return nil, errors.New("peer: the inviter's answer is no enrolment")
	}
	got := &Enrolment{Mesh: e.Mesh, Role: security.Role(clip(e.Role)), Inviter: l.info.Load(), Name: p.id.Name()}
	for _, text := range e.Keys {
		key, err := security.ParseKey([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("peer: the inviter's answer: %w", err)
		}
		got.Keys = append(got.Keys, key)
	}
	return got, nil
}
