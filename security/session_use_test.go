package security_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"peermesh/security"
)

// TestSessionSizes: payloads of all lengths come out as they went in, whatever the buffers are.
func TestSessionSizes(t *testing.T) {
	t.Parallel()
	for _, p := range []security.Protection{security.Signed, security.Sealed} {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			alice, bob := newShake(t).both(p).sessions(t)
			sizes := []int{1 << 16, 1<<16 + 1, 1 << 20}
			for n := 1; n < 2400; n++ { // over three pieces of a line
				sizes = append(sizes, n)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			var buf []byte
			for _, n := range sizes {
				text := make([]byte, n)
				for i := range text {
					text[i] = byte(rng.Uint32())
				}
				text[0] = '{'
				kept := bytes.Clone(text)
				switch n % 3 {
				case 0:
					buf = nil
				case 1:
					buf = append(make([]byte, 0, 8), "head"...)
				default:
					buf = append(buf[:0], "head"...)
				}
				head := string(buf)
				secinfo, frame, err := alice.Seal(buf, security.Outgoing{}, text)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(text, kept) {
					t.Fatalf("%d bytes: Seal changed the payload", n)
				}
				rest, ok := bytes.CutPrefix(secinfo, []byte(head))
				if !ok || json.Valid(rest) == false {
					t.Fatalf("%d bytes: secinfo %s behind %s", n, secinfo, head)
				}
				if p == security.Sealed && len(frame) != (8*(n+16)+5)/6 || p == security.Signed && &frame[0] != &text[0] {
					t.Fatalf("%d bytes: a frame of %d", n, len(frame))
				}
				buf = secinfo
				asked := 0
				_, got, err := bob.Open(rest, frame, func(b []byte) security.Kind {
					asked++
					if !bytes.Equal(b, kept) {
						t.Errorf("%d bytes: kind is asked of something else", n)
					}
					return security.Request
				})
				if err != nil || !bytes.Equal(got, kept) || asked != 1 {
					t.Fatalf("%d bytes: %v, asked %d times", n, err, asked)
				}
				if &got[0] != &frame[0] {
					t.Fatalf("%d bytes: it was not opened in its place", n)
				}
			}
			if out, in := security.Seq(alice); out != uint64(len(sizes)) || in != 0 {
				t.Errorf("seq %d and %d", out, in)
			}
		})
	}
}

// TestSessionRefusedFrameIsKept: a frame whose signature is wrong is not decrypted.
func TestSessionRefusedFrameIsKept(t *testing.T) {
	t.Parallel()
	alice, bob := newShake(t).sessions(t)
	f := capture(t, alice, callPayload)[0]
	kept := bytes.Clone(f.payload)
	f.secinfo[len(f.secinfo)-3] ^= 1
	if _, _, err := bob.Open(f.secinfo, f.payload, nil); err == nil || !bytes.Equal(f.payload, kept) {
		t.Errorf("%v; the payload is %q", err, f.payload)
	}
	if _, in := security.Seq(bob); in != 0 {
		t.Error("the session has moved on")
	}
}

// TestSessionSum: in the form signed a digest that is there already is used; sealed frames have another payload.
func TestSessionSum(t *testing.T) {
	t.Parallel()
	right, wrong := security.Sum([]byte(callPayload)), security.Sum([]byte("x"))
	for _, c := range []struct {
		p   security.Protection
		sum security.Digest
		ok  bool
	}{{security.Signed, right, true}, {security.Signed, wrong, false}, {security.Sealed, right, true}, {security.Sealed, wrong, true}} {
		alice, bob := newShake(t).both(c.p).sessions(t)
		secinfo, frame, err := alice.Seal(nil, security.Outgoing{Sum: &c.sum}, []byte(callPayload))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := bob.Open(secinfo, frame, nil); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.p, err)
		}
	}
}

