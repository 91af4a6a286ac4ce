package security_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/security"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// messageOf returns the Noise message in an object with m.
func messageOf(t testing.TB, object []byte) []byte {
	t.Helper()
	var o struct{ M string }
	if err := json.Unmarshal(object, &o); err != nil {
		t.Fatal(err)
	}
	m, err := base64.RawURLEncoding.DecodeString(o.M)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestProtectionText(t *testing.T) {
	t.Parallel()
	for _, p := range []security.Protection{security.Sealed, security.Signed} {
		if got, err := security.ParseProtection(p.String()); got != p || err != nil {
			t.Errorf("%s: %v, %v", p, got, err)
		}
	}
	if _, err := security.ParseProtection("Sealed"); err == nil {
		t.Error("another spelling is taken")
	}
	if got := security.Protection(7).String(); got != "Protection(7)" {
		t.Error(got)
	}
}

// TestHandshakeProtection: the form is the stronger of both minima, and both ends agree on it.
func TestHandshakeProtection(t *testing.T) {
	t.Parallel()
	const sealed, signed = security.Sealed, security.Signed
	for _, c := range []struct{ alice, bob, use security.Protection }{
		{sealed, sealed, sealed}, {sealed, signed, sealed}, {signed, sealed, sealed}, {signed, signed, signed},
	} {
		t.Run(c.alice.String()+" to "+c.bob.String(), func(t *testing.T) {
			t.Parallel()
			s := newShake(t)
			s.alice.Protection, s.bob.Protection = c.alice, c.bob
			o := s.run(t, nil)
			if o.aliceE != nil || o.bobE != nil {
				t.Fatal(o.aliceE, o.bobE)
			}
			if o.answered.Use != c.use || o.authorised.Use != c.use || o.alice.Protection() != c.use || o.bob.Protection() != c.use {
				t.Errorf("alice uses %s, bob %s, want %s", o.alice.Protection(), o.bob.Protection(), c.use)
			}
			if o.alice.ID() != o.bob.ID() || len(o.alice.ID()) != 16 {
				t.Errorf("ids %s and %s", o.alice.ID(), o.bob.ID())
			}
			if o.alice.Remote() != o.answered || o.bob.Remote() != o.authorised {
				t.Error("the sessions say something else of their remotes")
			}
			for range 3 {
				if err := errors.Join(deliver(o.bob, o.alice, callPayload), deliver(o.alice, o.bob, notePayload)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestHandshakeMembers: what each end says of itself gets to the other one.
func TestHandshakeMembers(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	s.alice.Max, s.alice.Transient, s.alice.Renews, s.alice.Boot = 1000, true, "056f0679750bc020", "1767225600500-4e5f6071"
	s.bob.Transient, s.bob.Renews = true, "056f0679750bc020" // a responder renews nothing
	s.alice.Now, s.bob.Now = nil, nil
	s.bob.Keys = mustRing(t, security.Entry{Key: mustParse(t, groupHex), Role: "operator"})
	o := s.run(t, nil)
	if want := (security.Remote{ID: s.bob.Identity.ID(), User: "bob", Boot: testBoot, Max: 4 << 20, Transient: true, Kid: groupKid,
		Role: security.RoleMember}); o.answered != want || o.aliceE != nil {
		t.Errorf("bob: %+v, %v\nwant %+v", o.answered, o.aliceE, want)
	}
	if want := (security.Remote{ID: s.alice.Identity.ID(), User: "alice", Boot: s.alice.Boot, Max: 1000, Transient: true,
		Renews: s.alice.Renews, Kid: groupKid, Role: "operator"}); o.authorised != want || o.bobE != nil {
		t.Errorf("alice: %+v, %v\nwant %+v", o.authorised, o.bobE, want)
	}
}

// TestHandshakePayloads has the members in the protocol's order, the optional ones last and absent when they say nothing.
func TestHandshakePayloads(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	key := mustParse(t, groupHex)
	for _, c := range []struct {
		change      func()
		two, three  string
		refuse, use string
	}{
		{func() {}, `{"user":"bob","accept":["sealed"],"boot":"B","max":4194304}`, `{"user":"alice","use":"sealed","boot":"B","max":4194304}`, "", ""},
		{func() { s.both(security.Signed) }, `{"user":"bob","accept":["signed","sealed"],"boot":"B","max":4194304}`,
			`{"user":"alice","use":"signed","boot":"B","max":4194304}`, "", ""},
		{func() {
			s.alice.Transient, s.alice.Renews, s.bob.Transient, s.bob.Max = true, "056f0679750bc020", true, 1
		}, `{"user":"bob","accept":["signed","sealed"],"boot":"B","max":1,"transient":true}`,
			`{"user":"alice","use":"signed","boot":"B","max":4194304,"transient":true,"renews":"056f0679750bc020","refuse":"pin"}`, "pin", ""},
	} {
		c.change()
		two, three := strings.ReplaceAll(c.two, `"B"`, `"`+testBoot+`"`), strings.ReplaceAll(c.three, `"B"`, `"`+testBoot+`"`)
		i := newRaw(t, &s.bob, key, newIdentity(t, "alice"), true)
		r := security.NewResponder(s.bob)
		m2, err := r.Hello(nil, hello(messageOf(t, i.write(""))))
		if err != nil {
			t.Fatal(err)
		}
		if got := i.read(m2); got != two {
			t.Errorf("responder: %s\nwant %s", got, two)
		}
		in, err := security.NewInitiator(s.alice)
		if err != nil {
			t.Fatal(err)
		}
		m1, err := in.Hello(nil)
		if err != nil {
			t.Fatal(err)
		}
		rr := newRaw(t, &s.alice, key, newIdentity(t, "bob"), false)
		rr.read(m1)
		if _, err := in.Answer(rr.write(two)); err != nil {
			t.Fatal(err)
		}
		m3, _, err := in.Auth(nil, c.refuse)
		if err != nil {
			t.Fatal(err)
		}
		if got := rr.read(m3); got != three {
			t.Errorf("initiator: %s\nwant %s", got, three)
		}
	}
}

// hello returns the params of rpc.hello around a first message.
func hello(m []byte) []byte {
	return fmt.Appendf(nil, `{"v":"1","kid":"%s","noise":"XXpsk0_25519_ChaChaPoly_SHA256","m":"%s"}`, groupKid, b64(m))
}

// TestHandshakeAppends: the messages are appended to what the caller gives.
func TestHandshakeAppends(t *testing.T) {
	t.Parallel()
	s := newShake(t)
	i, err := security.NewInitiator(s.alice)
	if err != nil {
		t.Fatal(err)
	}
	r := security.NewResponder(s.bob)
	cut := func(b []byte, err error) []byte {
		t.Helper()
		rest, ok := strings.CutPrefix(string(b), "head")
		if !ok || err != nil {
			t.Fatalf("%s, %v", b, err)
		}
		return []byte(rest)
	}
	m2 := cut(r.Hello([]byte("head"), cut(i.Hello([]byte("head")))))
	if _, err := i.Answer(m2); err != nil {
		t.Fatal(err)
	}
	m3, _, err := i.Auth([]byte("head"), "")
	if _, _, err := r.Auth(cut(m3, err)); err != nil {
		t.Fatal(err)
	}
}

// TestHandshakeInvite: an invite's session is sealed whatever is configured, and its principal is the invite.
func TestHandshakeInvite(t *testing.T) {
	t.Parallel()
	invite := security.NewKey()
	s := newShake(t).both(security.Signed)
	s.alice.Keys, s.alice.Invite = nil, invite
	s.bob.Invites = func(kid string) *security.Key {
		if kid == invite.ID() {
			return invite
		}
		return nil
	}
	o := s.run(t, nil)
	if o.aliceE != nil || o.bobE != nil {
		t.Fatal(o.aliceE, o.bobE)
	}
	for _, r := range []security.Remote{o.answered, o.authorised} {
		if !r.Invite || r.Use != security.Sealed || r.Kid != invite.ID() || r.Role != "" {
			t.Errorf("remote %+v", r)
		}
	}
	secinfo, frame, err := o.alice.Seal(nil, security.Outgoing{}, []byte(callPayload))
	if err != nil {
		t.Fatal(err)
	}
	who, _, err := o.bob.Open(secinfo, frame, nil)
	if err != nil || who.Principal.String() != "invite" || who.Principal.PeerID != s.alice.Identity.ID() {
		t.Errorf("%+v, %v", who, err)
	}

	// One that is not open any more is an unknown kid.
	s.bob.Invites = nil
	if got := refused(t, s.run(t, nil).bobE); got != stranger(security.ReasonKey) {
		t.Errorf("closed invite: %+v", got)
	}
	s.bob.Invites = func(string) *security.Key { return nil }
	if got := refused(t, s.run(t, nil).bobE); got != stranger(security.ReasonKey) {
		t.Errorf("closed invite: %+v", got)
	}
}

// TestHandshakeKidCollision: keys of one id are all tried, an invite's too.
func TestHandshakeKidCollision(t *testing.T) {
	t.Parallel()
	first, second := collidingKeys(t)
	s := newShake(t)
	for _, ring := range [][]security.Entry{{{Key: first, Send: true}, {Key: second, Role: "operator"}}, {{Key: second, Role: "operator"}, {Key: first, Send: true}}} {
		s.alice.Keys, s.bob.Keys = mustRing(t, security.Entry{Key: second, Send: true}), mustRing(t, ring...)
		if o := s.run(t, nil); o.bobE != nil || o.authorised.Role != "operator" {
			t.Errorf("%+v, %v", o.authorised, o.bobE)
		}
	}
	s.bob.Keys = mustRing(t, security.Entry{Key: first})
	if got := refused(t, s.run(t, nil).bobE); got != stranger(security.ReasonHandshake) {
		t.Errorf("%+v", got)
	}
	s.bob.Invites = func(string) *security.Key { return second }
	s.alice.Keys, s.alice.Invite = nil, second
	if o := s.run(t, nil); o.bobE != nil || !o.authorised.Invite {
		t.Errorf("%+v, %v", o.authorised, o.bobE)
	}
}

// TestHandshakeKeys: which key a dialler takes, and for whom it may speak.
func TestHandshakeKeys(t *testing.T) {
	t.Parallel()
	group, dev := mustParse(t, groupHex), mustParse(t, deviceHex)
	device := security.Entry{Key: dev, Users: []string{"alice", "bob"}}
	s := newShake(t)
	kid := func(to string, entries ...security.Entry) string {
		t.Helper()
		s.alice.To, s.alice.Keys = to, mustRing(t, entries...)
		i, err := security.NewInitiator(s.alice)
		if errors.Is(err, security.ErrNoKey) {
			return "none"
		}
		m1, err := i.Hello(nil)
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ Kid string }
		if err := json.Unmarshal(m1, &p); err != nil {
			t.Fatal(err)
		}
		return p.Kid
	}
	sending := security.Entry{Key: group, Send: true}
	for _, c := range []struct {
		name, got, want string
	}{
		{"the group key", kid("", sending, device), groupKid},
		{"the device key that lists both", kid("bob", sending, device), deviceKid},
		{"not to somebody else", kid("carol", sending, device), groupKid},
		{"a device key alone", kid("", security.Entry{Key: dev, Users: device.Users, Send: true}), deviceKid},
		{"none for me", kid("", security.Entry{Key: dev, Users: []string{"bob"}, Send: true}), "none"},
		{"none that is marked", kid("", security.Entry{Key: group}), "none"},
		{"none valid", kid("", security.Entry{Key: group, Send: true, NotAfter: t0}), "none"},
		{"none", kid(""), "none"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}

	// Both ends refuse a name that the key may not speak for, proven as the other end is.
	for _, c := range []struct {
		name                     string
		alice, bob               []security.Entry
		aliceRefuses, bobRefuses bool
	}{
		{"a device key that lists both", []security.Entry{{Key: dev, Users: device.Users, Send: true}}, []security.Entry{device}, false, false},
		{"a device key that lists alice alone", []security.Entry{{Key: dev, Users: []string{"alice"}, Send: true}}, []security.Entry{device}, true, false},
		{"a device key that does not list alice there", []security.Entry{{Key: dev, Users: device.Users, Send: true}},
			[]security.Entry{{Key: dev, Users: []string{"bob"}}}, false, true},
		{"the group key, alice being a device there", []security.Entry{sending}, []security.Entry{sending, device}, false, true},
		{"the group key, bob being a device here", []security.Entry{sending, {Key: dev, Users: []string{"bob"}}}, []security.Entry{sending}, true, false},
	} {
		s := newShake(t)
		s.alice.Keys, s.bob.Keys = mustRing(t, c.alice...), mustRing(t, c.bob...)
		o := s.run(t, nil)
		if (o.aliceE != nil) != c.aliceRefuses || (o.bobE != nil) != c.bobRefuses {
			t.Errorf("%s: alice %v, bob %v", c.name, o.aliceE, o.bobE)
		}
		if want := (security.Refusal{Code: api.CodeRefused, Reason: security.ReasonUser, Close: true, Kid: deviceKid, User: "bob"}); c.aliceRefuses {
			want.Kid = o.answered.Kid
			if got := refused(t, o.aliceE); got != want || o.answered.ID != s.bob.Identity.ID() {
				t.Errorf("%s: %+v of %+v", c.name, got, o.answered)
			}
		}
		if c.bobRefuses {
			want := security.Refusal{Code: api.CodeRefused, Reason: security.ReasonUser, Answer: security.AnswerSigned, Close: true,
				Kid: o.authorised.Kid, User: "alice"}
			if got := refused(t, o.bobE); got != want || deliver(o.bob, o.alice, "{}") != nil {
				t.Errorf("%s: %+v of %+v", c.name, got, o.authorised)
			}
		}
	}
}
