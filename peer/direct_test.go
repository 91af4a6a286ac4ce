package peer_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/peer"
	"peermesh/peer/peertest"
)

// valve is a way to a TCP address that can be shut: then nothing is read from either side any more.
type valve struct {
	net.Listener
	mu sync.Mutex // held while it is shut
	wg sync.WaitGroup
}

func newValve(t *testing.T, to string) *valve {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{Listener: ln}
	v.wg.Go(func() {
		for {
			a, err := ln.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", to)
			if err != nil {
				_ = a.Close()
				return
			}
			v.wg.Go(func() { v.pour(a, b) })
			v.wg.Go(func() { v.pour(b, a) })
		}
	})
	return v
}

func (v *valve) pour(to, from net.Conn) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		v.mu.Lock() // it waits while the valve is shut
		_, werr := to.Write(buf[:n])
		v.mu.Unlock()
		if err != nil || werr != nil {
			return
		}
	}
}

// TestWritesAtOnce: who calls alone writes himself, and does not wait for a receiver that takes nothing: a context ends
// the call in time. What the connection took in part is finished first when it goes on, so that nothing is torn.
func TestWritesAtOnce(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	server := mesh.Peer("server", func(c *peer.Config) { c.Listen, c.Network, c.Discovery = []string{"127.0.0.1:0"}, nil, nil })
	var mu sync.Mutex
	heard := map[int]int{}
	echo.Handle(api.Bind(server, echoAPI), func(_ context.Context, in echoText) (echoText, error) {
		mu.Lock()
		defer mu.Unlock()
		heard[len(in.Text)]++
		return echoText{in.Text[:1]}, nil
	})
	if err := server.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := newValve(t, server.Self().Address)
	t.Cleanup(func() { _ = v.Close(); v.wg.Wait() })
	client := dialling(mesh, "client", "tcp://"+v.Addr().String())
	port := api.Bind(client, echoAPI.Invert())
	if err := client.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	mesh.Linked(client, "server")
	call := func(size int, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := echo.Call(ctx, port, api.To("server"), echoText{strings.Repeat("x", size)})
		if err == nil && out.Text != "x" {
			t.Errorf("%d: %q", size, out.Text)
		}
		return err
	}
	for i := range 50 {
		if err := call(1+i, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	const size = 8 << 10
	v.mu.Lock()
	var wg sync.WaitGroup
	var answered, busy atomic.Int64
	for range 1500 { // more than the buffers of the system and the queue take
		started := make(chan struct{})
		wg.Go(func() {
			close(started)
			switch err := call(size, 20*time.Second); {
			case err == nil:
				answered.Add(1)
			case errors.Is(err, api.ErrBusy) || api.CodeOf(err) == api.CodeBusy:
				busy.Add(1)
			default:
				t.Error(err)
			}
		})
		<-started
		time.Sleep(20 * time.Microsecond) // one comes after the other
	}
	begun := time.Now()
	if err := call(1000, 50*time.Millisecond); err == nil || time.Since(begun) > 5*time.Second {
		t.Errorf("while nothing goes through: %v after %s", err, time.Since(begun))
	}
	v.mu.Unlock()
	wg.Wait()
	for i := range 50 {
		if err := call(2000+i, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := answered.Load(); n < 200 || heard[size] != int(n) {
		t.Errorf("%d calls came, %d were answered, and %d told that there is no room", heard[size], n, busy.Load())
	}
	for i := range 50 {
		if heard[1+i] != 1 || heard[2000+i] != 1 {
			t.Errorf("call %d came %d and %d times", i, heard[1+i], heard[2000+i])
		}
	}
	if ended := client.Stats().Ended; len(ended) > 0 {
		t.Errorf("the link ended: %v", ended)
	}
}