// TestSessionEnds: no seq is used twice, and the session says when it is time to renew it.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	alice, bob := newShake(t).sessions(t)
	if _, _, err := alice.Seal(nil, security.Outgoing{}, nil); !errors.Is(err, security.ErrEmptyPayload) {
		t.Errorf("an empty payload: %v", err)
	}
	for _, c := range []struct {
		age        time.Duration
		out, in    uint64
		due, spent bool
	}{
		{0, 0, 0, false, false},
		{-time.Hour, 0, 0, false, false}, // a clock that was set back
		{23*time.Hour - 1, 1<<31 - 1, 1<<31 - 1, false, false},
		{23 * time.Hour, 0, 0, true, false},
		{0, 1 << 31, 0, true, false},
		{0, 0, 1 << 31, true, false},
		{24*time.Hour - 1, 1<<32 - 1, 1<<32 - 1, true, false},
		{24 * time.Hour, 0, 0, true, true},
		{0, 1 << 32, 0, true, true},
		{0, 0, 1 << 32, true, true},
	} {
		security.SetSeq(alice, c.out, c.in)
		if due, spent := alice.Due(t0.Add(c.age)), alice.Spent(t0.Add(c.age)); due != c.due || spent != c.spent {
			t.Errorf("after %v, %d out, %d in: due %v, spent %v", c.age, c.out, c.in, due, spent)
		}
	}

	security.SetSeq(alice, 1<<32-1, 0)
	security.SetSeq(bob, 0, 1<<32-1)
	last := capture(t, alice, "{}")[0]
	if !strings.HasPrefix(string(last.secinfo), `{"seq":"4294967295"`) {
		t.Errorf("the last frame: %s", last.secinfo)
	}
	if got := last.open(t, bob); got != "" {
		t.Errorf("the last frame: %s", got)
	}
	for range 2 {
		if _, _, err := alice.Seal(nil, security.Outgoing{}, []byte("{}")); !errors.Is(err, security.ErrSessionSpent) {
			t.Errorf("one more: %v", err)
		}
	}
	v := loadSessions(t)["signed"]
	_, bob = v.sessions(t)
	security.SetSeq(bob, 0, 1<<32)
	if got := signFrame(unhex(t, v.MacI2R), 1<<32, "{}").open(t, bob); got != security.ReasonSequence {
		t.Errorf("a frame beyond the last: %q", got)
	}
}

// TestSessionPrincipal: who messages come from is the proven peer, and what the caller makes of it.
func TestSessionPrincipal(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	alice, bob := s.sessions(t)
	next := func() security.Verdict {
		t.Helper()
		f := capture(t, alice, "{}")[0]
		v, _, err := bob.Open(f.secinfo, f.payload, nil)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	who := security.Principal{PeerID: s.alice.Identity.ID(), Kid: groupKid, Role: security.RoleMember}
	v := next()
	if v.Principal != who || v.User != "alice" || !v.Verified || v.Label() != "alice" || v.Reply() != (security.Outgoing{To: "alice"}) {
		t.Errorf("%+v", v)
	}
	who.User, who.Role = "alice-2", security.RoleAdmin
	bob.SetPrincipal(who, "alice-2")
	if v = next(); v.Principal != who || v.User != "alice-2" || !v.Verified {
		t.Errorf("%+v", v)
	}
	if bob.Remote().User != "alice" {
		t.Error("the remote was changed")
	}
}

// TestSessionConcurrent: one goroutine seals, one opens, and others ask, at each end.
func TestSessionConcurrent(t *testing.T) {
	t.Parallel()
	const messages = 2000
	alice, bob := newShake(t).sessions(t)
	var wg sync.WaitGroup
	for _, c := range []struct{ from, to *security.Session }{{alice, bob}, {bob, alice}} {
		frames := make(chan frame, 16)
		wg.Go(func() {
			defer close(frames)
			for n := range messages {
				secinfo, payload, err := c.from.Seal(nil, security.Outgoing{}, fmt.Appendf(nil, `{"n":%d}`, n))
				if err != nil {
					t.Error(err)
					return
				}
				frames <- frame{secinfo, payload}
			}
		})
		wg.Go(func() {
			n := 0
			for f := range frames {
				if _, text, err := c.to.Open(f.secinfo, f.payload, nil); err != nil || string(text) != fmt.Sprintf(`{"n":%d}`, n) {
					t.Errorf("%d: %s, %v", n, text, err)
				}
				n++
			}
		})
		wg.Go(func() {
			for range 200 {
				c.to.SetPrincipal(security.Principal{PeerID: c.to.Remote().ID, Role: security.RoleAdmin}, "x")
				_, _, _ = c.to.Due(t0), c.to.Spent(t0), c.to.ID()
			}
		})
	}
	wg.Wait()
}

// TestSessionPrints nothing of its keys, whatever prints it.
func TestSessionPrints(t *testing.T) {
	t.Parallel()
	v := loadSessions(t)["sealed"]
	alice, _ := v.sessions(t)
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "session", alice)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+"\n", alice)
		_, _ = fmt.Fprintf(io.MultiWriter(&b), verb+"\n", struct{ S *security.Session }{alice})
	}
	fmt.Fprintln(&b, alice.GoString())
	if want := "session 056f0679750bc020 with bob (zjcooxhl)"; alice.String() != want || strings.Count(b.String(), want) < 8 {
		t.Errorf("%s", b.String())
	}
	for _, key := range []string{v.KI2R, v.KR2I, v.MacI2R, v.MacR2I, v.EncI2R, v.EncR2I} {
		if raw, _ := hex.DecodeString(key); strings.Contains(b.String(), key) || strings.Contains(b.String(), fmt.Sprint(raw)) {
			t.Errorf("a key in %s", b.String())
		}
	}
}
