package contender

import (
	"net"
	"time"

	lesismal "github.com/lesismal/arpc"
	"github.com/lesismal/arpc/log"
)

// arpcWait bounds how long something waits for room in a queue, or for an answer.
const arpcWait = 30 * time.Second

// arpc is github.com/lesismal/arpc: JSON in frames of its own. Its handlers run on the reading goroutine.
func arpc() *Contender {
	log.SetLevel(log.LevelNone)
	return &Contender{
		Name: "arpc", About: "lesismal/arpc, JSON in binary frames, TCP", Module: "github.com/lesismal/arpc",
		Wire: JSON, Can: Concurrent | Notify | Broadcast,
		CastsAhead: 4000, // a broadcast drops what does not fit into the 4,096 places of a queue
		Serve: func(o Options) (Server, error) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			s := &arpcServer{l: l, srv: lesismal.NewServer(), done: make(chan struct{})}
			s.srv.Handler.Handle("echo", func(ctx *lesismal.Context) {
				var e Echo
				if err := ctx.Bind(&e); err != nil {
					_ = ctx.Error(err)
					return
				}
				_ = ctx.Write(&e)
			}, false)
			s.srv.Handler.Handle("note", arpcNote(o), false)
			s.srv.Handler.HandleConnected(func(c *lesismal.Client) { s.clients.add(c) })
			go func() {
				_ = s.srv.Serve(l) // says that it was closed
				close(s.done)
			}()
			return s, nil
		},
		Dial: func(addr string, o Options) (Client, error) {
			h := lesismal.NewHandler()
			h.Handle("note", arpcNote(o), false)
			c, err := lesismal.NewClient(func() (net.Conn, error) { return net.Dial("tcp", addr) }, h)
			return &arpcClient{c}, err
		},
	}
}

func arpcNote(o Options) lesismal.HandlerFunc {
	return func(ctx *lesismal.Context) {
		var e Echo
		if ctx.Bind(&e) == nil {
			o.Got(e)
		}
	}
}

type arpcServer struct {
	l       net.Listener
	srv     *lesismal.Server
	done    chan struct{}
	clients group[*lesismal.Client]
}

func (s *arpcServer) Addr() string   { return s.l.Addr().String() }
func (s *arpcServer) Receivers() int { return s.clients.size() }
func (s *arpcServer) Broadcast(e Echo) error {
	s.srv.Broadcast("note", &e)
	return nil
}

func (s *arpcServer) Close() error {
	err := s.srv.Stop()
	<-s.done
	return err
}

type arpcClient struct{ *lesismal.Client }

func (c *arpcClient) Call(e Echo) (out Echo, err error) {
	err = c.Client.Call("echo", &e, &out, arpcWait)
	return out, err
}

func (c *arpcClient) Notify(e Echo) error { return c.Client.Notify("note", &e, arpcWait) }

func (c *arpcClient) Close() error {
	c.Stop()
	return nil
}
