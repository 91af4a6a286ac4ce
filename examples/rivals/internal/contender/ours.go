package contender

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"peermesh/api"
	"peermesh/peer"
	"peermesh/security"
)

type (
	echoer struct{}
	caller struct{}
)

// The definition that both ends share, from the side of the one that is dialled.
var (
	rivals = api.Define[echoer, caller]("rivals", "1.0.0", "What is compared.")
	echo   = api.IncomingCall[Echo, Echo](rivals, "echo", "Answer what it is given.")
	note   = api.Incoming[Echo](rivals, "note", "Take what needs no answer.")
	cast   = api.Outgoing[Echo](rivals, "cast", "What all hear.")
)

// ours are this project's peers, through its public API, with the protections and transports that it has.
func ours() []*Contender {
	variant := func(name, about, guard, scheme string, keyed bool, protection security.Protection) *Contender {
		config := func(o Options, name string, listen []string) (peer.Config, error) {
			known, err := security.OpenKnownPeers("") // in memory: what this machine's user knows is left alone
			if err != nil {
				return peer.Config{}, err
			}
			cfg := peer.Config{Mesh: "rivals", Name: name, Keys: &security.Keyring{}, Protection: protection, KnownPeers: known,
				Throwaway: true, NoMDNS: true, NoLocal: true, Listen: listen}
			if keyed {
				key, err := security.ParseKey([]byte(o.Key))
				if err != nil {
					return cfg, err
				}
				cfg.Keys, err = security.NewKeyring(security.Entry{Key: key, Send: true})
				return cfg, err
			}
			return cfg, nil
		}
		return &Contender{
			Name: name, About: about, Wire: JSONRPC2, Guard: guard, Ours: true, Can: Concurrent | Notify | Broadcast,
			// The queue to a peer has 1,024 places, and what does not fit is refused; a few are left for what the engine
			// says.
			NotesAhead: 1000, CastsAhead: 1000,
			Serve: func(o Options) (Server, error) {
				cfg, err := config(o, "server", []string{scheme + "127.0.0.1:0"})
				if err != nil {
					return nil, err
				}
				return serveOurs(cfg, o)
			},
			Dial: func(addr string, o Options) (Client, error) {
				cfg, err := config(o, fmt.Sprintf("client%d", o.Index), []string{})
				if err != nil {
					return nil, err
				}
				cfg.Peers = []string{scheme + addr}
				return dialOurs(cfg, o)
			},
		}
	}
	return []*Contender{
		variant("peermesh-signed", "TCP, session, signed", "HMAC-SHA256, numbered", "tcp://", true, security.Signed),
		variant("peermesh-sealed", "TCP, session, sealed: the default", "AES-GCM and HMAC, numbered", "tcp://", true, security.Sealed),
		variant("peermesh-unsigned", "TCP, a mesh without a key", "", "tcp://", false, security.Sealed),
		variant("peermesh-ws-signed", "WebSocket, session, signed", "HMAC-SHA256, numbered", "ws://", true, security.Signed),
		variant("peermesh-ws-sealed", "WebSocket, session, sealed", "AES-GCM and HMAC, numbered", "ws://", true, security.Sealed),
	}
}

type oursServer struct {
	p    *peer.Peer
	port *api.Port[echoer, caller]
	addr string
}

func serveOurs(cfg peer.Config, o Options) (Server, error) {
	p, err := peer.New(cfg)
	if err != nil {
		return nil, err
	}
	s := &oursServer{p: p, port: api.Bind(p, rivals)}
	echo.Handle(s.port, func(_ context.Context, e Echo) (Echo, error) { return e, nil })
	note.Handle(s.port, func(_ context.Context, e Echo) error { o.Got(e); return nil })
	if err := p.Join(background); err != nil {
		return nil, err
	}
	_, s.addr, _ = strings.Cut("//"+p.Self().Address, "//")
	return s, nil
}

func (s *oursServer) Addr() string { return s.addr }
func (s *oursServer) Receivers() (n int) {
	for range s.p.Peers() {
		n++
	}
	return n
}

func (s *oursServer) Broadcast(e Echo) error {
	report, err := cast.Send(background, s.port, api.All, e)
	return refused(report, err)
}

// refused makes an error of a message that not everybody has in the queue: what was refused does not count.
func refused(report api.Report, err error) error {
	if err == nil && len(report.Refused) > 0 {
		r := report.Refused[0]
		return fmt.Errorf("%d of %d receivers refused: %w", len(report.Refused), len(report.Refused)+report.Queued, r.Err)
	}
	return err
}

func (s *oursServer) Close() error { return s.p.Close() }

type oursClient struct {
	p    *peer.Peer
	port *api.Port[caller, echoer]
	to   api.Receivers
}

func dialOurs(cfg peer.Config, o Options) (Client, error) {
	p, err := peer.New(cfg)
	if err != nil {
		return nil, err
	}
	c := &oursClient{p: p, port: api.Bind(p, rivals.Invert()), to: api.To("server")}
	cast.Handle(c.port, func(_ context.Context, e Echo) error { o.Got(e); return nil })
	if err := p.Join(background); err != nil {
		return c, err
	}
	ctx, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	return c, c.port.Wait(ctx, c.to)
}

// busy is the answer to more calls than are taken of one link: 256. With exactly as many callers it comes now and then,
// since an answer may be here before its place is free there.
var busy = &api.Error{Code: api.CodeBusy}

// Call asks again when there was no room for the call: what was refused does not count.
func (c *oursClient) Call(e Echo) (Echo, error) {
	for {
		if answer, err := echo.Call(background, c.port, c.to, e); !errors.Is(err, busy) {
			return answer, err
		}
		runtime.Gosched()
	}
}

func (c *oursClient) Notify(e Echo) error {
	report, err := note.Send(background, c.port, c.to, e)
	if err == nil && report.Queued+len(report.Refused) == 0 {
		return api.ErrNoReceiver
	}
	return refused(report, err)
}

func (c *oursClient) Close() error { return c.p.Close() }
