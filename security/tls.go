package security

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

// TLSPinError is returned by a TLS handshake under ClientTLS when the server's key is not the one that was pinned:
// somebody else answers, or the server's identity is a new one.
type TLSPinError struct {
	Expected string // the pin
	Found    string // the pin of the certificate that the server showed; "" when it showed none
}

func (e *TLSPinError) Error() string {
	found := e.Found
	if found == "" {
		found = "no certificate"
	}
	return fmt.Sprintf("security: the server's TLS key is not the pinned one: expected %s, found %s", e.Expected, found)
}

// ErrNoBinding is returned by ChannelBinding for a connection that is not TLS 1.3 or whose handshake is not finished.
var ErrNoBinding = errors.New("security: this connection has no TLS exporter")

// ServerTLS returns the configuration of listeners, protocol section 4: TLS 1.3 alone, with this certificate, without
// resumption. It offers no ALPN; set NextProtos where one is needed.
func ServerTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{cert},
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
	}
}

// ClientTLS returns the configuration of diallers, protocol section 4: TLS 1.3 alone. The server's key must be the one
// of this pin, in SPKIPin's form; a *TLSPinError says that it is another. An empty pin takes any.
func ClientTLS(pin string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// No authority vouches for a peer. Who the other end is, the Noise handshake inside proves, and that nobody
		// stands between, too: it covers this connection's exporter as cb. The pin protects what goes before it.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyPin(pin, cs.PeerCertificates)
		},
	}
}

func verifyPin(pin string, certs []*x509.Certificate) error {
	if pin == "" {
		return nil
	}
	e := &TLSPinError{Expected: pin}
	if len(certs) > 0 {
		e.Found = SPKIPin(certs[0])
	}
	if e.Found != pin {
		return e
	}
	return nil
}

// ChannelBinding returns the value that names a TLS connection to both of its ends and to nobody else, in base64url
// without padding: tls-exporter of RFC 9266. It is the cb of the handshake and of HS256. The error is ErrNoBinding.
func ChannelBinding(cs tls.ConnectionState) (string, error) {
	if cs.Version != tls.VersionTLS13 || !cs.HandshakeComplete {
		return "", ErrNoBinding
	}
	b, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoBinding, err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
