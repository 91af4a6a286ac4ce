package security_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"peermesh/security"
)

// breach is what every frame that is not the next one of a session comes to: no answer, and the link closes.
func breach(why security.Reason) security.Refusal { return security.Refusal{Reason: why, Close: true} }

// TestSessionFlips changes every bit of every frame of the vectors: none is accepted, each closes, and the frame as it
// was is still the next one (threat T2).
func TestSessionFlips(t *testing.T) {
	t.Parallel()
	for name, v := range loadSessions(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alice, bob := v.sessions(t)
			for n, f := range v.Frames {
				to := alice
				if f.Direction == "i2r" {
					to = bob
				}
				secinfo, payload := f.params(), []byte(f.Payload)
				for bit := range 8 * (len(secinfo) + len(payload)) {
					s, p := bytes.Clone(secinfo), bytes.Clone(payload)
					if at := bit / 8; at < len(s) {
						s[at] ^= 1 << (bit % 8)
					} else {
						p[at-len(s)] ^= 1 << (bit % 8)
					}
					_, text, err := to.Open(s, p, func([]byte) security.Kind { t.Error("it was looked at"); return 0 })
					if got := refused(t, err); got.Answer != security.AnswerNone || !got.Close || got.Code != 0 || text != nil {
						t.Fatalf("frame %d, bit %d: %+v", n, bit, got)
					}
				}
				if _, text, err := to.Open(secinfo, payload, nil); err != nil || string(text) != f.Message {
					t.Fatalf("frame %d as it was: %s, %v", n, text, err)
				}
			}
		})
	}
}

// sessions returns both ends' sessions of the vector.
func (v *sessionVector) sessions(t testing.TB) (alice, bob *security.Session) {
	t.Helper()
	i, r := v.ends(t)
	m1, err := i.Hello(nil)
	if err != nil {
		t.Fatal(err)
	}
	m2, err := r.Hello(nil, m1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Answer(m2); err != nil {
		t.Fatal(err)
	}
	m3, alice, err := i.Auth(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if bob, _, err = r.Auth(m3); err != nil {
		t.Fatal(err)
	}
	return alice, bob
}

// frame is a frame of a session as it is on the wire.
type frame struct{ secinfo, payload []byte }

// capture seals texts one after the other.
func capture(t testing.TB, s *security.Session, texts ...string) (out []frame) {
	t.Helper()
	for _, text := range texts {
		secinfo, payload, err := s.Seal(nil, security.Outgoing{}, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, frame{bytes.Clone(secinfo), bytes.Clone(payload)})
	}
	return out
}

// open gives a copy of f to s and returns why it is refused, or "".
func (f frame) open(t testing.TB, s *security.Session) security.Reason {
	t.Helper()
	secinfo := f.secinfo
	if secinfo != nil {
		secinfo = bytes.Clone(secinfo)
	}
	_, _, err := s.Open(secinfo, bytes.Clone(f.payload), nil)
	if err == nil {
		return ""
	}
	if got := refused(t, err); got != breach(got.Reason) {
		t.Errorf("%+v", got)
	}
	return refused(t, err).Reason
}

// TestSessionSequence: a frame that is repeated, skipped, moved, sent back, or given to another session is refused.
func TestSessionSequence(t *testing.T) {
	t.Parallel()
	for _, p := range []security.Protection{security.Signed, security.Sealed} {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			s := newShake(t).both(p)
			alice, bob := s.sessions(t)
			alice2, bob2 := s.sessions(t)
			f := capture(t, alice, "{}", "[]", `{"a":1}`)
			for _, c := range []struct {
				name string
				f    frame
				to   *security.Session
				want security.Reason
			}{
				{"skipped", f[1], bob, security.ReasonSequence},
				{"sent back", f[0], alice, security.ReasonSignature},
				{"to another session of the same peers", f[0], bob2, security.ReasonSignature},
				{"to another session, the other way", f[0], alice2, security.ReasonSignature},
				{"another's secinfo", frame{f[0].secinfo, f[1].payload}, bob, security.ReasonSignature},
				{"the first", f[0], bob, ""},
				{"repeated", f[0], bob, security.ReasonSequence},
				{"repeated under the next number", frame{bytes.Replace(f[0].secinfo, []byte(`"0"`), []byte(`"1"`), 1), f[0].payload}, bob, security.ReasonSignature},
				{"skipped", f[2], bob, security.ReasonSequence},
				{"the second", f[1], bob, ""},
				{"moved", f[0], bob, security.ReasonSequence},
				{"the third", f[2], bob, ""},
			} {
				if got := c.f.open(t, c.to); got != c.want {
					t.Errorf("%s: %q, want %q", c.name, got, c.want)
				}
			}
		})
	}
}

