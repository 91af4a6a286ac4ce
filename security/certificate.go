package security

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"time"
)

// labelTLS is the label of an identity's TLS key.
const labelTLS = "rpc.peerid/1 tls"

// tlsKey derives the key of the identity's certificates from its X25519 key, so that the pin stays the same over
// restarts without a second file of secrets. Neither key says anything about the other.
func (i *Identity) tlsKey() (*ecdsa.PrivateKey, error) {
	// 16 bytes more than the order has: the remainder is as good as uniform (FIPS 186-5 section A.2.1).
	wide, err := hkdf.Expand(sha256.New, i.private.view(), labelTLS, 32+16)
	if err != nil {
		return nil, err
	}
	defer clear(wide)
	curve := elliptic.P256()
	one := big.NewInt(1)
	d := new(big.Int).SetBytes(wide)
	d.Mod(d, new(big.Int).Sub(curve.Params().N, one))
	d.Add(d, one)
	var raw [32]byte
	defer clear(raw[:])
	return ecdsa.ParseRawPrivateKey(curve, d.FillBytes(raw[:]))
}

// Certificate returns a self-signed P-256 certificate for servers, valid for as long as certificates can be, whose key is
// derived from the identity: each call makes another certificate, all of the same TLSPin. It proves no name: those who
// dial pin its key, or rely on the handshake inside.
func (i *Identity) Certificate() (tls.Certificate, error) {
	key, err := i.tlsKey()
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("security: make a certificate: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: i.name},
		DNSNames:              []string{i.name, "localhost"},
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280: none
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("security: make a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("security: make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// TLSPin returns the SPKIPin of the identity's certificates.
func (i *Identity) TLSPin() (string, error) {
	key, err := i.tlsKey()
	if err != nil {
		return "", fmt.Errorf("security: make a pin: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", fmt.Errorf("security: make a pin: %w", err)
	}
	return spkiPin(spki), nil
}

// SPKIPin returns the pin of a certificate's key: "sha256/" and the base64url, without padding, of the SHA-256 of its
// subject public key info.
func SPKIPin(cert *x509.Certificate) string { return spkiPin(cert.RawSubjectPublicKeyInfo) }

func spkiPin(spki []byte) string {
	sum := sha256.Sum256(spki)
	return "sha256/" + base64.RawURLEncoding.EncodeToString(sum[:])
}
