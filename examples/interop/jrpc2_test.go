package interop_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creachadair/jrpc2"
	"github.com/creachadair/jrpc2/channel"
	"github.com/creachadair/jrpc2/handler"

	"peermesh/api"
	"peermesh/examples/internal/console"
	"peermesh/peer"
)

// framings of jrpc2 that one port of a peer takes.
var framings = map[string]channel.Framing{"lines": channel.Line, "LSP": channel.LSP, "NULs": channel.Split(0)}

type operands struct {
	Minuend    int `json:"minuend"`
	Subtrahend int `json:"subtrahend"`
}

func codeOf(err error) int {
	var e *jrpc2.Error
	if errors.As(err, &e) {
		return int(e.Code)
	}
	return 0
}

func newClient(t *testing.T, addr string, framing channel.Framing, opts *jrpc2.ClientOptions) *jrpc2.Client {
	t.Helper()
	conn := dial(t, addr)
	client := jrpc2.NewClient(framing(conn, conn), opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestJRPC2 has a client of jrpc2 use the built program.
func TestJRPC2(t *testing.T) {
	t.Parallel()
	addr := startSpec(t)
	for name, framing := range framings {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			client := newClient(t, addr, framing, nil)
			var diff int
			if err := client.CallResult(ctx, "subtract", []int{42, 23}, &diff); err != nil || diff != 19 {
				t.Errorf("by position: %d, %v", diff, err)
			}
			if err := client.CallResult(ctx, "subtract", operands{23, 42}, &diff); err != nil || diff != -19 {
				t.Errorf("by name: %d, %v", diff, err)
			}
			if err := client.Notify(ctx, "update", []int{1, 2, 3}); err != nil {
				t.Error(err)
			}
			for method, code := range map[string]int{"nosuch": api.CodeMethodNotFound, "fail": api.CodeApplication, "panic": api.CodeInternal, "sum": api.CodeInvalidParams} {
				if _, err := client.Call(ctx, method, map[string]string{"a": "b"}); codeOf(err) != code {
					t.Errorf("%s: %v, want code %d", method, err, code)
				}
			}
			batch, err := client.Batch(ctx, []jrpc2.Spec{
				{Method: "sum", Params: []int{1, 2, 4}},
				{Method: "notify_hello", Params: []int{7}, Notify: true},
				{Method: "foo.get", Params: map[string]string{"name": "myself"}},
				{Method: "get_data"},
			})
			if err != nil || len(batch) != 3 {
				t.Fatalf("batch: %v, %v", batch, err)
			}
			if got := batch[0].ResultString(); got != "7" {
				t.Errorf("sum: %s", got)
			}
			if err := batch[1].Error(); err == nil || err.Code != api.CodeMethodNotFound {
				t.Errorf("foo.get: %v", err)
			}
			var data []any
			if err := batch[2].UnmarshalResult(&data); err != nil || !slices.Equal(data, []any{"hello", 5.0}) {
				t.Errorf("get_data: %v, %v", data, err)
			}
		})
	}
}

