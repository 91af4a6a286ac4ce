package security_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/security"
)

// TestSteps has a case for each line of the six steps of protocol section 3.1 (the sixth, parsing and dispatch, is
// another package's) and for each row of its table of refusals that a provider decides.
func TestSteps(t *testing.T) {
	t.Parallel()
	const guest = security.AcceptGuest
	const session = security.AcceptSession
	type want struct {
		code   int
		step   int
		reason security.Reason
		answer security.Answer
		closes bool
	}
	accepted := want{}
	closed := want{step: 1, reason: security.ReasonMalformed, closes: true}
	step1 := func(why security.Reason) want {
		return want{code: api.CodeUnauthenticated, step: 1, reason: why, answer: security.AnswerNull}
	}
	step2 := want{code: api.CodeUnauthenticated, step: 2, reason: security.ReasonSignature, answer: security.AnswerNull}
	step3 := func(why security.Reason) want {
		return want{code: api.CodeRefused, step: 3, reason: why, answer: security.AnswerSigned}
	}
	step4 := func(why security.Reason) want {
		return want{code: api.CodeStale, step: 4, reason: why, answer: security.AnswerSigned}
	}
	bare := want{code: api.CodeUnauthenticated, reason: security.ReasonUnsigned, answer: security.AnswerUnsigned}
	silent := func(w want) want { w.answer = security.AnswerNone; return w }

	const call, note, hello, resp, mixed, broken = security.Request, security.Notification, security.Hello,
		security.Response, security.Mixed, security.Broken
	cases := []struct {
		name   string
		m      *message
		raw    string // params instead of m's; "none" for no secinfo
		kind   security.Kind
		accept security.Accept // 0: hmac; see below
		cb     string
		want   want
	}{
		{name: "good call", m: group("alice"), kind: call},
		{name: "good call from a device", m: device("sensor-1"), kind: call},
		{name: "good broadcast", m: group("alice").with("to", "*").says(notePayload), kind: note},
		{name: "good response", m: device("sensor-1"), kind: resp},
		{name: "unknown fields are covered and allowed", m: group("alice").with("x_trace", "abc"), kind: call},
		{name: "broken payload runs on as a request", m: group("alice").says("{"), kind: broken},
		{name: "good on a guest listener", m: group("alice"), kind: call, accept: guest},

		{name: "unsigned where signatures are required", m: group("alice"), raw: "none", kind: call, want: bare},
		{name: "unsigned on a session listener", m: group("alice"), raw: "none", kind: call, accept: session, want: bare},
		{name: "claim where signatures are required", m: group("alice"), raw: `{"user":"alice"}`, kind: call, want: bare},
		{name: "empty claim where signatures are required", m: group("alice"), raw: `{"user":""}`, kind: call, want: bare},
		{name: "unsigned on a guest listener", m: group("alice"), raw: "none", kind: call, accept: guest},
		{name: "claim on a guest listener", m: group("alice"), raw: `{"user":"alice"}`, kind: call, accept: guest},

		{name: "1: not an object", m: group("alice"), raw: `[]`, kind: call, want: closed},
		{name: "1: empty", m: group("alice"), raw: ``, kind: call, want: closed},
		{name: "1: value with a backslash", m: group("alice"), raw: `{"v":"1","user":"a\u0062"}`, kind: call, want: closed},
		{name: "1: ts not canonical", m: group("alice").with("ts", "0"+fmt.Sprint(t0.UnixMilli())), kind: call, want: closed},
		{name: "1: malformed on a guest listener", m: group("alice"), raw: `{"user":"a b"}`, kind: call, accept: guest, want: closed},
		{name: "1: no members", m: group("alice"), raw: `{}`, kind: call, accept: guest, want: step1(security.ReasonVersion)},
		{name: "1: v missing", m: group("alice").with("v", "-"), kind: call, want: step1(security.ReasonVersion)},
		{name: "1: v 2", m: group("alice").with("v", "2"), kind: call, want: step1(security.ReasonVersion)},
		{name: "1: alg missing", m: group("alice").with("alg", "-"), kind: call, want: step1(security.ReasonAlg)},
		{name: "1: alg none", m: group("alice").with("alg", "none"), kind: call, want: step1(security.ReasonAlg)},
		{name: "1: alg in lower case", m: group("alice").with("alg", "hs256"), kind: call, want: step1(security.ReasonAlg)},
		{name: "1: other alg on a guest listener", m: group("alice").with("alg", "none"), kind: call, accept: guest, want: step1(security.ReasonAlg)},
		{name: "1: session fields outside a session", m: group("alice"), raw: `{"seq":"0","sig":"00"}`, kind: call, want: step1(security.ReasonVersion)},
		{name: "1: kid missing", m: group("alice").with("kid", "-"), kind: call, want: step1(security.ReasonFields)},
		{name: "1: user missing", m: group("alice").with("user", "-"), kind: call, want: step1(security.ReasonFields)},
		{name: "1: to missing", m: group("alice").with("to", "-"), kind: call, want: step1(security.ReasonFields)},
		{name: "1: ts missing", m: group("alice").with("ts", "-"), kind: call, want: step1(security.ReasonFields)},
		{name: "1: ts beyond 64 bits", m: group("alice").with("ts", "18446744073709551616"), kind: call, want: step1(security.ReasonFields)},
		{name: "1: nonce missing", m: group("alice").with("nonce", "-"), kind: call, want: step1(security.ReasonFields)},
		{name: "1: nonce short", m: group("alice").with("nonce", "00"), kind: call, want: step1(security.ReasonFields)},
		{name: "1: nonce in upper case", m: group("alice").with("nonce", strings.Repeat("AB", 16)), kind: call, want: step1(security.ReasonFields)},
		{name: "1: sig missing", m: group("alice"), raw: `{"v":"1","alg":"HS256"}`, kind: call, want: step1(security.ReasonFields)},
		{name: "1: sig in upper case", m: group("alice").with("sig", strings.Repeat("AB", 32)), kind: call, want: step1(security.ReasonFields)},
		{name: "1: sig short", m: group("alice").with("sig", strings.Repeat("ab", 16)), kind: call, want: step1(security.ReasonFields)},
		{name: "1: kid unknown", m: group("alice").with("kid", "00000000"), kind: call, want: step1(security.ReasonKey)},
		{name: "1: kid unknown on a guest listener", m: group("alice").with("kid", "00000000"), kind: call, accept: guest, want: step1(security.ReasonKey)},
		{name: "1: kid in upper case", m: group("alice").with("kid", "CF6785D9"), kind: call, want: step1(security.ReasonKey)},
		{name: "1: kid not valid yet", m: from(futureHex, futureKid(t), "alice"), kind: call, want: step1(security.ReasonKey)},
		{name: "1: kid no longer valid", m: from(pastHex, pastKid(t), "alice"), kind: call, want: step1(security.ReasonKey)},
		{name: "1: unknown kid of a notification", m: group("alice").with("kid", "00000000"), kind: note, want: step1(security.ReasonKey)},

		{name: "2: wrong sig", m: group("alice").with("sig", strings.Repeat("ab", 32)), kind: call, want: step2},
		{name: "2: signed with another key", m: from(deviceHex, groupKid, "alice"), kind: call, want: step2},
		{name: "2: wrong sig on a session listener", m: group("alice").with("sig", strings.Repeat("ab", 32)), kind: call, accept: session, want: step2},

		{name: "3: device key, name not listed", m: device("alice"), kind: call, want: step3(security.ReasonUser)},
		{name: "3: group key, my own name", m: group("bob"), kind: call, want: step3(security.ReasonUser)},
		{name: "3: device key, my own name", m: device("bob"), kind: call, want: step3(security.ReasonUser)},
		{name: "3: group key, name pinned or in a session", m: group("pinned"), kind: call, want: step3(security.ReasonUser)},
		{name: "3: group key, name listed in a device key", m: group("sensor-1"), kind: call, want: step3(security.ReasonUser)},
		{name: "3: no name, so nobody to answer", m: group("Alice"), kind: call, want: silent(step3(security.ReasonUser))},
		{name: "3: to another", m: group("alice").with("to", "carol"), kind: call, want: step3(security.ReasonReceiver)},
		{name: "3: notification to another", m: group("alice").with("to", "carol"), kind: note, want: silent(step3(security.ReasonReceiver))},
		{name: "3: response to another", m: group("alice").with("to", "carol"), kind: resp, want: silent(step3(security.ReasonReceiver))},
		{name: "3: * for a notification", m: group("alice").with("to", "*"), kind: note},
		{name: "3: * for the request rpc.hello", m: group("alice").with("to", "*"), kind: hello},
		{name: "3: * for another call", m: group("alice").with("to", "*"), kind: call, want: step3(security.ReasonReceiver)},
		{name: "3: * for a broken message", m: group("alice").with("to", "*"), kind: broken, want: step3(security.ReasonReceiver)},
		{name: "3: * for a call with wildcard_calls", m: from(wildHex, wildKid(t), "alice").with("to", "*"), kind: call},
		{name: "3: * for a broken message with wildcard_calls", m: from(wildHex, wildKid(t), "alice").with("to", "*"), kind: broken},
		{name: "3: * for a response", m: group("alice").with("to", "*"), kind: resp, want: silent(step3(security.ReasonReceiver))},
		{name: "3: * for a response with wildcard_calls", m: from(wildHex, wildKid(t), "alice").with("to", "*"), kind: resp, want: silent(step3(security.ReasonReceiver))},
		{name: "3: * for a mixed batch with wildcard_calls", m: from(wildHex, wildKid(t), "alice").with("to", "*"), kind: mixed, want: step3(security.ReasonReceiver)},
		{name: "3: cb of this link", m: group("alice").with("cb", "AAAA"), kind: call, cb: "AAAA"},
		{name: "3: cb absent on a link with one", m: group("alice"), kind: call, cb: "AAAA"},
		{name: "3: cb of another link", m: group("alice").with("cb", "AAAB"), kind: call, cb: "AAAA", want: step3(security.ReasonBinding)},
		{name: "3: cb on a link without", m: group("alice").with("cb", "AAAA"), kind: call, want: step3(security.ReasonBinding)},

		{name: "4: 60 s old", m: group("alice").at(t0.Add(-60 * time.Second)), kind: call},
		{name: "4: 60 s ahead", m: group("alice").at(t0.Add(60 * time.Second)), kind: call},
		{name: "4: 60.001 s old", m: group("alice").at(t0.Add(-60001 * time.Millisecond)), kind: call, want: step4(security.ReasonStale)},
		{name: "4: 60.001 s ahead", m: group("alice").at(t0.Add(60001 * time.Millisecond)), kind: call, want: step4(security.ReasonStale)},
		{name: "4: at the epoch", m: group("alice").with("ts", "0"), kind: call, want: step4(security.ReasonStale)},
		{name: "4: at the end of time", m: group("alice").with("ts", "9223372036854775807"), kind: call, want: step4(security.ReasonStale)},
		{name: "4: stale notification", m: group("alice").with("ts", "0"), kind: note, want: silent(step4(security.ReasonStale))},
		{name: "4: stale response", m: group("alice").with("ts", "0"), kind: resp, want: silent(step4(security.ReasonStale))},
		{name: "4: HS256 on a session listener", m: group("alice"), kind: call, accept: session,
			want: want{code: api.CodeSessionRequired, step: 4, reason: security.ReasonSession, answer: security.AnswerSigned}},
		{name: "4: HS256 notification on a session listener", m: group("alice"), kind: note, accept: session,
			want: want{code: api.CodeSessionRequired, step: 4, reason: security.ReasonSession}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ring := bobRing(t)
			for _, e := range []security.Entry{
				{Key: mustParse(t, futureHex), NotBefore: t0.Add(time.Second)},
				{Key: mustParse(t, pastHex), NotAfter: t0},
				{Key: mustParse(t, wildHex), WildcardCalls: true},
			} {
				if err := ring.Add(e); err != nil {
					t.Fatal(err)
				}
			}
			h := mustHMAC(t, security.HMACConfig{
				Name: "bob", Keys: ring, Now: func() time.Time { return t0 }, Start: t0.Add(-time.Hour),
				Taken: func(name string) bool { return name == "pinned" },
			})
			accept := c.accept
			if accept == 0 && !strings.Contains(c.name, "session listener") {
				accept = security.AcceptHMAC
			}
			link := h.Link(security.LinkConfig{Accept: accept, CB: c.cb})
			params := c.m.params()
			switch c.raw {
			case "":
				if strings.HasSuffix(c.name, "empty") {
					params = []byte{}
				}
			case "none":
				params = nil
			default:
				params = []byte(c.raw)
			}
			kind, asked := always(c.kind)
			v, out, err := link.Open(params, []byte(c.m.payload), kind)
			if c.want == accepted {
				if err != nil {
					t.Fatal(err)
				}
				if string(out) != c.m.payload {
					t.Error("the payload was changed")
				}
				if v.Verified != strings.Contains(string(params), "sig") || v.Verified != link.Signed() {
					t.Errorf("verified %v, link signed %v", v.Verified, link.Signed())
				}
				if *asked > 1 {
					t.Errorf("kind was called %d times", *asked)
				}
				return
			}
			var r *security.Refusal
			if !errors.As(err, &r) {
				t.Fatalf("error %v, want a Refusal", err)
			}
			got := want{r.Code, r.Step, r.Reason, r.Answer, r.Close}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if r.Failure != (r.Code == api.CodeUnauthenticated) {
				t.Errorf("failure %v for code %d", r.Failure, r.Code)
			}
			if r.Step <= 2 && *asked != 0 {
				t.Error("the payload was looked at before its signature was verified")
			}
			if out != nil || v != (security.Verdict{}) || link.Signed() {
				t.Error("a refused message left traces")
			}
			if (r.Kid != "") != (r.Step >= 3) || (r.User != "") != (r.Step >= 3) {
				t.Errorf("kid %q, user %q in step %d", r.Kid, r.User, r.Step)
			}
		})
	}
}

