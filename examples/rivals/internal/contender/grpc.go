package contender

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"peermesh/examples/rivals/internal/contender/echopb"
)

// grpcProto is gRPC with Protocol Buffers, without TLS. What has no answer travels on one stream of the client, what is
// broadcast on one of the server for each client.
func grpcProto() *Contender {
	return &Contender{
		Name: "grpc", About: "gRPC-go, protobuf, HTTP/2; one-way messages on a stream", Module: "google.golang.org/grpc",
		Wire: Protobuf, Can: Concurrent | Notify | Broadcast,
		Serve: func(o Options) (Server, error) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			s := &grpcServer{got: o.Got, l: l, srv: grpc.NewServer(), done: make(chan struct{})}
			echopb.RegisterRivalsServer(s.srv, s)
			go func() {
				_ = s.srv.Serve(l)
				close(s.done)
			}()
			return s, nil
		},
		Dial: dialGRPC,
	}
}

type grpcServer struct {
	echopb.UnimplementedRivalsServer
	got     func(Echo)
	l       net.Listener
	srv     *grpc.Server
	done    chan struct{}
	clients group[grpc.ServerStreamingServer[echopb.Echo]]
}

// Call implements echopb.RivalsServer.
func (s *grpcServer) Call(_ context.Context, in *echopb.Echo) (*echopb.Echo, error) {
	return &echopb.Echo{Text: in.GetText(), N: in.GetN()}, nil
}

// Note implements echopb.RivalsServer.
func (s *grpcServer) Note(stream grpc.ClientStreamingServer[echopb.Echo, echopb.None]) error {
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&echopb.None{})
		}
		if err != nil {
			return err
		}
		s.got(Echo{Text: e.GetText(), N: int(e.GetN())})
	}
}

// Hear implements echopb.RivalsServer.
func (s *grpcServer) Hear(_ *echopb.None, stream grpc.ServerStreamingServer[echopb.Echo]) error {
	s.clients.add(stream)
	<-stream.Context().Done()
	return nil
}

func (s *grpcServer) Addr() string   { return s.l.Addr().String() }
func (s *grpcServer) Receivers() int { return s.clients.size() }
func (s *grpcServer) Broadcast(e Echo) error {
	m := &echopb.Echo{Text: e.Text, N: int64(e.N)}
	return s.clients.each(func(stream grpc.ServerStreamingServer[echopb.Echo]) error { return stream.Send(m) })
}

func (s *grpcServer) Close() error {
	s.srv.Stop()
	<-s.done
	return nil
}

type grpcClient struct {
	conn   *grpc.ClientConn
	rivals echopb.RivalsClient
	cancel context.CancelFunc // ends the streams
	ctx    context.Context
	wg     sync.WaitGroup
	notes  grpc.ClientStreamingClient[echopb.Echo, echopb.None] // nil until one is sent
}

func dialGRPC(addr string, o Options) (Client, error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	c := &grpcClient{conn: conn, rivals: echopb.NewRivalsClient(conn)}
	c.ctx, c.cancel = context.WithCancel(background)
	if o.Got == nil {
		return c, nil
	}
	heard, err := c.rivals.Hear(c.ctx, &echopb.None{})
	if err != nil {
		return c, err
	}
	c.wg.Go(func() {
		for {
			e, err := heard.Recv()
			if err != nil {
				return
			}
			o.Got(Echo{Text: e.GetText(), N: int(e.GetN())})
		}
	})
	return c, nil
}

func (c *grpcClient) Call(e Echo) (Echo, error) {
	out, err := c.rivals.Call(background, &echopb.Echo{Text: e.Text, N: int64(e.N)})
	return Echo{Text: out.GetText(), N: int(out.GetN())}, err
}

func (c *grpcClient) Notify(e Echo) error {
	if c.notes == nil {
		var err error
		if c.notes, err = c.rivals.Note(c.ctx); err != nil {
			return err
		}
	}
	return c.notes.Send(&echopb.Echo{Text: e.Text, N: int64(e.N)})
}

func (c *grpcClient) Close() error {
	c.cancel()
	err := c.conn.Close()
	c.wg.Wait()
	return err
}