// TestJRPC2Cancel has a call that is given up at the client cancelled at the peer.
func TestJRPC2Cancel(t *testing.T) {
	t.Parallel()
	p := openPeer(t)
	cancelled := bindCounting(p)
	client := newClient(t, p.Self().Address, channel.LSP, &jrpc2.ClientOptions{OnCancel: func(c *jrpc2.Client, r *jrpc2.Response) {
		// Its ids are numbers that it hands out as texts.
		_ = c.Notify(context.Background(), "$/cancelRequest", map[string]any{"id": jsonNumber(r.ID())})
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Call(ctx, "count.hold", nil); err == nil {
		t.Error("it was answered")
	}
	select {
	case <-cancelled:
	case <-time.After(console.Patience):
		t.Error("the handler was not cancelled")
	}
	if _, err := client.Call(t.Context(), "get_data", nil); err != nil { // the link lives on
		t.Error(err)
	}
}

type jsonNumber string

func (n jsonNumber) MarshalJSON() ([]byte, error) { return []byte(n), nil }

// TestJRPC2CalledBack has a peer call and notify the client.
func TestJRPC2CalledBack(t *testing.T) {
	t.Parallel()
	for name, framing := range framings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := openPeer(t)
			heard := make(chan string, 1)
			client := newClient(t, p.Self().Address, framing, &jrpc2.ClientOptions{
				OnNotify: func(r *jrpc2.Request) { heard <- r.Method() + r.ParamString() },
				OnCallback: func(_ context.Context, r *jrpc2.Request) (any, error) {
					if r.Method() != "ask" {
						return nil, jrpc2.Errorf(-32001, "not %s", r.Method())
					}
					return r.ParamString(), nil
				},
			})
			if _, err := client.Call(t.Context(), "get_data", nil); err != nil {
				t.Fatal(err)
			}
			back := p.JSONRPC2(guest(t, p))
			var got string
			if err := back.Call(t.Context(), "ask", []int{1, 2}, &got); err != nil || got != "[1,2]" {
				t.Errorf("called back: %q, %v", got, err)
			}
			if err := back.Call(t.Context(), "other", nil, nil); err == nil || !strings.Contains(err.Error(), "-32001") {
				t.Errorf("called back: %v", err)
			}
			if _, err := p.Notify(t.Context(), nil, "news", api.All, []byte(`{"a":1}`)); err != nil {
				t.Error(err)
			}
			select {
			case m := <-heard:
				if m != `news{"a":1}` {
					t.Errorf("heard %s", m)
				}
			case <-time.After(console.Patience):
				t.Error("the notification did not come")
			}
		})
	}
}

var methods = handler.Map{
	"hello": handler.New(func(_ context.Context, in struct {
		Name string `json:"name"`
	}) (string, error) {
		return "hello " + in.Name, nil
	}),
	"fails": handler.New(func(context.Context) error { return jrpc2.Errorf(-32001, "no") }),
}

// serve starts a server of jrpc2 on a connection. It ends with the connection: Stop panics when a message comes in at
// the same time.
func serve(t *testing.T, conn net.Conn, framing channel.Framing) *jrpc2.Server {
	server := jrpc2.NewServer(methods, &jrpc2.ServerOptions{AllowPush: true}).Start(framing(conn, conn))
	t.Cleanup(func() {
		_ = conn.Close()
		_ = server.Wait()
	})
	return server
}

// TestJRPC2Server has a server of jrpc2 connect to a peer: it is called, and calls.
func TestJRPC2Server(t *testing.T) {
	t.Parallel()
	for name, framing := range framings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := openPeer(t)
			server := serve(t, dial(t, p.Self().Address), framing)
			answer, err := server.Callback(t.Context(), "subtract", operands{42, 23}) // the first bytes show the framing
			if err != nil || answer.ResultString() != "19" {
				t.Fatal(answer, err)
			}
			askServer(t, p)
		})
	}
}

// TestJRPC2Dialled has a peer dial a server of jrpc2 that knows nothing of peers.
func TestJRPC2Dialled(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	accepted := make(chan *jrpc2.Server, 1)
	go func() {
		defer close(accepted)
		if conn, err := ln.Accept(); err == nil {
			accepted <- serve(t, conn, channel.Split(0))
		}
	}()
	p := openPeer(t, func(c *peer.Config) { c.Peers = []string{ln.Addr().String()} })
	server, ok := <-accepted
	if !ok {
		t.Fatal("it was not dialled")
	}
	askServer(t, p)
	if answer, err := server.Callback(t.Context(), "sum", []int{1, 2, 4}); err != nil || answer.ResultString() != "7" {
		t.Error(answer, err)
	}
}

func askServer(t *testing.T, p *peer.Peer) {
	t.Helper()
	link := p.JSONRPC2(guest(t, p))
	var got string
	if err := link.Call(t.Context(), "hello", map[string]string{"name": "jrpc2"}, &got); err != nil || got != "hello jrpc2" {
		t.Errorf("hello: %q, %v", got, err)
	}
	if err := link.Call(t.Context(), "fails", nil, nil); err == nil || !strings.Contains(err.Error(), "-32001") {
		t.Errorf("fails: %v", err)
	}
	if err := link.Notify(t.Context(), "hello", map[string]string{"name": "nobody"}); err != nil {
		t.Error(err)
	}
}
