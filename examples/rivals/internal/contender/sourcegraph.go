package contender

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"

	"github.com/sourcegraph/jsonrpc2"
)

// sourcegraph is github.com/sourcegraph/jsonrpc2 with its plain object stream and a handler that runs on the reading
// goroutine.
func sourcegraph() *Contender {
	quiet := jsonrpc2.SetLogger(log.New(io.Discard, "", 0)) // it would tell of each connection that ends
	return &Contender{
		Name: "sourcegraph", About: "sourcegraph/jsonrpc2, plain object stream, TCP", Module: "github.com/sourcegraph/jsonrpc2",
		Wire: JSONRPC2, Can: Concurrent | Notify | Broadcast,
		Serve: func(o Options) (Server, error) {
			s := &sourcegraphServer{}
			var err error
			s.listener, err = listen(func(conn net.Conn) {
				c := jsonrpc2.NewConn(background, jsonrpc2.NewPlainObjectStream(conn), sourcegraphHandler{o.Got}, quiet)
				s.clients.add(c)
				<-c.DisconnectNotify()
			})
			return s, err
		},
		Dial: func(addr string, o Options) (Client, error) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			return &sourcegraphClient{jsonrpc2.NewConn(background, jsonrpc2.NewPlainObjectStream(conn), sourcegraphHandler{o.Got}, quiet)}, nil
		},
	}
}

type sourcegraphHandler struct{ got func(Echo) }

func (h sourcegraphHandler) Handle(ctx context.Context, c *jsonrpc2.Conn, req *jsonrpc2.Request) {
	var e Echo
	err := json.Unmarshal(*req.Params, &e)
	switch {
	case req.Notif && err == nil:
		h.got(e)
	case req.Notif:
	case err != nil:
		_ = c.ReplyWithError(ctx, req.ID, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: err.Error()})
	default:
		_ = c.Reply(ctx, req.ID, e)
	}
}

type sourcegraphServer struct {
	*listener
	clients group[*jsonrpc2.Conn]
}

func (s *sourcegraphServer) Addr() string   { return s.addr() }
func (s *sourcegraphServer) Receivers() int { return s.clients.size() }
func (s *sourcegraphServer) Broadcast(e Echo) error {
	return s.clients.each(func(c *jsonrpc2.Conn) error { return c.Notify(background, "note", e) })
}

type sourcegraphClient struct{ *jsonrpc2.Conn }

func (c *sourcegraphClient) Call(e Echo) (out Echo, err error) {
	err = c.Conn.Call(background, "echo", e, &out)
	return out, err
}

func (c *sourcegraphClient) Notify(e Echo) error { return c.Conn.Notify(background, "note", e) }