// TestSessionSecInfo: seq and sig, in any spelling that JSON allows, and nothing else.
func TestSessionSecInfo(t *testing.T) {
	t.Parallel()
	h := mustHMAC(t, security.HMACConfig{Name: "alice", Keys: bobRing(t)})
	hs256, _, err := h.Seal(nil, security.Outgoing{To: "bob"}, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	alice, bob := newShake(t).both(security.Signed).sessions(t)
	f := capture(t, alice, "{}")[0]
	sig := string(f.secinfo[len(`{"seq":"0","sig":"`) : len(f.secinfo)-2])
	for name, c := range map[string]struct {
		secinfo string
		want    security.Reason
	}{
		"none":                  {"none", security.ReasonUnsigned},
		"nothing":               {``, security.ReasonForm},
		"no object":             {`[]`, security.ReasonForm},
		"empty":                 {`{}`, security.ReasonForm},
		"HS256":                 {string(hs256), security.ReasonForm},
		"a claim":               {`{"user":"alice"}`, security.ReasonForm},
		"seq missing":           {`{"sig":"` + sig + `"}`, security.ReasonForm},
		"sig missing":           {`{"seq":"0"}`, security.ReasonForm},
		"another instead of it": {`{"seq":"0","mac":"` + sig + `"}`, security.ReasonForm},
		"one more":              {`{"seq":"0","sig":"` + sig + `","v":"1"}`, security.ReasonForm},
		"a duplicate":           {`{"seq":"0","seq":"0","sig":"` + sig + `"}`, security.ReasonForm},
		"seq a number":          {`{"seq":0,"sig":"` + sig + `"}`, security.ReasonForm},
		"seq with a zero":       {`{"seq":"00","sig":"` + sig + `"}`, security.ReasonForm},
		"seq negative":          {`{"seq":"-0","sig":"` + sig + `"}`, security.ReasonForm},
		"seq empty":             {`{"seq":"","sig":"` + sig + `"}`, security.ReasonForm},
		"seq 1":                 {`{"seq":"1","sig":"` + sig + `"}`, security.ReasonSequence},
		"seq 2^64":              {`{"seq":"18446744073709551616","sig":"` + sig + `"}`, security.ReasonSequence},
		"sig in upper case":     {`{"seq":"0","sig":"` + strings.ToUpper(sig[:31]) + `F"}`, security.ReasonSignature},
		"sig short":             {`{"seq":"0","sig":"` + sig[:31] + `"}`, security.ReasonSignature},
		"sig long":              {`{"seq":"0","sig":"` + sig + `0"}`, security.ReasonSignature},
		"sig empty":             {`{"seq":"0","sig":""}`, security.ReasonForm},
		"another name":          {`{"Seq":"0","sig":"` + sig + `"}`, security.ReasonForm},
		"spaces":                {` { "seq" : "0" , "sig" : "` + sig + `" } `, ""},
		"another order":         {`{"sig":"` + sig + `","seq":"0"}`, ""},
	} {
		g := frame{[]byte(c.secinfo), f.payload}
		if c.secinfo == "none" {
			g.secinfo = nil
		}
		if got := g.open(t, bob); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		security.SetSeq(bob, 0, 0)
	}
}

// signFrame signs a payload as the protocol's section 3.2 says, written a second time.
func signFrame(mac []byte, seq uint64, payload string) frame {
	sum := sha256.Sum256([]byte(payload))
	h := hmac.New(sha256.New, mac)
	h.Write(binary.BigEndian.AppendUint64(nil, seq))
	h.Write(sum[:])
	return frame{fmt.Appendf(nil, `{"seq":"%d","sig":"%s"}`, seq, hex.EncodeToString(h.Sum(nil))[:32]), []byte(payload)}
}

// sealText seals as the protocol's section 3.2 says, written a second time.
func sealText(t testing.TB, enc []byte, seq uint64, text string) string {
	t.Helper()
	block, err := aes.NewCipher(enc)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return b64(aead.Seal(nil, binary.BigEndian.AppendUint64(make([]byte, 4), seq), []byte(text), nil))
}

// TestSessionForm: "use fixes the form of every frame of both directions", also for who holds the session's keys.
func TestSessionForm(t *testing.T) {
	t.Parallel()
	vs := loadSessions(t)
	mac, enc := unhex(t, vs["sealed"].MacI2R), unhex(t, vs["sealed"].EncI2R)
	_, bob := vs["sealed"].sessions(t)
	line := sealText(t, enc, 0, "{}{}")
	if len(line)%4 != 3 {
		t.Fatal("the line has no spare bits")
	}
	spare := line[:len(line)-1] + string(base64.RawURLEncoding.EncodeToString([]byte{0, 0, 1})[3]) // of the same kind
	long := sealText(t, enc, 0, strings.Repeat("x", 5000))
	for name, c := range map[string]struct {
		payload string
		want    security.Reason
	}{
		"a line":                          {line, ""},
		"a long line":                     {long, ""},
		"readable":                        {"{}", security.ReasonForm},
		"empty":                           {"", security.ReasonForm},
		"under another number":            {sealText(t, enc, 1, "{}"), security.ReasonForm},
		"under another key":               {sealText(t, mac, 0, "{}"), security.ReasonForm},
		"a tag alone":                     {sealText(t, enc, 0, ""), ""},
		"shorter than a tag":              {sealText(t, enc, 0, "")[:20], security.ReasonForm},
		"cut":                             {line[:len(line)-1], security.ReasonForm},
		"padded":                          {line + "=", security.ReasonForm},
		"the other alphabet":              {strings.Repeat("+/", 20), security.ReasonForm},
		"spare bits":                      {spare, security.ReasonForm},
		"a line break":                    {line[:4] + "\n" + line[4:], security.ReasonForm},
		"a carriage return":               {line + "\r", security.ReasonForm},
		"a line break in the first piece": {long[:500] + "\n" + long[500:], security.ReasonForm},
		"line breaks for a whole quartet": {long[:500] + "\n\n\n\n" + long[500:], security.ReasonForm},
	} {
		if got := signFrame(mac, 0, c.payload).open(t, bob); got != c.want {
			t.Errorf("sealed: %s: %q, want %q", name, got, c.want)
		}
		security.SetSeq(bob, 0, 0)
	}

	mac = unhex(t, vs["signed"].MacI2R)
	_, bob = vs["signed"].sessions(t)
	for name, c := range map[string]struct {
		payload string
		want    security.Reason
	}{
		"readable":            {"{}", ""},
		"no JSON":             {"nonsense", ""}, // for the parser, which answers it
		"a long word":         {strings.Repeat("nonsense ", 9), ""},
		"a line":              {line, security.ReasonForm},
		"a line of this form": {sealText(t, unhex(t, vs["signed"].EncI2R), 0, "{}"), security.ReasonForm},
	} {
		if got := signFrame(mac, 0, c.payload).open(t, bob); got != c.want {
			t.Errorf("signed: %s: %q, want %q", name, got, c.want)
		}
		security.SetSeq(bob, 0, 0)
	}
}

// TestSealedIsUnreadable: what is sealed does not show, in any spelling (threat T1); what is signed does.
func TestSealedIsUnreadable(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a91c4"
	text := `{"jsonrpc":"2.0","method":"chat.say","params":{"text":"` + canary + `"}}`
	shows := func(b []byte) bool {
		found := bytes.Contains(b, []byte(canary)) || bytes.Contains(bytes.ToLower(b), []byte(hex.EncodeToString([]byte(canary))))
		for shift := range 3 { // base64 of the text wherever it stands
			whole := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + canary))
			found = found || bytes.Contains(b, []byte(whole[4:len(whole)-4]))
		}
		raw, _ := base64.RawURLEncoding.DecodeString(string(b))
		return found || bytes.Contains(raw, []byte(canary))
	}
	for _, p := range []security.Protection{security.Signed, security.Sealed} {
		alice, _ := newShake(t).both(p).sessions(t)
		wire := bytes.Buffer{}
		buf := make([]byte, 0, 1024)
		for range 3 {
			secinfo, frame, err := alice.Seal(buf, security.Outgoing{}, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			wire.Write(secinfo)
			wire.Write(frame)
			if shows(frame) != (p == security.Signed) || shows(buf[:cap(buf)]) {
				t.Errorf("%s: the frame or the buffer behind it shows the text: %v", p, shows(frame))
			}
		}
		if shows(wire.Bytes()) != (p == security.Signed) {
			t.Errorf("%s: the wire shows the text: %v", p, shows(wire.Bytes()))
		}
	}
	if !shows([]byte(b64([]byte("x"+text)))) || !shows([]byte(hex.EncodeToString([]byte(text)))) {
		t.Error("the test is blind")
	}
}
