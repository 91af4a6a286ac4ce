package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"peermesh/security"
)

// alpn is the one protocol that TLS connections may name; those of frames name none.
const alpn = "http/1.1"

// serverTLS returns cfg as listeners use it, whatever it says otherwise: TLS 1.3, and no HTTP/2.
func serverTLS(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS13, 0
	cfg.NextProtos = []string{alpn}
	return cfg
}

// secured is a TLS connection whose Close does not wait long for an end that reads nothing.
type secured struct{ *tls.Conn }

const closeFor = 100 * time.Millisecond

// Close says goodbye as far as that does not block, and closes.
func (c secured) Close() error {
	cut := time.AfterFunc(closeFor, func() { _ = c.NetConn().Close() })
	defer cut.Stop()
	return c.Conn.Close()
}

// secure makes the handshake of a connection and returns it with its channel binding.
func secure(ctx context.Context, c *tls.Conn) (net.Conn, string, error) {
	err := c.HandshakeContext(ctx)
	var cb string
	if err == nil {
		cb, err = security.ChannelBinding(c.ConnectionState())
	}
	return secured{c}, cb, err
}

// dialTLS makes a TLS connection of one that was dialled.
func dialTLS(ctx context.Context, c net.Conn, addr Address) (net.Conn, string, error) {
	cfg := security.ClientTLS(addr.Pin)
	cfg.ServerName, _, _ = net.SplitHostPort(addr.Host) // ParseAddress has checked it; names alone are sent
	if addr.web() {
		cfg.NextProtos = []string{alpn}
	}
	s, cb, err := secure(ctx, tls.Client(c, cfg))
	if err != nil {
		_ = c.Close()
		return nil, "", fmt.Errorf("transport: TLS with %s: %w", addr.Host, err)
	}
	return s, cb, nil
}
