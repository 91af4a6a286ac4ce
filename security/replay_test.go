package security_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/security"
)

// open returns what becomes of a frame: "accepted" or the reason of its refusal.
func open(t testing.TB, p security.Provider, params []byte, payload string, k security.Kind) string {
	t.Helper()
	_, _, err := p.Open(params, []byte(payload), func([]byte) security.Kind { return k })
	var r *security.Refusal
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &r):
		return string(r.Reason)
	}
	t.Fatal(err)
	return ""
}

// TestReplay sends a recorded message again and again: it runs once, on whatever link it comes.
func TestReplay(t *testing.T) {
	t.Parallel()
	clock := &fakeClock{t0}
	h := bob(t, clock)
	params := group("alice").at(t0).params()
	if got := open(t, h, params, callPayload, security.Request); got != "accepted" {
		t.Fatal(got)
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{0, "replay"}, {59, "replay"}, {60, "replay"}, {61, "stale"}, {121, "stale"}, {239, "stale"}, {241, "stale"}} {
		clock.now = t0.Add(c.after * time.Second)
		link := h.Link(security.LinkConfig{Accept: security.AcceptHMAC})
		if got := open(t, link, params, callPayload, security.Request); got != c.want {
			t.Errorf("after %d s: %s, want %s", c.after, got, c.want)
		}
	}
	restarted := mustHMAC(t, security.HMACConfig{Name: "bob", Keys: bobRing(t), Now: func() time.Time { return t0.Add(time.Second) }})
	if got := open(t, restarted, params, callPayload, security.Request); got != "restart" {
		t.Errorf("after a restart: %s", got)
	}
	for _, k := range []security.Kind{security.Notification, security.Hello, security.Mixed, security.Broken} {
		clock.now = t0
		if got := open(t, h, params, callPayload, k); got != "replay" {
			t.Errorf("as kind %d: %s", k, got)
		}
	}
}

// TestReplayAcrossGenerations accepts a message signed as far ahead as is allowed, so that it stays fresh for 120 s, at
// every moment of a generation.
func TestReplayAcrossGenerations(t *testing.T) {
	t.Parallel()
	for offset := time.Duration(0); offset <= 241; offset++ {
		clock := &fakeClock{t0}
		h := bob(t, clock)
		if got := open(t, h, group("carol").at(t0).params(), callPayload, security.Request); got != "accepted" {
			t.Fatal(got) // begins the first generation
		}
		sent := t0.Add(offset * time.Second)
		clock.now = sent
		params := group("alice").at(sent.Add(security.Window)).params()
		if got := open(t, h, params, callPayload, security.Request); got != "accepted" {
			t.Fatalf("offset %d: %s", offset, got)
		}
		for _, after := range []time.Duration{0, 1, 59, 61, 119, 120, 121, 239, 241} {
			clock.now = sent.Add(after * time.Second)
			want := "replay"
			if after > 120 {
				want = "stale"
			}
			// Other traffic turns the generations.
			_ = open(t, h, group("carol").at(clock.now).params(), callPayload, security.Request)
			if got := open(t, h, params, callPayload, security.Request); got != want {
				t.Errorf("offset %d, after %d s: %s, want %s", offset, after, got, want)
			}
		}
	}
}

// TestResponsesSkipTheNonce: a pending call is answered once anyway.
func TestResponsesSkipTheNonce(t *testing.T) {
	t.Parallel()
	h := bob(t, &fakeClock{t0})
	params := group("alice").params()
	for range 2 {
		if got := open(t, h, params, callPayload, security.Response); got != "accepted" {
			t.Error(got)
		}
	}
	if h.Nonces() != 0 {
		t.Errorf("%d nonces kept", h.Nonces())
	}
}

// TestRefusedLeavesNoNonce: memory is spent in step 5 alone.
func TestRefusedLeavesNoNonce(t *testing.T) {
	t.Parallel()
	h := bob(t, &fakeClock{t0})
	session := h.Link(security.LinkConfig{Accept: security.AcceptSession})
	for _, m := range []*message{
		group("alice").with("kid", "00000000"), group("alice").with("to", "carol"), group("alice").with("ts", "1"),
	} {
		if open(t, h, m.params(), callPayload, security.Request) == "accepted" {
			t.Error("accepted")
		}
	}
	if got := open(t, session, group("alice").params(), callPayload, security.Request); got != "session" {
		t.Error(got)
	}
	if h.Nonces() != 0 {
		t.Errorf("%d nonces kept", h.Nonces())
	}
}

func TestNonceBounds(t *testing.T) {
	t.Parallel()
	clock := &fakeClock{t0}
	h := bob(t, clock)
	security.SetNonceBounds(h, 5, 3)
	send := func(user string) string {
		return open(t, h, group(user).at(clock.now).params(), callPayload, security.Request)
	}
	first := group("alice").at(clock.now).params()
	if got := open(t, h, first, callPayload, security.Request); got != "accepted" {
		t.Fatal(got)
	}
	for i, c := range []struct{ user, want string }{
		{"alice", "accepted"}, {"alice", "accepted"}, {"alice", "full"}, // its own bound
		{"carol", "accepted"}, {"dave", "accepted"}, {"erin", "full"}, // the bound of all
	} {
		if got := send(c.user); got != c.want {
			t.Errorf("%d: %s: %s, want %s", i, c.user, got, c.want)
		}
	}
	clock.now = t0.Add(30 * time.Second)
	if got := open(t, h, first, callPayload, security.Request); got != "replay" {
		t.Errorf("a replay while full: %s", got) // nothing was evicted
	}
	_, _, err := h.Open(group("erin").at(clock.now).params(), []byte(callPayload), nil)
	var r *security.Refusal
	if !errors.As(err, &r) || r.Code != api.CodeBusy || r.Retry != 90*time.Second || r.Answer != security.AnswerSigned ||
		string(r.APIError().Data) != `{"retry_ms":90000}` {
		t.Errorf("full: %+v", r)
	}
	clock.now = t0.Add(121 * time.Second) // they are the old generation now
	if got := send("frank"); got != "full" {
		t.Errorf("after one generation: %s", got)
	}
	security.SetNonceBounds(h, 100, 3)
	if got := send("alice"); got != "full" {
		t.Errorf("alice after one generation: %s", got)
	}
	security.SetNonceBounds(h, 5, 3)
	clock.now = t0.Add(241 * time.Second)
	if got := send("alice"); got != "accepted" {
		t.Errorf("after two generations: %s", got)
	}
	if h.Nonces() != 1 {
		t.Errorf("%d nonces kept, want 1", h.Nonces())
	}
}

func TestNonceBoundsOfTheProtocol(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("a million nonces")
	}
	var n security.Nonces
	nonce := []byte("00000000000000000000000000000000")
	add := func(user string, i int) bool {
		copy(nonce, fmt.Sprintf("%08x", i))
		seen, retry := n.Add(t0, groupKid, user, nonce)
		return !seen && retry == 0
	}
	for _, user := range []string{"a", "b", "c", "d"} {
		for i := range 1 << 18 {
			if !add(user, i) {
				t.Fatalf("%s: nonce %d refused", user, i)
			}
		}
		if add(user, 1<<18) {
			t.Errorf("%s: one more than 262,144 accepted", user)
		}
	}
	if add("e", 0) || n.Len() != 1<<20 {
		t.Errorf("more than 1,048,576 accepted: %d", n.Len())
	}
}
