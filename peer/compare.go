package peer

import (
	"context"
	"errors"
	"slices"
	"strings"

	"peermesh/api"
)

// compare looks for APIs that the other end has bound from another definition than ours. Calls still run; who runs the
// programs is told which methods differ, by an event and in the log.
func (p *Peer) compare(l *link, apis map[string]api.APIInfo) {
	bound := *p.bindings.Load()
	var differ []string
	for name, theirs := range apis {
		if b := bound[name]; b != nil && theirs.Hash != "" && theirs.Hash != b.Hash() {
			differ = append(differ, name)
		}
	}
	if len(differ) == 0 {
		return
	}
	p.wg.Go(func() {
		ctx, cancel := context.WithTimeout(p.ctx, describeFor)
		defer cancel()
		info := l.info.Load()
		raw, err := p.discoverAt(ctx, info)
		if err != nil {
			return
		}
		theirs, err := api.Parse(raw)
		if err != nil {
			return
		}
		for _, name := range differ {
			methods := differences(bound[name].Document(), theirs)
			p.log.Warn("two definitions of one API", "api", name, "peer", info.Name, "methods", methods)
			p.change(func() {
				p.emit(Event{Kind: Updated, Peer: p.show(l), Reason: name + " is defined otherwise there: " + strings.Join(methods, ", ")})
			})
		}
	})
}

// discoverAt asks a peer what it binds, on whichever link it has. The first one may be given up for another.
func (p *Peer) discoverAt(ctx context.Context, info *api.Info) ([]byte, error) {
	if info.ID == "" {
		return nil, api.ErrUnknownPeer
	}
	for {
		if err := p.Wait(ctx, nil, api.To(info.ID)); err != nil {
			return nil, err
		}
		raw, err := p.Request(ctx, nil, methodDiscover, api.To(info.ID), nil, nil)
		if err == nil || !errors.Is(err, api.ErrGone) {
			return raw, err
		}
	}
}

// differences lists the methods of our side of an API that the other side does not have, or has otherwise. What one
// side handles the other one sends.
func differences(ours, theirs api.Document) []string {
	shape := func(m api.DocumentMethod, d api.Document) string {
		return api.Document{OpenRPC: api.OpenRPCVersion, Methods: []api.DocumentMethod{m}, Components: d.Components}.Hash()
	}
	var names []string
	for _, m := range slices.Concat(ours.Methods, ours.Outgoing) {
		other, _ := theirs.Find(m.Name)
		if other == nil || shape(m, ours) != shape(*other, theirs) {
			names = append(names, m.Name)
		}
	}
	prefix := ours.Info.Title + "."
	for _, m := range slices.Concat(theirs.Methods, theirs.Outgoing) {
		if own, _ := ours.Find(m.Name); own == nil && strings.HasPrefix(m.Name, prefix) {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
