package security_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/security"
)

// pair is two peers that hold the same group key.
func pair(t testing.TB) (alice, bob *security.HMAC) {
	t.Helper()
	now := func() time.Time { return t0 }
	ring := func() *security.Keyring { return mustRing(t, security.Entry{Key: mustParse(t, groupHex), Send: true}) }
	return mustHMAC(t, security.HMACConfig{Name: "alice", Keys: ring(), Now: now}),
		mustHMAC(t, security.HMACConfig{Name: "bob", Keys: ring(), Now: now})
}

func kidOf(t testing.TB, params []byte) string {
	t.Helper()
	var info security.SecInfo
	if err := info.Parse(params); err != nil {
		t.Fatalf("%v in %s", err, params)
	}
	return string(info.Get("kid"))
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	alice, bob := pair(t)
	if alice.Name() != "alice" {
		t.Error(alice.Name())
	}
	for _, payload := range []string{"", "{}", callPayload, strings.Repeat("x", 1<<20)} {
		prefix := []byte("kept")
		params, out, err := alice.Seal(prefix, security.Outgoing{To: "bob"}, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(params, prefix) {
			t.Error("dst was not appended to")
		}
		if _, _, err := bob.Open(params[len(prefix):], out, nil); err != nil {
			t.Error(err)
		}
	}
}

// TestSealWithSum signs one broadcast for two receivers and hashes it once.
func TestSealWithSum(t *testing.T) {
	t.Parallel()
	alice, bob := pair(t)
	sum := security.Sum([]byte(callPayload))
	params, _, err := alice.Seal(nil, security.Outgoing{To: "bob", Sum: &sum}, []byte(callPayload))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := bob.Open(params, []byte(callPayload), nil); err != nil {
		t.Error(err)
	}
	other := security.Sum([]byte("other"))
	params, _, _ = alice.Seal(nil, security.Outgoing{To: "bob", Sum: &other}, []byte(callPayload))
	if _, _, err := bob.Open(params, []byte(callPayload), nil); err == nil {
		t.Error("the sum given was not used")
	}
}

func TestNoncesDiffer(t *testing.T) {
	t.Parallel()
	alice, _ := pair(t)
	seen := make(map[string]bool)
	for range 1000 {
		params, _, err := alice.Seal(nil, security.Outgoing{To: "bob"}, nil)
		if err != nil || seen[string(params)] {
			t.Fatal("one signature twice", err)
		}
		seen[string(params)] = true
	}
}

func TestSealErrors(t *testing.T) {
	t.Parallel()
	alice, _ := pair(t)
	var nameErr *security.NameError
	for _, to := range []string{"", "Bob", `b"`, "*x", strings.Repeat("b", 54)} {
		if _, _, err := alice.Seal(nil, security.Outgoing{To: to}, nil); !errors.As(err, &nameErr) {
			t.Errorf("to %q: %v", to, err)
		}
		link := alice.Link(security.LinkConfig{Sign: true})
		if _, _, err := link.Seal(nil, security.Outgoing{To: to}, nil); !errors.As(err, &nameErr) {
			t.Errorf("to %q: %v", to, err)
		}
	}
	empty := mustHMAC(t, security.HMACConfig{Name: "alice", Keys: new(security.Keyring)})
	if _, _, err := empty.Seal(nil, security.Outgoing{To: "bob"}, nil); !errors.Is(err, security.ErrNoKey) {
		t.Error(err)
	}
	if _, _, err := empty.Link(security.LinkConfig{Sign: true}).Seal(nil, security.Outgoing{To: "bob"}, nil); !errors.Is(err, security.ErrNoKey) {
		t.Error(err)
	}
	if _, err := security.NewHMAC(security.HMACConfig{Name: "Alice", Keys: new(security.Keyring)}); !errors.As(err, &nameErr) {
		t.Error(err)
	}
	if _, err := security.NewHMAC(security.HMACConfig{Name: "alice"}); err == nil {
		t.Error("no keys, no error")
	}
}

// TestSealChoosesTheKey: which of several keys signs what.
func TestSealChoosesTheKey(t *testing.T) {
	t.Parallel()
	old, next, device := mustParse(t, groupHex), mustParse(t, wildHex), mustParse(t, deviceHex)
	expired := mustParse(t, pastHex)
	now := t0
	h := mustHMAC(t, security.HMACConfig{Name: "bob", Now: func() time.Time { return now }, Keys: mustRing(t,
		security.Entry{Key: old},
		security.Entry{Key: next, Send: true, NotAfter: t0.Add(time.Hour)},
		security.Entry{Key: expired, Send: true, NotAfter: t0},
		security.Entry{Key: device, Users: []string{"sensor-1", "bob"}},
		security.Entry{Key: mustParse(t, futureHex), Users: []string{"sensor-2"}},
	)})
	for _, c := range []struct{ to, want string }{
		{"alice", next.ID()}, {"*", next.ID()}, // the one marked for sending, the newest that is valid
		{"sensor-1", device.ID()}, // the device's own, unmarked as it is
		{"sensor-2", next.ID()},   // a device's key that does not list us is not ours to speak with
	} {
		params, _, err := h.Seal(nil, security.Outgoing{To: c.to}, nil)
		if err != nil || kidOf(t, params) != c.want {
			t.Errorf("to %s: %s, %v; want kid %s", c.to, params, err, c.want)
		}
	}
	now = t0.Add(time.Hour)
	if params, _, err := h.Seal(nil, security.Outgoing{To: "alice"}, nil); !errors.Is(err, security.ErrNoKey) {
		t.Errorf("signed with a key that is verified only: %s, %v", params, err)
	}
}

// TestAnswersUseTheKeyOfTheQuestion, accepted or refused.
func TestAnswersUseTheKeyOfTheQuestion(t *testing.T) {
	t.Parallel()
	clock := &fakeClock{t0}
	ring := bobRing(t)
	if err := ring.Add(security.Entry{Key: mustParse(t, wildHex), Send: true}); err != nil {
		t.Fatal(err)
	}
	h := mustHMAC(t, security.HMACConfig{Name: "bob", Keys: ring, Now: clock.Now})
	link := h.Link(security.LinkConfig{Accept: security.AcceptHMAC})
	for _, m := range []*message{group("alice"), device("sensor-1")} {
		v, _, err := link.Open(m.params(), []byte(callPayload), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []security.Provider{h, link} {
			params, _, err := p.Seal(nil, v.Reply(), []byte("{}"))
			if err != nil || kidOf(t, params) != m.fields["kid"] || !strings.Contains(string(params), `"to":"`+v.User+`"`) {
				t.Errorf("answer to %s: %s, %v", v.User, params, err)
			}
		}
		_, _, err = link.Open(m.params(), []byte(callPayload), nil)
		var r *security.Refusal
		if !errors.As(err, &r) || r.Reason != security.ReasonReplay {
			t.Fatal(err)
		}
		params, _, err := link.Seal(nil, r.Reply(), []byte("{}"))
		if err != nil || kidOf(t, params) != m.fields["kid"] || kidOf(t, params) != r.Kid {
			t.Errorf("answer to a replay: %s, %v", params, err)
		}
	}
}

// TestKidCollision: two keys of one id are both tried, and answers come with the right one.
func TestKidCollision(t *testing.T) {
	t.Parallel()
	first, second := collidingKeys(t)
	ring := mustRing(t, security.Entry{Key: first, Send: true}, security.Entry{Key: second, Users: []string{"cam"}})
	h := mustHMAC(t, security.HMACConfig{Name: "bob", Keys: ring, Now: func() time.Time { return t0 }})
	for user, key := range map[string]*security.Key{"alice": first, "cam": second} {
		v, _, err := h.Open(from(key.Export(), key.ID(), user).params(), []byte(callPayload), nil)
		if err != nil {
			t.Fatalf("%s: %v", user, err)
		}
		params, out, err := h.Seal(nil, v.Reply(), []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		reader := mustHMAC(t, security.HMACConfig{Name: user, Keys: mustRing(t, security.Entry{Key: key}), Now: func() time.Time { return t0 }})
		if _, _, err := reader.Open(params, out, nil); err != nil {
			t.Errorf("answer to %s: %v", user, err)
		}
	}
	if _, _, err := h.Open(from(groupHex, first.ID(), "alice").params(), []byte(callPayload), nil); err == nil {
		t.Error("neither key, and accepted")
	}
}

// collidingKeys returns two keys whose ids are the same, found by trying.
func collidingKeys(t testing.TB) (a, b *security.Key) {
	t.Helper()
	a = mustParse(t, strings.Repeat("0", 60)+"aa67")
	b = mustParse(t, strings.Repeat("0", 60)+"f98c")
	if a.ID() != b.ID() || a.Equal(b) {
		t.Fatal("they do not collide")
	}
	return a, b
}

// TestLinkSignsBack: to a link that never signed and needs none, nothing is signed.
func TestLinkSignsBack(t *testing.T) {
	t.Parallel()
	h := bob(t, &fakeClock{t0})
	link := h.Link(security.LinkConfig{Accept: security.AcceptGuest})
	seal := func(to string) string {
		t.Helper()
		params, out, err := link.Seal(nil, security.Outgoing{To: to}, []byte("{}"))
		if err != nil || string(out) != "{}" {
			t.Fatal(err)
		}
		if len(params) == 0 {
			return ""
		}
		return kidOf(t, params)
	}
	if got := seal("alice"); got != "" {
		t.Error("signed to a guest")
	}
	if _, _, err := link.Open(group("alice").params(), []byte(callPayload), nil); err != nil {
		t.Fatal(err)
	}
	if got := seal("alice"); got != groupKid {
		t.Errorf("kid %q after a signed message", got)
	}
	if got := seal("sensor-1"); got != deviceKid {
		t.Errorf("kid %q to the device", got)
	}
	if _, _, err := link.Open(device("sensor-1").params(), []byte(callPayload), nil); err != nil {
		t.Fatal(err)
	}
	if got := seal("*"); got != deviceKid {
		t.Errorf("kid %q for a broadcast to a device", got)
	}

	// While the mesh's key is rotated, each signs with the one marked here, whatever the other end still signs with:
	// else both would wait for each other.
	next := mustParse(t, wildHex)
	rotating := mustHMAC(t, security.HMACConfig{Name: "bob", Now: func() time.Time { return t0 }, Keys: mustRing(t,
		security.Entry{Key: mustParse(t, groupHex)}, security.Entry{Key: next, Send: true})})
	link = rotating.Link(security.LinkConfig{Accept: security.AcceptHMAC})
	if _, _, err := link.Open(group("alice").params(), []byte(callPayload), nil); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"alice", "*"} {
		if got := seal(to); got != next.ID() {
			t.Errorf("to %s: kid %q during a rotation", to, got)
		}
	}

	// A group key that only the other end still sends with is followed when nothing better is there.
	ring := mustRing(t, security.Entry{Key: mustParse(t, groupHex)})
	h = mustHMAC(t, security.HMACConfig{Name: "bob", Keys: ring, Now: func() time.Time { return t0 }})
	link = h.Link(security.LinkConfig{Accept: security.AcceptHMAC})
	if _, _, err := link.Open(group("alice").params(), []byte(callPayload), nil); err != nil {
		t.Fatal(err)
	}
	if got := seal("alice"); got != groupKid {
		t.Errorf("kid %q", got)
	}
	ring.Remove(groupKid)
	if _, _, err := link.Seal(nil, security.Outgoing{To: "alice"}, nil); !errors.Is(err, security.ErrNoKey) {
		t.Errorf("signed with a removed key: %v", err)
	}
}

func TestRefusalsAsErrors(t *testing.T) {
	t.Parallel()
	h := bob(t, &fakeClock{t0})
	fail := func(m *message) error {
		_, _, err := h.Open(m.params(), []byte(callPayload), nil)
		return err
	}
	stale := fail(group("alice").with("ts", "1"))
	var rpc *api.Error
	if !errors.Is(stale, &api.Error{Code: api.CodeStale}) || !errors.As(stale, &rpc) ||
		string(rpc.Data) != `{"now":"1767225600000"}` || rpc.Message != "stale" {
		t.Errorf("stale: %v, %+v", stale, rpc)
	}
	misdirected := fail(group("alice").with("to", "carol"))
	if api.CodeOf(misdirected) != api.CodeRefused || !errors.As(misdirected, &rpc) || string(rpc.Data) != `{"reason":"receiver"}` {
		t.Errorf("misdirected: %v, %+v", misdirected, rpc)
	}
	for name, err := range map[string]error{
		"signature": fail(group("alice").with("sig", strings.Repeat("00", 32))),
		"kid":       fail(group("alice").with("kid", "00000000")),
	} {
		if !errors.As(err, &rpc) || rpc.Code != api.CodeUnauthenticated || rpc.Data != nil || rpc.Message != "unauthenticated" {
			t.Errorf("%s: a stranger is told %+v", name, rpc)
		}
	}
	_, _, err := h.Open(nil, nil, nil)
	if err.Error() != "security: refused: unsigned" {
		t.Error(err)
	}
	if stale.Error() != "security: refused in step 4: stale" {
		t.Error(stale)
	}
	_, _, err = h.Open([]byte("{"), nil, nil)
	if errors.As(err, &rpc) {
		t.Error("a malformed secinfo is answered")
	}
	_, _, err = h.Link(security.LinkConfig{}).Open(group("alice").params(), []byte(callPayload), nil)
	if !errors.As(err, &rpc) || rpc.Message != "session required" || rpc.Data != nil {
		t.Errorf("%+v", rpc)
	}
	if errors.Is(err, fs.ErrNotExist) {
		t.Error("matches anything")
	}
}

func TestNullAndClaim(t *testing.T) {
	t.Parallel()
	alice, _ := pair(t)
	signed, _, _ := alice.Seal(nil, security.Outgoing{To: "bob"}, []byte(callPayload))
	for name, p := range map[string]security.Provider{"null": security.Null{}, "claim": security.Claim{User: "bob"}} {
		v, out, err := p.Open(nil, []byte(callPayload), nil)
		if err != nil || string(out) != callPayload || v.Verified || v.Principal.String() != "guest" || v.User != "" {
			t.Errorf("%s: unsigned: %+v, %v", name, v, err)
		}
		v, _, err = p.Open([]byte(`{"user":"alice"}`), []byte(callPayload), nil)
		if err != nil || v.Verified || v.Label() != "~alice" || v.Principal.String() != "guest" || v.Reply().To != "alice" {
			t.Errorf("%s: claim: %+v, %v", name, v, err)
		}
		if v, _, err = p.Open([]byte(`{"user":""}`), nil, nil); err != nil || v.Label() != "guest" {
			t.Errorf("%s: empty claim: %+v, %v", name, v, err)
		}
		if got := open(t, p, signed, callPayload, security.Request); got != "alg" {
			t.Errorf("%s: signed: %s", name, got)
		}
		if got := open(t, p, []byte("nonsense"), callPayload, security.Request); got != "malformed" {
			t.Errorf("%s: nonsense: %s", name, got)
		}
	}
	if info, out, err := (security.Null{}).Seal(nil, security.Outgoing{To: "bob"}, []byte("{}")); len(info) != 0 || string(out) != "{}" || err != nil {
		t.Errorf("null: %s, %s, %v", info, out, err)
	}
	if info, _, err := (security.Claim{User: "bob"}).Seal(nil, security.Outgoing{}, nil); string(info) != `{"user":"bob"}` || err != nil {
		t.Errorf("claim: %s, %v", info, err)
	}
	if _, _, err := (security.Claim{User: `"`}).Seal(nil, security.Outgoing{}, nil); err == nil {
		t.Error("a claim that breaks its frame")
	}
}

// TestRotation rotates the mesh's key on two peers under traffic: no message is lost (threat T7).
func TestRotation(t *testing.T) {
	t.Parallel()
	old, next := mustParse(t, groupHex), mustParse(t, wildHex)
	rings := [2]*security.Keyring{}
	macs := [2]*security.HMAC{}
	for i, name := range []string{"alice", "bob"} {
		rings[i] = mustRing(t, security.Entry{Key: old, Send: true})
		macs[i] = mustHMAC(t, security.HMACConfig{Name: name, Keys: rings[i]})
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var flight sync.RWMutex // read-locked while a message is on its way
	var sent [2]int
	for i := range macs {
		from, to := macs[i], macs[1-i]
		wg.Go(func() {
			link := from.Link(security.LinkConfig{Sign: true})
			var buf []byte
			for {
				flight.RLock()
				params, out, err := link.Seal(buf[:0], security.Outgoing{To: to.Name()}, []byte(callPayload))
				if err == nil {
					_, _, err = to.Open(params, out, nil)
				}
				flight.RUnlock()
				if err != nil {
					t.Error(err)
					return
				}
				buf = params
				sent[i]++
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 20 {
		for _, r := range rings {
			if err := r.Add(security.Entry{Key: next}); err != nil {
				t.Error(err)
			}
		}
		for _, r := range rings {
			if err := r.Use(next.ID()); err != nil {
				t.Error(err)
			}
		}
		flight.Lock() // what was signed with the old key has arrived
		old, next = next, old
		flight.Unlock()
		for _, r := range rings {
			r.Remove(next.ID())
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d messages", sent[0]+sent[1])
}

func TestParamsAreJSON(t *testing.T) {
	t.Parallel()
	alice, _ := pair(t)
	params, _, _ := alice.Link(security.LinkConfig{Sign: true, CB: "AAAA"}).Seal(nil, security.Outgoing{To: "bob"}, nil)
	var m map[string]string
	if err := json.Unmarshal(params, &m); err != nil || len(m) != 9 || len(params) > 512 {
		t.Errorf("%s: %v", params, err)
	}
}
