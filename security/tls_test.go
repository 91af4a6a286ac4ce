package security_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"peermesh/security"
)

// TestCertificate: another certificate each time, always of one key, which the identity alone determines.
func TestCertificate(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{7}, 32)
	var pins []string
	for _, name := range []string{"cam1", "cam2"} { // the name is not part of the key
		id, err := security.IdentityFrom(name, raw)
		if err != nil {
			t.Fatal(err)
		}
		pin, err := id.TLSPin()
		if err != nil {
			t.Fatal(err)
		}
		pins = append(pins, pin)
		for range 2 {
			cert, err := id.Certificate()
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(cert.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
			if !ok || key.Curve != elliptic.P256() || leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) != nil {
				t.Errorf("key %T, signed with %s", leaf.PublicKey, leaf.SignatureAlgorithm)
			}
			if leaf.VerifyHostname(name) != nil || leaf.NotBefore.After(t0) || leaf.NotAfter.Before(t0.AddDate(100, 0, 0)) {
				t.Errorf("names %v, from %v to %v", leaf.DNSNames, leaf.NotBefore, leaf.NotAfter)
			}
			pins = append(pins, security.SPKIPin(leaf))
		}
	}
	for _, pin := range pins {
		// Computed once and kept: a changed derivation would break every pin in use.
		if pin != "sha256/M2bB_6f0GE5AN_W6NK6cyk8WUivBUY9AHUwDc3iP7So" {
			t.Errorf("pin %s", pin)
		}
	}
	other, err := newIdentity(t, "cam1").TLSPin()
	if err != nil || other == pins[0] || len(other) != len("sha256/")+43 {
		t.Errorf("%s, %v", other, err)
	}
}

// handshakeTLS runs a TLS handshake and passes a byte, so that both ends have finished it.
func handshakeTLS(t *testing.T, client, server *tls.Config) (cs, ss tls.ConnectionState, err error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("x"))
		_, _ = io.Copy(io.Discard, conn)
		ss = conn.(*tls.Conn).ConnectionState()
		_ = conn.Close()
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(conn, client)
	_, err = io.ReadFull(c, make([]byte, 1))
	cs = c.ConnectionState()
	_ = conn.Close()
	<-done
	return cs, ss, err
}

func TestTLS(t *testing.T) {
	t.Parallel()
	id := newIdentity(t, "cam1")
	cert, err := id.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	pin, err := id.TLSPin()
	if err != nil {
		t.Fatal(err)
	}
	server := security.ServerTLS(cert)
	bindings := map[string]bool{}
	for _, p := range []string{pin, ""} {
		cs, ss, err := handshakeTLS(t, security.ClientTLS(p), server)
		if err != nil {
			t.Fatal(err)
		}
		one, err1 := security.ChannelBinding(cs)
		two, err2 := security.ChannelBinding(ss)
		if err1 != nil || err2 != nil || one != two || len(one) != 43 || bindings[one] {
			t.Errorf("bindings %s and %s, %v, %v", one, two, err1, err2)
		}
		bindings[one] = true
		if cs.Version != tls.VersionTLS13 || cs.NegotiatedProtocol != "" || cs.DidResume {
			t.Errorf("%+v", cs)
		}
		want, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil || b64(want) != one {
			t.Error("not the exporter of RFC 9266")
		}
	}

	wrong := "sha256/" + strings.Repeat("A", 43)
	_, _, err = handshakeTLS(t, security.ClientTLS(wrong), server)
	var e *security.TLSPinError
	if !errors.As(err, &e) || e.Expected != wrong || e.Found != pin ||
		!strings.Contains(err.Error(), wrong) || !strings.Contains(err.Error(), pin) {
		t.Errorf("another pin: %v", err)
	}
	if err := security.VerifyPin(pin, nil); !errors.As(err, &e) || e.Found != "" || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("no certificate: %v", err)
	}

	old := security.ClientTLS(pin)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, _, err := handshakeTLS(t, old, server); err == nil {
		t.Error("TLS 1.2 is served")
	}
	oldServer := security.ServerTLS(cert)
	oldServer.MinVersion, oldServer.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, _, err := handshakeTLS(t, security.ClientTLS(pin), oldServer); err == nil {
		t.Error("TLS 1.2 is dialled")
	}
	cs, _, err := handshakeTLS(t, old, oldServer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := security.ChannelBinding(cs); !errors.Is(err, security.ErrNoBinding) {
		t.Errorf("a binding to TLS 1.2: %v", err)
	}
	if _, err := security.ChannelBinding(tls.ConnectionState{}); !errors.Is(err, security.ErrNoBinding) {
		t.Error(err)
	}
}

// TestTLSManInTheMiddle: who ends TLS in between is found out by the handshake inside, without any pin (threat T2).
func TestTLSManInTheMiddle(t *testing.T) {
	t.Parallel()
	binding := func(name string) string {
		t.Helper()
		cert, err := newIdentity(t, name).Certificate()
		if err != nil {
			t.Fatal(err)
		}
		cs, _, err := handshakeTLS(t, security.ClientTLS(""), security.ServerTLS(cert))
		if err != nil {
			t.Fatal(err)
		}
		cb, err := security.ChannelBinding(cs)
		if err != nil {
			t.Fatal(err)
		}
		return cb
	}
	s := newShake(t)
	s.alice.CB, s.bob.CB = binding("mallory"), binding("bob")
	if got := refused(t, s.run(t, nil).bobE); got != stranger(security.ReasonHandshake) {
		t.Errorf("%+v", got)
	}
	s.alice.CB = s.bob.CB
	s.sessions(t)
}
