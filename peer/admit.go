package peer

import (
	"errors"
	"fmt"
	"time"

	"peermesh/api"
	"peermesh/security"
)

// admissible reports why a peer that has proven its id may not be linked: it is revoked, its name belongs to another
// id. The error is a *refusedError.
func (p *Peer) admissible(r security.Remote) error {
	if r.User == p.id.Name() {
		return &refusedError{reason: fmt.Sprintf("the name %s is in use by the peer %s", r.User, short(p.id.ID())), ours: true}
	}
	if err := p.known.Check(p.cfg.Mesh, r.User, r.ID); err != nil {
		return refusalOf(err)
	}
	return refusalOf(p.met.Check(p.cfg.Mesh, r.User, r.ID))
}

// admit is admissible for a peer whose handshake is complete: its name is pinned to its id.
func (p *Peer) admit(r security.Remote) error {
	if err := p.admissible(r); err != nil {
		return err
	}
	if r.Transient {
		return nil
	}
	first, err := p.pins().Meet(p.cfg.Mesh, r.User, r.ID)
	if err != nil {
		return refusalOf(err)
	}
	if first {
		p.log.Debug("a name is pinned to the peer that first bore it", "name", r.User, "id", r.ID)
	}
	return nil
}

// pins is where names are pinned: a peer that keeps no file remembers them until it ends.
func (p *Peer) pins() *security.KnownPeers {
	if p.cfg.Throwaway {
		return p.met
	}
	return p.known
}

// pinned returns the id that a name belongs to.
func (p *Peer) pinned(name string) (id string, ok bool) {
	if id, ok = p.known.Pinned(p.cfg.Mesh, name); !ok {
		id, ok = p.met.Pinned(p.cfg.Mesh, name)
	}
	return id, ok
}

// lookupPeer returns what is remembered of an id.
func (p *Peer) lookupPeer(id string) (k security.KnownPeer, ok bool) {
	if k, ok = p.known.Lookup(p.cfg.Mesh, id); !ok {
		k, ok = p.met.Lookup(p.cfg.Mesh, id)
	}
	return k, ok
}

// refusalOf words what known peers say of a peer, for both sides.
func refusalOf(err error) error {
	var pinned *security.PinError
	var revoked *security.RevokedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pinned):
		return &refusedError{reason: fmt.Sprintf("the name %s belongs to the peer %s, and this is %s", pinned.Pinned.Name, short(pinned.Pinned.ID), short(pinned.Got)), ours: true}
	case errors.As(err, &revoked):
		return &refusedError{reason: "it is revoked", ours: true}
	case errors.Is(err, security.ErrTooManyPins):
		return &refusedError{reason: "too many names are known already", ours: true}
	}
	return &refusedError{reason: "its name cannot be remembered", ours: true}
}

func short(id string) string { return id[:min(len(id), security.ShortID)] }

// principalOf says who a peer is that has completed a handshake.
func (p *Peer) principalOf(r security.Remote) security.Principal {
	who := security.Principal{PeerID: r.ID, Kid: r.Kid, Role: r.Role, Invite: r.Invite}
	if r.Invite {
		return who
	}
	if id, ok := p.pinned(r.User); ok && id == r.ID {
		who.User = r.User
	}
	if k, ok := p.lookupPeer(r.ID); ok && k.Role != "" {
		who.Role = k.Role
	}
	who.Role = p.policy().RoleOf(who)
	return who
}

// taken reports whether a name belongs to a peer with an id, and so to nobody else. It is asked for each message that
// is signed with a group key.
func (p *Peer) taken(name string) bool {
	if _, ok := p.pinned(name); ok {
		return true
	}
	for _, l := range *p.members.Load() {
		if l.session != nil && l.info.Load().Name == name {
			return true
		}
	}
	return false
}

// mayClaim reports whether a peer without session may say that it has this id and name: neither is pinned, or of a
// peer with a session.
func (p *Peer) mayClaim(id, name string) bool {
	if !p.sessions() {
		return true
	}
	if _, ok := p.lookupPeer(id); ok {
		return false
	}
	p.mu.Lock()
	old := p.byID[id]
	p.mu.Unlock()
	return (old == nil || old.session == nil) && !p.taken(name)
}

// established makes a link with a session one that may become a member's. It runs on the link's reader.
func (p *Peer) established(l *link) {
	p.change(func() { p.establishedLocked(l) })
}

func (p *Peer) establishedLocked(l *link) {
	l.conn.Admitted()
	if l.session.Remote().Invite {
		return // it hears nothing, and is no member before it has enrolled
	}
	l.m.proven, l.m.provenAt = true, time.Now()
	if old := p.renewedLocked(l); old != nil {
		p.succeedLocked(old, l)
		return
	}
	p.shook.Store(p.sinceStart())
	if p.lostLocked(l) {
		l.m.leaving = true // it does not join before it has ended
		p.endLater(l, reasonDuplicate)
		return
	}
	id := l.m.hello.ID
	p.arrived[id] = l
	if !l.dialled {
		p.dropLocked(id)
	}
	p.announceAPIs(l)
	p.tryJoinLocked(l)
}

// lostLocked reports whether a link that has just got its session may end at once, because one that the other end of it
// has dialled stands already and wins: "the link dialled by the smaller id wins". Nothing of the members' has been sent
// on it, by neither end: they wait for our rpc.apis.
func (p *Peer) lostLocked(l *link) bool {
	h := l.m.hello
	other := p.arrived[h.ID]
	if other == nil || other.dialled == l.dialled || !other.comingLocked() || other.m.hello.Boot != h.Boot || l.dialled == (p.self.Load().ID < h.ID) {
		return false
	}
	// Who has accepted it does without our rpc.apis after a while.
	return !l.dialled || time.Since(l.started) < apisGrace/2
}

// refusedBy tells that a peer which dialled us will not have us.
func (p *Peer) refusedBy(l *link, r security.Remote) {
	l.count("refused by it")
	p.emitRefused(l, r, "refuses us: "+clip(r.Refuses), &refusedError{reason: clip(r.Refuses)})
}

// emitRefused tells of a peer that came and was not taken, at most once a minute for each.
func (p *Peer) emitRefused(l *link, r security.Remote, reason string, err error) {
	if !p.refusals.allow(r.ID, time.Now()) {
		return
	}
	info := *l.info.Load()
	info.ID, info.Name, info.State = r.ID, r.User, api.Left
	p.log.Warn("a peer was refused", "name", r.User, "id", r.ID, "address", l.conn.Remote(), "reason", reason)
	p.emit(Event{Kind: Refused, Peer: &info, Reason: "refused: " + reason, Err: err})
}

// review looks at all links again after what is known of peers, or the policy, has changed.
func (p *Peer) review() {
	var cut []*link
	p.change(func() {
		for l := range p.links {
			if l.session == nil || l.session.Remote().Invite {
				continue
			}
			r := l.session.Remote()
			if p.admissible(r) != nil {
				cut = append(cut, l)
				continue
			}
			who := p.principalOf(r)
			l.session.SetPrincipal(who, r.User)
			if info := *l.info.Load(); info.Role != string(who.Role) || info.Principal != who.String() {
				info.Role, info.Principal = string(who.Role), who.String()
				l.info.Store(&info)
			}
		}
	})
	for _, l := range cut {
		reason := reasonRefused
		if k, ok := p.lookupPeer(l.session.Remote().ID); ok && k.Revoked {
			reason = reasonRevoked
		}
		l.end(reason, p.admissible(l.session.Remote()))
	}
}
