package contender

import (
	"context"
	"encoding/json"
	"io"
	"net"

	"golang.org/x/exp/jsonrpc2"
)

// xexp is golang.org/x/exp/jsonrpc2 with messages that follow each other without a frame.
func xexp() *Contender {
	return &Contender{
		Name: "xexp", About: "x/exp/jsonrpc2, raw framer, TCP", Module: "golang.org/x/exp/jsonrpc2",
		Wire: JSONRPC2, Can: Concurrent | Notify | Broadcast,
		Serve: serveXexp,
		Dial: func(addr string, o Options) (Client, error) {
			conn, err := jsonrpc2.Dial(background, jsonrpc2.NetDialer("tcp", addr, net.Dialer{}), xexpOptions(o))
			if err != nil {
				return nil, err
			}
			c := &xexpClient{conn}
			_, err = c.Call(Echo{}) // when it is answered, the other end is ready to speak too
			return c, err
		},
	}
}

func xexpOptions(o Options) jsonrpc2.ConnectionOptions {
	return jsonrpc2.ConnectionOptions{
		Framer: jsonrpc2.RawFramer(),
		Handler: jsonrpc2.HandlerFunc(func(_ context.Context, req *jsonrpc2.Request) (any, error) {
			var e Echo
			if err := json.Unmarshal(req.Params, &e); err != nil {
				return nil, err
			}
			if req.IsCall() {
				return e, nil
			}
			o.Got(e)
			return nil, nil
		}),
	}
}

type xexpServer struct {
	l       net.Listener
	srv     *jsonrpc2.Server
	options jsonrpc2.ConnectionOptions
	clients group[*jsonrpc2.Connection]
}

func serveXexp(o Options) (Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &xexpServer{l: l, options: xexpOptions(o)}
	s.srv, err = jsonrpc2.Serve(background, xexpListener{l}, s)
	return s, err
}

// Bind implements jsonrpc2.Binder.
func (s *xexpServer) Bind(_ context.Context, c *jsonrpc2.Connection) (jsonrpc2.ConnectionOptions, error) {
	s.clients.add(c)
	return s.options, nil
}

func (s *xexpServer) Addr() string   { return s.l.Addr().String() }
func (s *xexpServer) Receivers() int { return s.clients.size() }
func (s *xexpServer) Broadcast(e Echo) error {
	return s.clients.each(func(c *jsonrpc2.Connection) error { return c.Notify(background, "note", e) })
}

func (s *xexpServer) Close() error {
	err := s.l.Close()
	_ = s.clients.each(func(c *jsonrpc2.Connection) error { _ = c.Close(); return nil })
	_ = s.srv.Wait() // says that the listener was closed
	return err
}

// xexpListener is a listener as the library wants it; its own does not tell its address.
type xexpListener struct{ l net.Listener }

func (l xexpListener) Accept(context.Context) (io.ReadWriteCloser, error) { return l.l.Accept() }
func (l xexpListener) Close() error                                       { return l.l.Close() }
func (l xexpListener) Dialer() jsonrpc2.Dialer                            { return nil }

type xexpClient struct{ *jsonrpc2.Connection }

func (c *xexpClient) Call(e Echo) (out Echo, err error) {
	err = c.Connection.Call(background, "echo", e).Await(background, &out)
	return out, err
}

func (c *xexpClient) Notify(e Echo) error { return c.Connection.Notify(background, "note", e) }