const (
	futureHex = "1000000000000000000000000000000000000000000000000000000000000001"
	pastHex   = "1000000000000000000000000000000000000000000000000000000000000002"
	wildHex   = "1000000000000000000000000000000000000000000000000000000000000003"
)

func futureKid(t *testing.T) string { return mustParse(t, futureHex).ID() }
func pastKid(t *testing.T) string   { return mustParse(t, pastHex).ID() }
func wildKid(t *testing.T) string   { return mustParse(t, wildHex).ID() }

// TestRestartFence: what was signed before the process started is refused, though it is in the window.
func TestRestartFence(t *testing.T) {
	t.Parallel()
	clock := &fakeClock{now: t0}
	h := mustHMAC(t, security.HMACConfig{Name: "bob", Keys: bobRing(t), Now: clock.Now})
	clock.now = t0.Add(time.Second)
	if _, _, err := h.Open(group("alice").at(t0).params(), []byte(callPayload), nil); err != nil {
		t.Errorf("signed as the process started: %v", err)
	}
	_, _, err := h.Open(group("alice").at(t0.Add(-time.Millisecond)).params(), []byte(callPayload), nil)
	var r *security.Refusal
	if !errors.As(err, &r) || r.Reason != security.ReasonRestart || r.Code != api.CodeStale || !r.Now.Equal(clock.now) {
		t.Errorf("signed before: %v", err)
	}
}

