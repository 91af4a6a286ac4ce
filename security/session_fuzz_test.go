package security_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"peermesh/security"
)

// sameMessage reports whether object, read leniently, carries the Noise message m.
func sameMessage(object []byte, m string) bool {
	var o struct{ M string }
	return json.Unmarshal(object, &o) == nil && o.M == m
}

// closes reports whether err is what a stranger's message comes to.
func closes(err error) bool {
	var r *security.Refusal
	return errors.As(err, &r) && r.Close && r.Answer != security.AnswerSigned && r.Kid == "" && r.User == ""
}

// FuzzHello gives a responder the params of rpc.hello and of rpc.auth from whoever it may be: nothing but the messages
// of the vector leads anywhere, and nothing panics.
func FuzzHello(f *testing.F) {
	v := loadSessions(f)["sealed"]
	good := `{"v":"1","kid":"cf6785d9","noise":"XXpsk0_25519_ChaChaPoly_SHA256","m":"` + v.M1 + `"}`
	f.Add([]byte(good), []byte(`{"m":"`+v.M3+`"}`))
	f.Add([]byte(`{"x":1,`+good[1:]), []byte(`{"m":"`+v.M3+`","x":null}`))
	f.Add([]byte(`{"v":"2"}`), []byte(`{}`))
	f.Add([]byte(`{"v":"1","kid":"00000000","noise":"XXpsk0_25519_ChaChaPoly_SHA256","m":"`+v.M1+`"}`), []byte(`{"m":""}`))
	f.Add([]byte(good), []byte(`{"m":"`+v.M2+`"}`))
	f.Add([]byte(good), []byte(`{"m":"`+v.M3[:64]+`"}`))
	f.Add([]byte(`null`), []byte(`null`))
	f.Fuzz(func(t *testing.T, hello, auth []byte) {
		_, r := v.ends(t)
		result, err := r.Hello(nil, hello)
		if err != nil {
			if !closes(err) || result != nil {
				t.Fatalf("%v, %s", err, result)
			}
			return
		}
		if !sameMessage(hello, v.M1) {
			t.Fatalf("accepted %s", hello)
		}
		session, remote, err := r.Auth(auth)
		if err != nil {
			if !closes(err) || session != nil || remote != (security.Remote{}) {
				t.Fatalf("%v, %+v", err, remote)
			}
			return
		}
		if !sameMessage(auth, v.M3) || remote.ID != v.InitID || session.ID() != v.Sid {
			t.Fatalf("accepted %s as %+v", auth, remote)
		}
	})
}

// FuzzAnswer gives an initiator the result of rpc.hello from whoever it may be.
func FuzzAnswer(f *testing.F) {
	v := loadSessions(f)["sealed"]
	f.Add([]byte(`{"m":"` + v.M2 + `"}`))
	f.Add([]byte(` { "x" : [ ] , "m" : "` + v.M2 + `" } `))
	f.Add([]byte(`{"m":"` + v.M1 + `"}`))
	f.Add([]byte(`{"m":"` + v.M2[:43] + `"}`))
	f.Add([]byte(`{"m":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, result []byte) {
		i, _ := v.ends(t)
		if _, err := i.Hello(nil); err != nil {
			t.Fatal(err)
		}
		remote, err := i.Answer(result)
		if err != nil {
			if !closes(err) || remote != (security.Remote{}) {
				t.Fatalf("%v, %+v", err, remote)
			}
			if _, _, err := i.Auth(nil, "why"); !errors.Is(err, security.ErrOutOfOrder) {
				t.Fatal(err)
			}
			return
		}
		if !sameMessage(result, v.M2) || remote.ID != v.RespID {
			t.Fatalf("accepted %s as %+v", result, remote)
		}
	})
}

// FuzzSessionOpen gives sessions frames from whoever it may be: none is accepted but the next one of the vector.
func FuzzSessionOpen(f *testing.F) {
	vs := loadSessions(f)
	sessions := map[bool]*security.Session{}
	next := map[bool]vectorFrame{}
	for sealed, name := range map[bool]string{false: "signed", true: "sealed"} {
		_, sessions[sealed] = vs[name].sessions(f)
		for _, frame := range vs[name].Frames {
			if frame.Direction == "i2r" && frame.Seq == 1 {
				next[sealed] = frame
			}
			f.Add(sealed, frame.params(), []byte(frame.Payload))
		}
		frame := next[sealed]
		f.Add(sealed, []byte(` {"sig":`+string(frame.params()[18:52])+`,"seq":"1"}`), []byte(frame.Payload))
		f.Add(sealed, []byte(`{}`), []byte(frame.Message))
		f.Add(sealed, frame.params(), []byte(frame.Payload+"="))
	}
	f.Fuzz(func(t *testing.T, sealed bool, secinfo, payload []byte) {
		s, want := sessions[sealed], next[sealed]
		security.SetSeq(s, 0, 1)
		given := bytes.Clone(payload)
		_, text, err := s.Open(secinfo, payload, nil)
		_, in := security.Seq(s)
		if err != nil {
			if !closes(err) || text != nil || in != 1 || !bytes.Equal(payload, given) {
				t.Fatalf("%v, %q, seq %d", err, text, in)
			}
			return
		}
		var said, wanted map[string]string
		if json.Unmarshal(secinfo, &said) != nil || json.Unmarshal(want.params(), &wanted) != nil ||
			len(said) != 2 || said["seq"] != wanted["seq"] || said["sig"] != wanted["sig"] ||
			string(given) != want.Payload || string(text) != want.Message || in != 2 {
			t.Fatalf("accepted %s %s", secinfo, given)
		}
	})
}
