package peer

import (
	"encoding/json"
	"errors"

	"peermesh/api"
	"peermesh/security"
)

// failedLocked tells, once, that a target did not let us in.
func (t *target) failedLocked(l *link, reason string, err error) {
	t.settled = true
	why := reason
	var remote *api.Error
	var refused *refusedError
	var refusal *security.Refusal
	switch {
	case l.refusal.Load() != nil:
		why = refusalText(l.refusal.Load())
	case errors.As(err, &remote):
		why = refusalText(remote)
	case errors.As(err, &refused) && refused.ours:
		why = "refused: " + refused.reason
	case errors.As(err, &refused):
		why = "refused: refuses us: " + refused.reason
	case errors.As(err, &refusal) && refusal.Reason == security.ReasonProtection:
		why = "refused: it wants less protection than this peer"
	case errors.As(err, &refusal):
		why = "refused: it does not prove to hold the mesh's key"
	case reason != reasonRefused:
		return // it broke; that is the network's affair
	}
	if t.refused != nil && t.refused.Reason == why {
		return
	}
	t.refused = &Event{Kind: Refused, Peer: stranger(t, l), Reason: why, Err: err}
	t.p.emit(*t.refused)
}

// stranger is what is known of a peer that was never linked.
func stranger(t *target, l *link) *api.Info {
	info := *l.info.Load()
	if t.rec.Name != "" {
		info.Name, info.ID = t.rec.Name, t.rec.ID
	}
	info.State = api.Left
	return &info
}

// refusalText says what a refusal most likely means, for a person.
func refusalText(e *api.Error) string {
	switch e.Code {
	case api.CodeUnauthenticated:
		return "refused: another key"
	case api.CodeStale:
		return "refused: its clock and ours differ by more than a minute"
	case api.CodeSessionRequired:
		return "refused: it takes sessions only"
	case api.CodeRefused:
		var d struct {
			Reason string `json:"reason"`
		}
		if json.Unmarshal(e.Data, &d) == nil && d.Reason != "" {
			return "refused: " + clip(d.Reason)
		}
	}
	return "refused: " + clip(e.Message)
}
