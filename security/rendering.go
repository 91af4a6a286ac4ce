package security

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// First lines of the renderings: one domain for each use, so that nothing signed for one passes for another.
const (
	domainSecInfo = "rpc.secinfo/1"
	domainMDNS    = "rpc.mdns/1"
)

// Field is one name and value of a rendering.
type Field struct{ Name, Value string }

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

// appendRendering appends the domain line, the fields by ascending byte order of their names, and the empty line:
// protocol section 3.1 "up to and including the empty line".
func appendRendering(dst []byte, domain string, fields []Field) []byte {
	fields = slices.Clone(fields)
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	dst = append(dst, domain...)
	dst = append(dst, '\n')
	for _, f := range fields {
		dst = appendField(dst, f.Name, f.Value)
	}
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

// MDNSTag returns the tag m of an announcement with these fields (a, boot, id, port, tls, v, in any order), 16
// hexadecimal digits: protocol section 7. It shows members that a member announced them, and others nothing.
func (k *Key) MDNSTag(fields []Field) string {
	h := hmac.New(sha256.New, k.mdns.view())
	h.Write(appendRendering(nil, domainMDNS, fields))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// CheckMDNSTag reports, in constant time, whether tag is the MDNSTag of fields.
func (k *Key) CheckMDNSTag(fields []Field, tag string) bool {
	return hmac.Equal([]byte(k.MDNSTag(fields)), []byte(tag))
}
