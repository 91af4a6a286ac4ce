package security_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/security"
)

// TestHelloParams has a case for each thing that can be wrong with a hello.
func TestHelloParams(t *testing.T) {
	t.Parallel()
	version := security.Refusal{Code: api.CodeRefused, Reason: security.ReasonVersion, Answer: security.AnswerUnsigned, Close: true}
	malformed, unknown, fails := stranger(security.ReasonMalformed), stranger(security.ReasonKey), stranger(security.ReasonHandshake)
	ok := security.Refusal{}
	edit := func(old, new string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Fatalf("%s does not contain %s", s, old)
			}
			return strings.Replace(s, old, new, 1)
		}
	}
	m := func(change func(string) string) func(string) string {
		return func(s string) string {
			head, rest, _ := strings.Cut(s, `"m":"`)
			return head + `"m":"` + change(strings.TrimSuffix(rest, `"}`)) + `"}`
		}
	}
	for name, c := range map[string]struct {
		change func(string) string
		want   security.Refusal
	}{
		"as it is":                  {func(s string) string { return s }, ok},
		"unknown members":           {edit(`{`, `{"x":{"y":[1]},`), ok},
		"escapes in a string":       {edit(`"v":"1"`, `"v":"\u0031"`), ok},
		"4 KiB":                     {func(s string) string { return s + strings.Repeat(" ", 4096-len(s)) }, ok},
		"more than 4 KiB":           {func(s string) string { return s + strings.Repeat(" ", 4097-len(s)) }, malformed},
		"nothing":                   {func(string) string { return "" }, malformed},
		"no JSON":                   {func(s string) string { return s[1:] }, malformed},
		"something behind":          {func(s string) string { return s + "{}" }, malformed},
		"an array":                  {func(s string) string { return "[" + s + "]" }, malformed},
		"no UTF-8":                  {edit(`{`, "{\"x\":\"\xff\","), malformed},
		"a duplicate":               {edit(`{`, `{"kid":"cf6785d9",`), malformed},
		"an unknown duplicate":      {edit(`{`, `{"x":1,"x":1,`), malformed},
		"null":                      {func(string) string { return "null" }, version},
		"empty":                     {func(string) string { return "{}" }, version},
		"v 2":                       {edit(`"v":"1"`, `"v":"2"`), version},
		"v a number":                {edit(`"v":"1"`, `"v":1`), version},
		"v an array":                {edit(`"v":"1"`, `"v":["1","2"]`), version},
		"V":                         {edit(`"v"`, `"V"`), version},
		"v missing":                 {edit(`"v":"1",`, ``), version},
		"another noise":             {edit(`XXpsk0`, `XXpsk3`), version},
		"noise null":                {edit(`"XXpsk0_25519_ChaChaPoly_SHA256"`, `null`), version},
		"kid unknown":               {edit(groupKid, "00000000"), unknown},
		"kid not valid any more":    {edit(groupKid, pastKid(t)), unknown},
		"kid of another key":        {edit(groupKid, wildKid(t)), fails},
		"kid with a line end":       {edit(groupKid, `cf6785d9\n`), unknown},
		"kid missing":               {edit(`"kid":"cf6785d9",`, ``), unknown},
		"kid a number":              {edit(`"cf6785d9"`, `7`), unknown},
		"m missing":                 {func(s string) string { return s[:strings.Index(s, `,"m"`)] + "}" }, malformed},
		"m a number":                {func(s string) string { return s[:strings.Index(s, `,"m"`)] + `,"m":1}` }, malformed},
		"m empty":                   {m(func(string) string { return "" }), malformed},
		"m padded":                  {m(func(s string) string { return s + "=" }), malformed},
		"m with a line break":       {m(func(s string) string { return s[:8] + `\n` + s[8:] }), malformed},
		"m with a line break added": {m(func(s string) string { return s + `\r` }), malformed},
		"m with a space":            {m(func(s string) string { return " " + s }), malformed},
		"m in the other alphabet":   {m(func(s string) string { return "++//" + s[4:] }), malformed},
		"m shorter":                 {m(func(s string) string { return s[:60] }), malformed},
		"m longer":                  {m(func(s string) string { return s + "AAAA" }), malformed},
		"m of something else":       {m(func(string) string { return strings.Repeat("A", 64) }), fails},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShake(t)
			for _, e := range []security.Entry{{Key: mustParse(t, pastHex), NotAfter: t0}, {Key: mustParse(t, wildHex)}} {
				if err := s.bob.Keys.Add(e); err != nil {
					t.Fatal(err)
				}
			}
			i, err := security.NewInitiator(s.alice)
			if err != nil {
				t.Fatal(err)
			}
			m1, err := i.Hello(nil)
			if err != nil {
				t.Fatal(err)
			}
			result, err := security.NewResponder(s.bob).Hello(nil, []byte(c.change(string(m1))))
			if c.want == ok {
				if err != nil || len(result) == 0 {
					t.Error(err)
				}
				return
			}
			if got := refused(t, err); got != c.want || result != nil {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			var e *api.Error
			if !errors.As(err, &e) {
				t.Fatal("it has no error to answer with")
			}
			switch data := string(e.Data); {
			case c.want == version && (e.Code != -32042 || data != `{"v":["1"]}`):
				t.Errorf("answer %d %s", e.Code, data)
			case c.want != version && (e.Code != -32040 || data != "" || e.Message != "unauthenticated"):
				t.Errorf("a stranger is told %d %s %s", e.Code, e.Message, data)
			}
		})
	}
}

