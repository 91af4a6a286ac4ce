package peer_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

// TestWeakerAddress: a program without sessions is dialled at an address that says so, and at no other.
func TestWeakerAddress(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{"": "", "?protect=none": "guest", "?protect=hmac": ""} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		served := make(chan struct{})
		go func() { // a plain JSON-RPC server
			defer close(served)
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				c := &client{t, conn, codec.NUL, codec.NewReader(conn, codec.NUL, 1<<20)}
				for {
					frame, err := c.next()
					if err != nil {
						break
					}
					var m codec.Message
					if m.Parse(frame) != nil || m.Kind != codec.Request {
						continue
					}
					answer := codec.AppendError(nil, m.ID, &api.Error{Code: api.CodeMethodNotFound, Message: "method not found"}, nil)
					if string(m.Method) == "echo" {
						answer = codec.AppendResult(nil, m.ID, m.Params, nil)
					}
					if c.try(answer) != nil {
						break
					}
				}
				_ = conn.Close()
			}
		}()
		t.Cleanup(func() { _ = ln.Close(); <-served })
		mesh := peertest.New(t)
		p := dialling(mesh, "client", "tcp://"+ln.Addr().String()+query, func(c *peer.Config) { c.Settle = time.Second })
		if err := p.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		linked := slices.Collect(p.Peers())
		if want == "" {
			if len(linked) > 0 {
				t.Errorf("%q: linked with %+v", query, linked[0])
			}
			continue
		}
		if len(linked) != 1 || linked[0].Principal != want || linked[0].Verified {
			t.Fatalf("%q: linked with %+v", query, linked)
		}
		got, err := p.Request(context.Background(), nil, "echo", api.To(linked[0].Name), []byte(`["x"]`), nil)
		if err != nil || string(got) != `["x"]` {
			t.Errorf("%s, %v", got, err)
		}
	}
}

// TestWeakerAfterSession: whom we have met in a session, or pinned, is not spoken to in a weaker mode, wherever it is.
func TestWeakerAfterSession(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	server := mesh.Peer("server", func(c *peer.Config) {
		c.Listen, c.Network, c.Discovery, c.Accept = []string{"127.0.0.1:0"}, nil, nil, security.AcceptHMAC
	})
	if err := server.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	addr := "tcp://" + server.Self().Address + "?protect=hmac"
	client := dialling(mesh, "client", addr)
	if err := client.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	mesh.Linked(client, "server")
	for i := range client.Peers() {
		if i.Protection != "hmac" || i.Principal != "key:"+mesh.Keys.Entries()[0].Key.ID() {
			t.Errorf("%+v", i)
		}
	}
	known, err := security.OpenKnownPeers("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := known.Meet("test", "server", server.Self().ID); err != nil {
		t.Fatal(err)
	}
	other := dialling(mesh, "other", addr, func(c *peer.Config) { c.KnownPeers, c.Settle = known, time.Second })
	events := watchEvents(t, other)
	if err := other.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool {
		return slices.ContainsFunc(events.events(), func(e string) bool { return strings.Contains(e, "its name belongs to a peer with a session") })
	}) {
		t.Errorf("%q", events.events())
	}
	if n := len(slices.Collect(other.Peers())); n > 0 {
		t.Errorf("%d links", n)
	}
}
