package peer_test

import (
	"context"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/peer"
	"peermesh/peer/peertest"
)

type (
	echoServer struct{}
	echoClient struct{}
	echoText   struct {
		Text string `json:"text"`
	}
)

var (
	echoAPI = api.Define[echoServer, echoClient]("bench.echo", "1.0.0", "Echoes.")
	echo    = api.IncomingCall[echoText, echoText](echoAPI, "echo", "Echo.")
)

// BenchmarkBig echoes 1 MiB of text, both ends in one process, typed.
func BenchmarkBig(b *testing.B) {
	for _, way := range ways[:2] {
		b.Run(way.name, func(b *testing.B) {
			mesh := peertest.New(b)
			real := func(c *peer.Config) { c.Listen, c.Network, c.Logger = []string{"127.0.0.1:0"}, nil, nil }
			server, client := mesh.Peer("server", real, way.change), mesh.Peer("client", real, way.change)
			echo.Handle(api.Bind(server, echoAPI), func(_ context.Context, in echoText) (echoText, error) { return in, nil })
			port := api.Bind(client, echoAPI.Invert())
			mesh.Join(server, client)
			in := echoText{strings.Repeat("x", 1<<20)}
			b.ReportAllocs()
			b.SetBytes(1 << 20)
			for b.Loop() {
				if out, err := echo.Call(b.Context(), port, api.To("server"), in); err != nil || len(out.Text) != 1<<20 {
					b.Fatal(len(out.Text), err)
				}
			}
		})
	}
}