// TestHandshakeBindings: mesh, key and connection must be the same at both ends, which neither sends.
func TestHandshakeBindings(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *shake){
		"mesh":          func(s *shake) { s.bob.Mesh = "demo2" },
		"cb":            func(s *shake) { s.alice.CB, s.bob.CB = "AAAA", "AAAB" },
		"cb at alice":   func(s *shake) { s.alice.CB = "AAAA" },
		"cb at bob":     func(s *shake) { s.bob.CB = "AAAA" },
		"key":           func(s *shake) { s.bob.Keys = mustRing(t, security.Entry{Key: otherKeyOfGroupKid(t)}) },
		"key not there": func(s *shake) { s.bob.Keys = nil },
	} {
		s := newShake(t)
		change(s)
		o := s.run(t, nil)
		want := stranger(security.ReasonHandshake)
		if strings.HasPrefix(name, "key") {
			want = stranger(security.ReasonKey)
		}
		if got := refused(t, o.bobE); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	s := newShake(t)
	s.alice.CB, s.bob.CB = "AAAA", "AAAA"
	s.sessions(t)
}

func otherKeyOfGroupKid(t testing.TB) *security.Key { return mustParse(t, wildHex) }

// TestResponderPayload has what the payload of rpc.auth may say, and what becomes of it.
func TestResponderPayload(t *testing.T) {
	t.Parallel()
	const good = `{"user":"alice","use":"sealed","boot":"1767225600000-0a1b2c3d","max":4194304}`
	edit := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	bad := stranger(security.ReasonMalformed)
	objects := func(why security.Reason, user string) security.Refusal {
		return security.Refusal{Code: api.CodeRefused, Reason: why, Answer: security.AnswerSigned, Close: true, Kid: groupKid, User: user}
	}
	declined := security.Refusal{Reason: security.ReasonDeclined, Close: true, Kid: groupKid, User: "alice"}
	for name, c := range map[string]struct {
		payload string
		want    security.Refusal
		refuses string
		least   security.Protection
	}{
		"good":                     {payload: good},
		"unknown members":          {payload: edit(`{`, `{"x":[{"y":null}],`)},
		"signed with who takes it": {payload: edit("sealed", "signed"), least: security.Signed},
		"sealed with who signs":    {payload: good, least: security.Signed},
		"my own name":              {payload: edit("alice", "bob")},
		"signed with who seals":    {payload: edit("sealed", "signed"), want: objects(security.ReasonProtection, "alice")},
		"no name":                  {payload: edit("alice", "Alice"), want: objects(security.ReasonUser, "")},
		"name too long":            {payload: edit("alice", strings.Repeat("a", 54)), want: objects(security.ReasonUser, "")},
		"user missing":             {payload: edit(`"user":"alice",`, ``), want: objects(security.ReasonUser, "")},
		"refuses":                  {payload: edit(`}`, `,"refuse":"pin"}`), want: declined, refuses: "pin"},
		"refuses at length":        {payload: edit(`}`, `,"refuse":"`+strings.Repeat("x", 129)+`"}`), want: declined, refuses: strings.Repeat("x", 128)},
		"refuses in colours":       {payload: edit(`}`, `,"refuse":"\u001b[31m \"ü\\\n"}`), want: declined, refuses: "?[31m ?????"},
		"refuses, without a form":  {payload: edit(`"use":"sealed"`, `"refuse":"protection"`), want: declined, refuses: "protection"},
		"nothing":                  {payload: ``, want: bad},
		"null":                     {payload: `null`, want: bad},
		"no JSON":                  {payload: good[1:], want: bad},
		"a duplicate":              {payload: edit(`{`, `{"use":"sealed",`), want: bad},
		"user a number":            {payload: edit(`"alice"`, `1`), want: bad},
		"use missing":              {payload: edit(`"use":"sealed",`, ``), want: bad},
		"use unknown":              {payload: edit(`sealed`, `none`), want: bad},
		"use in upper case":        {payload: edit(`sealed`, `Sealed`), want: bad},
		"boot missing":             {payload: edit(`"boot":"1767225600000-0a1b2c3d",`, ``), want: bad},
		"boot in upper case":       {payload: edit(`0a1b2c3d`, `0A1B2C3D`), want: bad},
		"boot without its line":    {payload: edit(`0-0a1b`, `000a1b`), want: bad},
		"boot with letters":        {payload: edit(`1767`, `176x`), want: bad},
		"boot too long":            {payload: edit(`"1767`, `"11767`), want: bad},
		"max missing":              {payload: edit(`,"max":4194304`, ``), want: bad},
		"max 0":                    {payload: edit(`4194304`, `0`), want: bad},
		"max negative":             {payload: edit(`4194304`, `-1`), want: bad},
		"max a fraction":           {payload: edit(`4194304`, `1.5`), want: bad},
		"max a string":             {payload: edit(`4194304`, `"1"`), want: bad},
		"max beyond 64 bits":       {payload: edit(`4194304`, `9223372036854775808`), want: bad},
		"transient a string":       {payload: edit(`}`, `,"transient":"true"}`), want: bad},
		"renews no id":             {payload: edit(`}`, `,"renews":"056F0679750BC020"}`), want: bad},
		"refuse a number":          {payload: edit(`}`, `,"refuse":7}`), want: bad},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShake(t)
			s.bob.Protection = c.least
			i := newRaw(t, &s.bob, mustParse(t, groupHex), s.alice.Identity, true)
			r := security.NewResponder(s.bob)
			m2, err := r.Hello(nil, hello(messageOf(t, i.write(""))))
			if err != nil {
				t.Fatal(err)
			}
			i.read(m2)
			session, remote, err := r.Auth(i.write(c.payload))
			if c.want == (security.Refusal{}) {
				if err != nil || session == nil || remote.ID != s.alice.Identity.ID() {
					t.Errorf("%+v, %v", remote, err)
				}
				return
			}
			if got := refused(t, err); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if (session != nil) != (c.want.Answer == security.AnswerSigned) {
				t.Errorf("session %v", session)
			}
			if remote.Refuses != c.refuses || (remote.ID != "") != (c.want != bad) {
				t.Errorf("remote %+v", remote)
			}
			if c.want.Reason == security.ReasonProtection && session.Protection() != security.Signed {
				t.Error("the answer is not in the form that was chosen")
			}
			if _, _, err := r.Auth(i.write2()); !errors.Is(err, security.ErrOutOfOrder) {
				t.Errorf("a second try: %v", err)
			}
		})
	}
}

