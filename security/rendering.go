package security

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// domainSecInfo is the first line of the signed bytes: one domain for each use of a key, so that nothing signed for one
// passes for another.
const domainSecInfo = "rpc.secinfo/1"

// appendField appends `name "=" len(value) ":" value LF`. The length makes the rendering injective: no value can
// imitate the end of its own line.
func appendField[N, V ~string | ~[]byte](dst []byte, name N, value V) []byte {
	dst = append(dst, name...)
	dst = append(dst, '=')
	dst = strconv.AppendUint(dst, uint64(len(value)), 10)
	dst = append(dst, ':')
	dst = append(dst, value...)
	return append(dst, '\n')
}

// appendPayloadLine appends `len(payload) ":" hex(SHA-256(payload)) LF`.
func appendPayloadLine(dst []byte, size int, sum *Digest) []byte {
	dst = strconv.AppendInt(dst, int64(size), 10)
	dst = append(dst, ':')
	dst = hex.AppendEncode(dst, sum[:])
	return append(dst, '\n')
}

// Digest is the SHA-256 of a payload. A message for many receivers is hashed once, by [Sum], and signed for each.
type Digest [sha256.Size]byte

// Sum returns the Digest of payload.
func Sum(payload []byte) Digest { return sha256.Sum256(payload) }
