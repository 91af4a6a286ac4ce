package security_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"peermesh/security"
)

func TestAccept(t *testing.T) {
	t.Parallel()
	for _, a := range []security.Accept{security.AcceptSession, security.AcceptHMAC, security.AcceptGuest} {
		if got, err := security.ParseAccept(a.String()); err != nil || got != a {
			t.Errorf("%s: %s, %v", a, got, err)
		}
	}
	if _, err := security.ParseAccept("Guest"); err == nil {
		t.Error("Guest")
	}
	if security.Accept(9).String() != "Accept(9)" {
		t.Error(security.Accept(9))
	}
}

// TestVectorsMDNS: the key with which announcements are proven is ours; the proof itself is discovery's.
func TestVectorsMDNS(t *testing.T) {
	t.Parallel()
	v := loadVectors(t).MDNS
	h := hmac.New(sha256.New, mustParse(t, groupHex).MDNSKey().Bytes())
	h.Write([]byte(v.Rendering))
	if got := hex.EncodeToString(h.Sum(nil)[:8]); got != v.M {
		t.Errorf("m %s, want %s", got, v.M)
	}
}

func TestInterner(t *testing.T) {
	t.Parallel()
	var names [][]byte
	for i := range security.MaxInterned + 10 {
		names = append(names, fmt.Append(nil, i))
	}
	if kept, ok := security.Intern(append(names, names...)); kept != security.MaxInterned || !ok {
		t.Errorf("%d kept, %v", kept, ok)
	}
}
