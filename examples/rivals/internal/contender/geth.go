package contender

import (
	"net"

	"github.com/ethereum/go-ethereum/rpc"
)

// geth is github.com/ethereum/go-ethereum/rpc as it speaks over IPC, here over TCP.
func geth() *Contender {
	return &Contender{
		Name: "geth", About: "go-ethereum/rpc, its IPC form, TCP", Module: "github.com/ethereum/go-ethereum",
		Wire: JSONRPC2, Can: Concurrent | Notify,
		Serve: func(o Options) (Server, error) {
			srv := rpc.NewServer()
			if err := srv.RegisterName("rivals", &gethService{o.Got}); err != nil {
				return nil, err
			}
			s := &gethServer{srv: srv}
			var err error
			s.listener, err = listen(func(conn net.Conn) { srv.ServeCodec(rpc.NewCodec(conn), 0) })
			return s, err
		},
		Dial: func(addr string, _ Options) (Client, error) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			c, err := rpc.DialIO(background, conn, conn)
			return &gethClient{conn, c}, err
		},
	}
}

// gethService has the methods rivals_echo and rivals_note.
type gethService struct{ got func(Echo) }

func (s *gethService) Echo(e Echo) Echo { return e }
func (s *gethService) Note(e Echo)      { s.got(e) }

type gethServer struct {
	noBroadcast
	*listener
	srv *rpc.Server
}

func (s *gethServer) Addr() string { return s.addr() }
func (s *gethServer) Close() error {
	err := s.listener.Close()
	s.srv.Stop()
	return err
}

type gethClient struct {
	conn net.Conn
	rpc  *rpc.Client
}

func (c *gethClient) Call(e Echo) (out Echo, err error) {
	err = c.rpc.Call(&out, "rivals_echo", e)
	return out, err
}

func (c *gethClient) Notify(e Echo) error { return c.rpc.Notify(background, "rivals_note", e) }

func (c *gethClient) Close() error {
	err := c.conn.Close() // which the client does not do
	c.rpc.Close()
	return err
}
