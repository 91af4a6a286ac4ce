package peer_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"peermesh/codec"
	"peermesh/codec/golden"
	"peermesh/examples/spec/service"
	"peermesh/peer"
	"peermesh/peer/transport"
	"peermesh/security"
)

// openPeer serves the methods of the specification's examples to every guest of this machine.
func openPeer(t *testing.T) *peer.Peer {
	t.Helper()
	keys, err := security.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	p, err := peer.New(peer.Config{Name: "spec", Keys: keys, Throwaway: true, Listen: []string{"127.0.0.1:0"}, NoMDNS: true, NoLocal: true, Settle: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	service.Bind(p)
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// client is the other end of a link: it writes frames and reads them, and knows nothing of peers.
type client struct {
	t       *testing.T
	conn    net.Conn
	framing codec.Framing
	reader  *codec.Reader
}

const patience = 10 * time.Second

func newClient(t *testing.T, conn net.Conn, framing codec.Framing) *client {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn, framing, codec.NewReader(conn, framing, 16<<20)}
}

func dialClient(t *testing.T, addr string, framing codec.Framing) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn, framing)
}

func (c *client) send(frames ...[]byte) {
	c.t.Helper()
	if err := c.try(frames...); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// try sends from a goroutine that may outlive the test's interest.
func (c *client) try(frames ...[]byte) error {
	var out []byte
	for _, f := range frames {
		out = c.framing.Append(out, f)
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(out)
	return err
}

func (c *client) sendText(frames ...string) {
	c.t.Helper()
	for _, f := range frames {
		c.send([]byte(f))
	}
}

// next returns the next frame that the peer sends of its own or answers.
func (c *client) next() ([]byte, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		frame, err := c.reader.Next()
		if err != nil {
			return nil, err
		}
		if len(frame) > 0 {
			return append([]byte(nil), frame...), nil
		}
	}
}

func (c *client) want(want string) {
	c.t.Helper()
	got, err := c.next()
	if err != nil {
		c.t.Fatalf("want %s, got %v", want, err)
	}
	step := golden.Step{Want: [][]byte{[]byte(want)}}
	if err := step.Check(got); err != nil {
		c.t.Fatal(err)
	}
}

// closed waits until the peer has closed the connection.
func (c *client) closed() {
	c.t.Helper()
	for {
		_, err := c.next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatal("the connection is still open")
		}
		if err != nil {
			return
		}
	}
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	scripts, err := golden.Load(os.DirFS("../codec/testdata"))
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		name string
		open func(*testing.T) *client
	}{
		{"tcp NUL", func(t *testing.T) *client { return dialClient(t, openPeer(t).Self().Address, codec.NUL) }},
		{"tcp LF", func(t *testing.T) *client { return dialClient(t, openPeer(t).Self().Address, codec.LF) }},
		{"tcp LSP", func(t *testing.T) *client { return dialClient(t, openPeer(t).Self().Address, codec.LSP) }},
		{"WebSocket", func(t *testing.T) *client {
			p := openPeer(t)
			addr, err := transport.ParseAddress("ws://" + p.Self().Address)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := transport.Dial(t.Context(), transport.Net{}, addr)
			if err != nil {
				t.Fatal(err)
			}
			return newClient(t, conn, codec.NUL)
		}},
		{"pipe", func(t *testing.T) *client {
			p := openPeer(t)
			mine, theirs := transport.Pipe()
			if err := p.Attach(theirs); err != nil {
				t.Fatal(err)
			}
			return newClient(t, mine, codec.NUL)
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			for _, script := range scripts {
				t.Run(script.Name, func(t *testing.T) {
					t.Parallel()
					play(t, way.open(t), script)
				})
			}
		})
	}
}

// play holds the peer to a script. A step that is met with silence shows in the next answer; after the last one a call
// shows that nothing else came.
func play(t *testing.T, c *client, script golden.Script) {
	written := make(chan error, 1)
	defer func() { <-written }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	steps := make(chan golden.Step)
	go func() { // writes aside from reading, as large frames need it
		defer close(written)
		for {
			select {
			case s := <-steps:
				for _, f := range s.Send {
					if _, err := c.conn.Write(c.framing.Append(nil, f)); err != nil {
						written <- err
						return
					}
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	for _, s := range script.Steps {
		select {
		case steps <- s:
		case err := <-written:
			t.Fatalf("%s:%d: write: %v", script.Name, s.Line, err)
		}
		var got [][]byte
		for range s.Want {
			frame, err := c.next()
			if err != nil {
				t.Fatalf("%s:%d: %s: %v", script.Name, s.Line, s.Note, err)
			}
			got = append(got, frame)
		}
		if err := s.Check(got...); err != nil {
			t.Fatalf("%s:%d: %s: %v", script.Name, s.Line, s.Note, err)
		}
	}
	last := golden.Step{Send: [][]byte{[]byte(`{"jsonrpc":"2.0","id":"last","method":"get_data"}`)},
		Want: [][]byte{[]byte(`{"jsonrpc":"2.0","id":"last","result":["hello",5]}`)}}
	steps <- last
	frame, err := c.next()
	if err != nil {
		t.Fatalf("%s: after the last step: %v", script.Name, err)
	}
	if err := last.Check(frame); err != nil {
		t.Fatalf("%s: after the last step: %v", script.Name, err)
	}
}
