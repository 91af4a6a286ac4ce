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

// Dial connects to an address. TCP connections use NUL framing. With TLS, the other end must have the key of the
// address's pin, and a *security.TLSPinError says that it has another; without a pin any key will do, for the handshake
// of a session proves who the other end is. ctx is for dialling alone.
func Dial(ctx context.Context, network Network, addr Address) (*Conn, error) {
	switch addr.Scheme {
	case "tcp", "tcps":
		c, cb, err := dialRaw(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &Conn{Conn: c, Via: addr.Scheme, CB: cb, Framing: codec.NUL}, nil
	case "ws", "wss":
		return dialWebSocket(ctx, network, addr)
	}
	return nil, fmt.Errorf("transport: %s cannot be dialled", addr)
}

// dialRaw connects, with TLS where the address says so, and returns the channel binding.
func dialRaw(ctx context.Context, network Network, addr Address) (net.Conn, string, error) {
	c, err := network.Dial(ctx, addr.Host)
	if err != nil || !addr.Secure() {
		return c, "", err
	}
	return dialTLS(ctx, c, addr)
}

func dialWebSocket(ctx context.Context, network Network, addr Address) (*Conn, error) {
	raw, cb, err := dialRaw(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	// The connection is made before, because http.Transport goes on dialling when nobody waits for it any more.
	made := make(chan net.Conn, 1)
	made <- raw
	close(made)
	take := func(context.Context, string, string) (net.Conn, error) {
		if c, ok := <-made; ok {
			return c, nil
		}
		return nil, net.ErrClosed
	}
	client := &http.Client{
		Transport:     &http.Transport{DialContext: take, DialTLSContext: take, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ws, resp, err := websocket.Dial(ctx, addr.url(), &websocket.DialOptions{
		HTTPClient:      client,
		Subprotocols:    []string{Subprotocol},
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		_ = raw.Close() // a refused upgrade leaves it open
		if resp != nil {
			return nil, fmt.Errorf("transport: %s answers %s, and no WebSocket", addr, resp.Status)
		}
		return nil, err
	}
	return &Conn{Conn: newWebSocket(ws, raw), Via: addr.Scheme, CB: cb, Framing: codec.WS}, nil
}
