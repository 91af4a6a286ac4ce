package transport

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"peermesh/codec"
)

// Network is where connections are made. The zero Net is the machine's; peertest has one in memory.
type Network interface {
	// Listen listens on host:port; port 0 means any.
	Listen(hostport string) (net.Listener, error)
	// Dial connects to host:port. The error of a canceled ctx is the ctx's.
	Dial(ctx context.Context, hostport string) (net.Conn, error)
}

// Net is the machine's network.
type Net struct{}

// Listen listens on TCP, on IPv4 and IPv6 where the host is empty.
func (Net) Listen(hostport string) (net.Listener, error) { return net.Listen("tcp", hostport) }

// Dial connects by TCP; of several addresses of a name the first one that answers counts.
func (Net) Dial(ctx context.Context, hostport string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", hostport)
}

// Dial connects to an address. TCP connections use NUL framing.
func Dial(ctx context.Context, network Network, addr Address) (*Conn, error) {
	switch addr.Scheme {
	case "tcp":
		c, err := network.Dial(ctx, addr.Host)
		if err != nil {
			return nil, err
		}
		return &Conn{Conn: c, Via: "tcp", Framing: codec.NUL}, nil
	case "ws":
		return dialWebSocket(ctx, network, addr)
	}
	return nil, fmt.Errorf("transport: %s cannot be dialled", addr)
}

func dialWebSocket(ctx context.Context, network Network, addr Address) (*Conn, error) {
	var raw net.Conn
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, hostport string) (net.Conn, error) {
			c, err := network.Dial(ctx, hostport)
			raw = c
			return c, err
		},
		DisableCompression: true,
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ws, resp, err := websocket.Dial(ctx, addr.String(), &websocket.DialOptions{
		HTTPClient:      client,
		Subprotocols:    []string{Subprotocol},
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if raw != nil {
			_ = raw.Close() // a refused upgrade leaves it open
		}
		if resp != nil {
			return nil, fmt.Errorf("transport: %s answers %s, and no WebSocket", addr, resp.Status)
		}
		return nil, err
	}
	return webSocketConn(ws, raw), nil
}
