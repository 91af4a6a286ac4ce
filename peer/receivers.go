package peer

import (
	"fmt"
	"slices"

	"peermesh/api"
)

// resolved is what receivers come to at one moment.
type resolved struct {
	links   []*link
	refused []api.Refusal
}

// resolve finds the links of the receivers. strict asks for peers that bind the other side of the API, as calls do; a
// notification also goes to those who hear everything. A nil binding takes every peer that hears the API of method.
//
// The links are appended to room.
func (p *Peer) resolve(to api.Receivers, b api.Binding, method string, m *api.Method, strict bool, room []*link) resolved {
	r := resolved{links: room}
	members := *p.members.Load()
	if to.IsTo() {
		if name, ok := to.One(); ok {
			p.resolveName(&r, members, name, b, method, strict)
			return r
		}
		names, _ := to.Named()
		for _, name := range names {
			p.resolveName(&r, members, name, b, method, strict)
		}
		return r
	}
	for _, l := range members {
		info := l.info.Load()
		if serves(info, b, method, strict) && mayHear(info, m) && to.Matches(info) {
			r.links = append(r.links, l)
		}
	}
	if to.IsAny() && len(r.links) > 0 {
		busy := func(a, b *link) int { return a.calls.count() - b.calls.count() }
		r.links[0] = slices.MinFunc(r.links, busy)
		r.links = r.links[:1]
	}
	return r
}

func (p *Peer) resolveName(r *resolved, members []*link, name string, b api.Binding, method string, strict bool) {
	l, err := p.find(members, name)
	if err == nil && !serves(l.info.Load(), b, method, strict) {
		err = api.ErrNotServed
	}
	if err != nil {
		r.refused = append(r.refused, api.Refusal{Peer: name, Err: fmt.Errorf("%w: %s", err, name)})
		return
	}
	if !slices.Contains(r.links, l) {
		r.links = append(r.links, l)
	}
}

// find returns the link of a peer by its id, or by its name where only one bears it. Those who introduced themselves
// go before those who did not.
func (p *Peer) find(members []*link, name string) (*link, error) {
	self := p.self.Load()
	if name == self.ID || name == self.Name {
		return nil, api.ErrSelf
	}
	var found *link
	introduced, count := false, 0
	for _, l := range members {
		info := l.info.Load()
		switch {
		case info.ID != "" && info.ID == name:
			return l, nil
		case info.Name != name:
		case info.ID != "" && !introduced:
			found, introduced, count = l, true, 1
		case (info.ID != "") == introduced:
			found = l
			count++
		}
	}
	switch {
	case count == 0:
		return nil, api.ErrUnknownPeer
	case count > 1:
		return nil, api.ErrAmbiguousPeer
	}
	return found, nil
}

// serves reports whether a peer is on the other side of a binding.
func serves(info *api.Info, b api.Binding, method string, strict bool) bool {
	if b == nil {
		return true
	}
	name, _, _, other := b.API()
	if info.Binds(name, other) {
		return true
	}
	return !strict && info.Hears()
}

// mayHear reports whether a broadcast may go to a peer: to a guest only where the method is for guests.
func mayHear(info *api.Info, m *api.Method) bool {
	return info.Role != api.RoleGuest || m != nil && m.MinRole == api.RoleGuest
}
