package discovery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
)

// KeySize is the length of a discovery key in bytes. The key is derived from a key of the mesh, under the label
// "rpc.secinfo/1 mdns", by whoever holds that: this package never sees a mesh key.
const KeySize = 32

// Claim is what a proof covers: everything that decides whom and where to dial.
type Claim struct {
	Addrs string // the addresses as announced, comma separated, byte for byte
	Boot  string
	ID    string
	Port  int
	TLS   bool
}

// rendering is the wire protocol's rendering of security fields: first line, then "name=length:value" by ascending
// name, then an empty line.
func (c Claim) rendering() []byte {
	tls := "0"
	if c.TLS {
		tls = "1"
	}
	b := []byte("rpc.mdns/1\n")
	for _, f := range [...][2]string{
		{"a", c.Addrs}, {"boot", c.Boot}, {"id", c.ID}, {"port", strconv.Itoa(c.Port)}, {"tls", tls}, {"v", "1"},
	} {
		b = append(b, f[0]...)
		b = append(b, '=')
		b = strconv.AppendInt(b, int64(len(f[1])), 10)
		b = append(b, ':')
		b = append(b, f[1]...)
		b = append(b, '\n')
	}
	return append(b, '\n')
}

// Proof returns what an announcement carries as "m": 16 hex digits that only a holder of the key can make.
func Proof(key []byte, c Claim) string {
	h := hmac.New(sha256.New, key)
	h.Write(c.rendering())
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// VerifyProof reports whether an announcement may be believed by somebody who holds keys: m is the proof of c under
// one of them. Without keys only an announcement without proof may: one that has a proof belongs to a mesh that we
// are no member of.
func VerifyProof(keys [][]byte, m string, c Claim) bool {
	if len(keys) == 0 {
		return m == ""
	}
	ok := false
	for _, k := range keys {
		// No early return: how long it takes says nothing about which key it was.
		if hmac.Equal([]byte(Proof(k, c)), []byte(m)) {
			ok = true
		}
	}
	return ok
}

// Keys returns the discovery keys of a mesh as they are now, each of KeySize bytes: the first is for one's own
// announcements, any of them for those of others. It is called from any goroutine, often, and what it returns is not
// changed. A nil Keys, like an empty list, is a mesh without keys; one that had a key goes on having one.
type Keys func() [][]byte

// Load returns the keys, also of a nil Keys.
func (k Keys) Load() [][]byte {
	if k == nil {
		return nil
	}
	return k()
}

// FixedKeys returns keys that never change.
func FixedKeys(keys ...[]byte) Keys { return func() [][]byte { return keys } }

// CheckKeys reports what is wrong with a list of discovery keys. An empty list is fine.
func CheckKeys(keys [][]byte) error {
	for i, k := range keys {
		if len(k) != KeySize {
			return fmt.Errorf("discovery: key %d has %d bytes, not %d", i, len(k), KeySize)
		}
	}
	return nil
}
