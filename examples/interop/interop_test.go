package interop_test

import (
	"context"
	"net"
	"testing"

	"peermesh/api"
	"peermesh/examples/internal/console"
	"peermesh/examples/spec/service"
	"peermesh/peer"
	"peermesh/security"
)

func TestMain(m *testing.M) { console.Main(m, "peermesh/examples/spec") }

// startSpec starts the built program of examples/spec and returns its address.
func startSpec(t *testing.T) string {
	t.Helper()
	return console.NewHome(t).Start("spec", "-listen", "127.0.0.1:0").Listening()
}

// openPeer is a peer within the test, for what needs both ends: it serves what examples/spec serves.
func openPeer(t *testing.T, change ...func(*peer.Config)) *peer.Peer {
	t.Helper()
	keys, err := security.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	cfg := peer.Config{Name: "spec", Keys: keys, Throwaway: true, Listen: []string{"127.0.0.1:0"}, NoMDNS: true, NoLocal: true}
	for _, f := range change {
		f(&cfg)
	}
	p, err := peer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	service.Bind(p)
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// guest returns the name of the first that is linked.
func guest(t *testing.T, p *peer.Peer) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), console.Patience)
	defer cancel()
	for e := range p.Events(ctx) {
		if e.Kind == peer.Joined {
			return e.Peer.Name
		}
	}
	t.Fatal("nobody came")
	return ""
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// counting is an API that tells its progress, and whose calls can be cancelled.
type (
	counter struct{}
	counted struct{}
	upTo    struct {
		N int `json:"n" minimum:"1" maximum:"10"`
	}
)

var (
	counting = api.Define[counter, counted]("count", "1.0.0", "Counting.")
	up       = api.IncomingCall[upTo, string](counting, "up", "Count up to n.", api.MinRole(api.RoleGuest))
	hold     = api.IncomingCall[api.None, api.None](counting, "hold", "Wait to be cancelled.", api.MinRole(api.RoleGuest))
)

// bindCounting serves counting, and tells when a call was cancelled.
func bindCounting(p *peer.Peer) (cancelled <-chan struct{}) {
	port, done := api.Bind(p, counting), make(chan struct{}, 1)
	up.Handle(port, func(ctx context.Context, in upTo) (string, error) {
		for i := range in.N {
			if err := api.Progress(ctx, i+1); err != nil {
				return "", err
			}
		}
		return "counted", nil
	})
	hold.Handle(port, func(ctx context.Context, _ api.None) (api.None, error) {
		<-ctx.Done()
		done <- struct{}{}
		return api.None{}, ctx.Err()
	})
	return done
}
