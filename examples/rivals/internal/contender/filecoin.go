package contender

import (
	"net"
	"net/http"

	"github.com/filecoin-project/go-jsonrpc"
)

// filecoin is github.com/filecoin-project/go-jsonrpc over WebSocket, on which alone it keeps a connection.
func filecoin() *Contender {
	return &Contender{
		Name: "filecoin", About: "filecoin go-jsonrpc, WebSocket", Module: "github.com/filecoin-project/go-jsonrpc",
		Wire: JSONRPC2, Can: Concurrent | Notify,
		Serve: func(o Options) (Server, error) {
			srv := jsonrpc.NewServer()
			srv.Register("Rivals", &filecoinService{o.Got})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			s := &filecoinServer{l: l, http: &http.Server{Handler: srv}, done: make(chan struct{})}
			go func() {
				_ = s.http.Serve(l) // says that it was closed
				close(s.done)
			}()
			return s, nil
		},
		Dial: func(addr string, _ Options) (Client, error) {
			c := &filecoinClient{}
			closer, err := jsonrpc.NewMergeClient(background, "ws://"+addr, "Rivals", []any{&c.methods}, nil)
			c.close = closer
			return c, err
		},
	}
}

type filecoinService struct{ got func(Echo) }

func (s *filecoinService) Echo(e Echo) Echo { return e }
func (s *filecoinService) Note(e Echo)      { s.got(e) }

type filecoinServer struct {
	noBroadcast
	l    net.Listener
	http *http.Server
	done chan struct{}
}

func (s *filecoinServer) Addr() string { return s.l.Addr().String() }
func (s *filecoinServer) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

type filecoinClient struct {
	methods struct {
		Echo func(Echo) (Echo, error)
		Note func(Echo) error `notify:"true"`
	}
	close jsonrpc.ClientCloser
}

func (c *filecoinClient) Call(e Echo) (Echo, error) { return c.methods.Echo(e) }
func (c *filecoinClient) Notify(e Echo) error       { return c.methods.Note(e) }
func (c *filecoinClient) Close() error {
	c.close()
	return nil
}
