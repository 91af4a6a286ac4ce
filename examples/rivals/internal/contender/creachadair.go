package contender

import (
	"context"
	"net"

	"github.com/creachadair/jrpc2"
	"github.com/creachadair/jrpc2/channel"
	"github.com/creachadair/jrpc2/handler"
)

// creachadair is github.com/creachadair/jrpc2 with one message a line.
func creachadair() *Contender {
	return &Contender{
		Name: "creachadair", About: "creachadair/jrpc2, lines, TCP", Module: "github.com/creachadair/jrpc2",
		Wire: JSONRPC2, Can: Concurrent | Notify | Broadcast,
		Serve: serveCreachadair,
		Dial: func(addr string, o Options) (Client, error) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			return &creachadairClient{jrpc2.NewClient(channel.Line(conn, conn), &jrpc2.ClientOptions{
				OnNotify: func(req *jrpc2.Request) {
					var e Echo
					if req.UnmarshalParams(&e) == nil {
						o.Got(e)
					}
				},
			})}, nil
		},
	}
}

type creachadairServer struct {
	*listener
	clients group[*jrpc2.Server]
}

func serveCreachadair(o Options) (Server, error) {
	methods := handler.Map{
		"echo": func(_ context.Context, req *jrpc2.Request) (any, error) {
			var e Echo
			err := req.UnmarshalParams(&e)
			return e, err
		},
		"note": func(_ context.Context, req *jrpc2.Request) (any, error) {
			var e Echo
			err := req.UnmarshalParams(&e)
			if err == nil {
				o.Got(e)
			}
			return nil, err
		},
	}
	s := &creachadairServer{}
	var err error
	s.listener, err = listen(func(conn net.Conn) {
		srv := jrpc2.NewServer(methods, &jrpc2.ServerOptions{AllowPush: true}).Start(channel.Line(conn, conn))
		s.clients.add(srv)
		_ = srv.Wait()
	})
	return s, err
}

func (s *creachadairServer) Addr() string   { return s.addr() }
func (s *creachadairServer) Receivers() int { return s.clients.size() }
func (s *creachadairServer) Broadcast(e Echo) error {
	return s.clients.each(func(c *jrpc2.Server) error { return c.Notify(background, "note", e) })
}

type creachadairClient struct{ *jrpc2.Client }

func (c *creachadairClient) Call(e Echo) (out Echo, err error) {
	err = c.CallResult(background, "echo", e, &out)
	return out, err
}

func (c *creachadairClient) Notify(e Echo) error { return c.Client.Notify(background, "note", e) }
