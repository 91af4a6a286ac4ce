package contender

import (
	"net"

	crpc2 "github.com/cenkalti/rpc2"
)

// rpc2 is github.com/cenkalti/rpc2, net/rpc in both directions, with gob.
func rpc2() *Contender {
	return &Contender{
		Name: "rpc2", About: "cenkalti/rpc2, gob, TCP", Module: "github.com/cenkalti/rpc2",
		Wire: Gob, Can: Concurrent | Notify | Broadcast,
		Serve: func(o Options) (Server, error) {
			srv := crpc2.NewServer()
			srv.Handle("echo", func(_ *crpc2.Client, in *Echo, out *Echo) error {
				*out = *in
				return nil
			})
			srv.Handle("note", rpc2Note(o))
			s := &rpc2Server{}
			srv.OnConnect(func(c *crpc2.Client) { s.clients.add(c) })
			var err error
			s.listener, err = listen(func(conn net.Conn) { srv.ServeConn(conn) })
			return s, err
		},
		Dial: func(addr string, o Options) (Client, error) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			c := crpc2.NewClient(conn)
			c.Handle("note", rpc2Note(o))
			go c.Run()
			return &rpc2Client{c}, nil
		},
	}
}

func rpc2Note(o Options) func(*crpc2.Client, *Echo, *struct{}) error {
	return func(_ *crpc2.Client, in *Echo, _ *struct{}) error {
		o.Got(*in)
		return nil
	}
}

type rpc2Server struct {
	*listener
	clients group[*crpc2.Client]
}

func (s *rpc2Server) Addr() string   { return s.addr() }
func (s *rpc2Server) Receivers() int { return s.clients.size() }
func (s *rpc2Server) Broadcast(e Echo) error {
	return s.clients.each(func(c *crpc2.Client) error { return c.Notify("note", &e) })
}

type rpc2Client struct{ *crpc2.Client }

func (c *rpc2Client) Call(e Echo) (out Echo, err error) {
	err = c.Client.Call("echo", &e, &out)
	return out, err
}

func (c *rpc2Client) Notify(e Echo) error { return c.Client.Notify("note", &e) }