// write2 stands for anything that comes after the handshake.
func (r *raw) write2() []byte { return []byte(`{"m":"AAAA"}`) }

// TestInitiatorPayload has what the payload of the answer to rpc.hello may say, and what becomes of it.
func TestInitiatorPayload(t *testing.T) {
	t.Parallel()
	const good = `{"user":"bob","accept":["signed","sealed"],"boot":"1767225600000-0a1b2c3d","max":4194304}`
	edit := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	const sealed, signed = security.Sealed, security.Signed
	for name, c := range map[string]struct {
		payload string
		least   security.Protection
		why     security.Reason
		use     security.Protection
	}{
		"good":                     {payload: good},
		"good, signing":            {payload: good, least: signed, use: signed},
		"signing, with who seals":  {payload: edit(`"signed",`, ``), least: signed},
		"signing, who signs alone": {payload: edit(`,"sealed"`, ``), least: signed, use: signed},
		"an unknown form":          {payload: edit(`[`, `["none",`)},
		"unknown members":          {payload: edit(`{`, `{"use":"signed","x":[],`)},
		"renews":                   {payload: edit(`}`, `,"renews":"056f0679750bc020"}`)},
		"my own name":              {payload: edit("bob", "alice")},
		"who signs alone":          {payload: edit(`,"sealed"`, ``), why: security.ReasonProtection},
		"no form":                  {payload: edit(`"signed","sealed"`, ``), why: security.ReasonProtection},
		"no form, signing":         {payload: edit(`"signed","sealed"`, ``), least: signed, why: security.ReasonProtection},
		"no forms":                 {payload: edit(`"accept":["signed","sealed"],`, ``), why: security.ReasonProtection},
		"no name":                  {payload: edit(`bob`, `bob.local`), why: security.ReasonUser},
		"no name and no form":      {payload: `{"user":"B","boot":"1767225600000-0a1b2c3d","max":1}`, why: security.ReasonUser},
		"nothing":                  {payload: ``, why: security.ReasonMalformed},
		"a duplicate":              {payload: edit(`{`, `{"user":"bob",`), why: security.ReasonMalformed},
		"accept a string":          {payload: edit(`["signed","sealed"]`, `"sealed"`), why: security.ReasonMalformed},
		"boot missing":             {payload: edit(`"boot":"1767225600000-0a1b2c3d",`, ``), why: security.ReasonMalformed},
		"max missing":              {payload: edit(`,"max":4194304`, ``), why: security.ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShake(t)
			s.alice.Protection = c.least
			i, err := security.NewInitiator(s.alice)
			if err != nil {
				t.Fatal(err)
			}
			m1, err := i.Hello(nil)
			if err != nil {
				t.Fatal(err)
			}
			r := newRaw(t, &s.alice, mustParse(t, groupHex), s.bob.Identity, false)
			r.read(m1)
			remote, err := i.Answer(r.write(c.payload))
			if remote.ID != s.bob.Identity.ID() || remote.Renews != "" {
				t.Errorf("remote %+v", remote)
			}
			if c.why == "" {
				m3, session, err2 := i.Auth(nil, "")
				if err != nil || err2 != nil || remote.Use != c.use || session.Protection() != c.use {
					t.Fatalf("%+v, %v, %v", remote, err, err2)
				}
				if got, want := r.read(m3), fmt.Sprintf(`"use":"%s"`, c.use); !strings.Contains(got, want) {
					t.Errorf("%s lacks %s", got, want)
				}
				return
			}
			want := security.Refusal{Code: api.CodeRefused, Reason: c.why, Close: true, Kid: groupKid, User: remote.User}
			if got := refused(t, err); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if _, session, err := i.Auth(nil, ""); err == nil || session != nil {
				t.Error("a session in spite of it")
			}
			m3, session, err := i.Auth(nil, string(c.why)+"\n\"ü"+strings.Repeat(".", 200))
			if err != nil || session != nil {
				t.Fatal(session, err)
			}
			if got := r.read(m3); !strings.Contains(got, `"refuse":"`+string(c.why)+`????..`) || len(got) > 400 {
				t.Errorf("the responder is told %s", got)
			}
			if _, _, err := i.Auth(nil, "again"); !errors.Is(err, security.ErrOutOfOrder) {
				t.Error(err)
			}
		})
	}
}
