package peer_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

// backwards is a provider of a user's own: it sends payloads backwards, marked as its own.
type backwards struct{}

func (backwards) Seal(dst []byte, _ security.Outgoing, payload []byte) (secinfo, sealed []byte, err error) {
	return append(dst, `{"alg":"backwards","user":"somebody"}`...), reversed(payload), nil
}

func (backwards) Open(secinfo, payload []byte, kind func([]byte) security.Kind) (security.Verdict, []byte, error) {
	var info security.SecInfo
	if info.Parse(secinfo) != nil || string(info.Get("alg")) != "backwards" {
		return security.Verdict{}, nil, errors.New("not backwards")
	}
	text := reversed(payload)
	kind(text)
	return security.Verdict{Principal: security.Principal{User: "somebody", Role: security.RoleMember}}, text, nil
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}

func TestOwnProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := peertest.New(t)
		none, err := security.NewKeyring()
		if err != nil {
			t.Fatal(err)
		}
		own := func(c *peer.Config) {
			c.Keys = none
			c.Provider = func(bool) security.Provider { return backwards{} }
		}
		a, b := mesh.Peer("a", own), mesh.Peer("b", own)
		lab.Snap.Handle(api.Bind(a, lab.API), func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: 3}, nil })
		view := api.Bind(b, lab.API.Invert())
		mesh.Join(a, b)
		if img, err := lab.Snap.Call(t.Context(), view, api.To("a"), lab.SnapParams{}); err != nil || img.Width != 3 {
			t.Fatal(img, err)
		}
	})
}

// TestLargeMesh is a mesh of as many peers as are tested, all in one process.
func TestLargeMesh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 64
		mesh := peertest.New(t)
		var peers []*peer.Peer
		var ports []*api.Port[source, sink]
		var got [n]int
		for i := range n {
			p := mesh.Peer("p" + string(rune('a'+i/26)) + string(rune('a'+i%26)))
			if i == 0 {
				ports = append(ports, api.Bind(p, streamAPI))
			} else {
				newest.Handle(api.Bind(p, streamAPI.Invert()), func(context.Context, depth) error { got[i]++; return nil })
			}
			peers = append(peers, p)
		}
		mesh.Join(peers...)
		rep, err := newest.Send(t.Context(), ports[0], api.All, depth{1})
		if err != nil || rep.Queued != n-1 {
			t.Fatalf("%d queued, %v", rep.Queued, err)
		}
		synctest.Wait()
		for i := 1; i < n; i++ {
			if got[i] != 1 {
				t.Errorf("peer %d heard it %d times", i, got[i])
			}
		}
	})
}