// TestVectorsNegative changes vector A1 in eight ways. None verifies with A1's signature; each does with the signature
// that the vectors give for it, where its form allows, so it was the signature and nothing else that refused.
func TestVectorsNegative(t *testing.T) {
	t.Parallel()
	vs := loadVectors(t)
	a1 := vs.HMAC[0]
	raw, _ := hex.DecodeString(a1.KeyHex)
	changes := map[string]func(m *message){
		"to changed to bob":                             func(m *message) { m.fields["to"] = "bob" },
		"user changed to alicf":                         func(m *message) { m.fields["user"] = "alicf" },
		"ts + 1 ms":                                     func(m *message) { m.fields["ts"] = "1767225600001" },
		"extra signed field role=admin":                 func(m *message) { m.fields["role"] = "admin" },
		"field dropped (nonce)":                         func(m *message) { delete(m.fields, "nonce") },
		"payload + one space":                           func(m *message) { m.payload += " " },
		"raw group key used instead of derived mac key": nil,
		"field boundary shift: user=alice LF v=1:1 glued into one value": func(m *message) {
			m.fields["user"] = "alice\nv=1:1"
			delete(m.fields, "v")
		},
	}
	if len(vs.Negative) != len(changes) {
		t.Fatalf("%d negatives, %d known", len(vs.Negative), len(changes))
	}
	for _, n := range vs.Negative {
		t.Run(n.Why, func(t *testing.T) {
			t.Parallel()
			change, ok := changes[n.Why]
			if !ok {
				t.Fatal("unknown vector")
			}
			m := &message{key: a1.KeyHex, payload: a1.Payload, fields: map[string]string{}}
			for k, v := range a1.SecInfo {
				m.fields[k] = v
			}
			tag := ""
			if change == nil {
				tag, _ = rawSignature(raw, m.fields, m.payload)
				m.fields["sig"] = tag
			} else {
				change(m)
				tag, _ = signature(raw, m.fields, m.payload)
			}
			if tag != n.Tag {
				t.Errorf("tag %s, want %s", tag, n.Tag)
			}
			open := func() error {
				_, _, err := bob(t, &fakeClock{t0}).Open(m.params(), []byte(m.payload),
					func([]byte) security.Kind { return security.Notification })
				return err
			}
			if err := open(); err == nil {
				t.Error("accepted")
			}
			if change == nil || m.fields["nonce"] == "" || m.fields["v"] == "" {
				return
			}
			m.fields["sig"] = n.Tag
			if err := open(); err != nil {
				t.Errorf("refused with its own tag: %v", err)
			}
		})
	}
}

