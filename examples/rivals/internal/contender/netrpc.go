package contender

import (
	"net"
	"net/rpc"
)

// netRPC is the standard library's net/rpc with gob.
func netRPC() *Contender {
	return &Contender{
		Name: "netrpc", About: "net/rpc, gob, TCP", Wire: Gob, Can: Concurrent,
		Serve: func(Options) (Server, error) {
			srv := rpc.NewServer()
			if err := srv.RegisterName("Rivals", netRPCService{}); err != nil {
				return nil, err
			}
			s := &netRPCServer{}
			var err error
			s.listener, err = listen(func(conn net.Conn) { srv.ServeConn(conn) })
			return s, err
		},
		Dial: func(addr string, _ Options) (Client, error) {
			c, err := rpc.Dial("tcp", addr)
			return &netRPCClient{Client: c}, err
		},
	}
}

type netRPCService struct{}

// Echo is the one method.
func (netRPCService) Echo(in *Echo, out *Echo) error {
	*out = *in
	return nil
}

type netRPCServer struct {
	noBroadcast
	*listener
}

func (s *netRPCServer) Addr() string { return s.addr() }

type netRPCClient struct {
	callsOnly
	*rpc.Client
}

func (c *netRPCClient) Call(e Echo) (out Echo, err error) {
	err = c.Client.Call("Rivals.Echo", &e, &out)
	return out, err
}