// TestKindIsOptional: without one every payload is a request.
func TestKindIsOptional(t *testing.T) {
	t.Parallel()
	h := bob(t, &fakeClock{t0})
	if _, _, err := h.Open(group("alice").with("to", "*").params(), []byte(callPayload), nil); err == nil {
		t.Error("a broadcast of unknown kind was accepted")
	}
	if _, _, err := h.Open(group("alice").params(), []byte(callPayload), nil); err != nil {
		t.Error(err)
	}
}

func TestUnsignedAfterSigned(t *testing.T) {
	t.Parallel()
	link := bob(t, &fakeClock{t0}).Link(security.LinkConfig{Accept: security.AcceptGuest})
	v, _, err := link.Open([]byte(`{"user":"carol"}`), []byte(callPayload), nil)
	if err != nil || v.Verified || v.Label() != "~carol" || v.Principal.String() != "guest" {
		t.Fatalf("claim: %+v, %v", v, err)
	}
	if v, _, err = link.Open(nil, []byte(callPayload), nil); err != nil || v.Label() != "guest" {
		t.Fatalf("unsigned: %+v, %v", v, err)
	}
	if _, _, err := link.Open(group("alice").params(), []byte(callPayload), nil); err != nil {
		t.Fatal(err)
	}
	for _, secinfo := range [][]byte{nil, []byte(`{"user":"alice"}`)} {
		_, _, err := link.Open(secinfo, []byte(callPayload), nil)
		if api.CodeOf(err) != api.CodeUnauthenticated {
			t.Errorf("%s after a signed message: %v", secinfo, err)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	h := bob(t, &fakeClock{t0})
	v, _, err := h.Open(group("alice").params(), []byte(callPayload), nil)
	want := security.Principal{Kid: groupKid, Role: security.RoleMember}
	if err != nil || v.Principal != want || v.User != "alice" || !v.Verified || v.Label() != "alice" ||
		v.Principal.String() != "key:"+groupKid {
		t.Errorf("group key: %+v, %v", v, err)
	}
	v, _, err = h.Open(device("sensor-1").params(), []byte(callPayload), nil)
	want = security.Principal{Kid: deviceKid, User: "sensor-1", Role: security.RoleMember}
	if err != nil || v.Principal != want || v.User != "sensor-1" || v.Principal.String() != "user:sensor-1" {
		t.Errorf("device key: %+v, %v", v, err)
	}
}
