package security_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"peermesh/security"
)

func TestSecInfo(t *testing.T) {
	t.Parallel()
	members := func(n int) string {
		var s []string
		for i := range n {
			s = append(s, fmt.Sprintf(`"f%d":"x"`, i))
		}
		return "{" + strings.Join(s, ",") + "}"
	}
	for in, ok := range map[string]bool{
		`{}`:        true,
		` { } `:     true,
		`{"v":"1"}`: true,
		" {\t\"v\" :\r\n \"1\" , \"a\":\"2\"} \n": true,
		`{"user":""}`:                       true,
		`{"user":"","v":"1"}`:               false,
		`{"v":"1","user":""}`:               false,
		`{"v":""}`:                          false,
		`{"ts":"0","seq":"10"}`:             true,
		`{"ts":"01"}`:                       false,
		`{"ts":"-1"}`:                       false,
		`{"ts":"1e3"}`:                      false,
		`{"seq":"00"}`:                      false,
		`{"seq":""}`:                        false,
		`{"v":1}`:                           false,
		`{"v":null}`:                        false,
		`{"v":{"a":"b"}}`:                   false,
		`{"v":"1",}`:                        false,
		`{,"v":"1"}`:                        false,
		`{"v":"1"`:                          false,
		`{"v":"1"}}`:                        false,
		`{"v":"1"} x`:                       false,
		`{"v":"1" "w":"2"}`:                 false,
		`{"v" "1"}`:                         false,
		`{v:"1"}`:                           false,
		`{"v":"1`:                           false,
		`{"v`:                               false,
		`{"v":"1","v":"1"}`:                 false,
		`{"b":"1","a":"1","c":"1","b":"1"}`: false,
		`{"V":"1"}`:                         false,
		`{"1v":"1"}`:                        false,
		`{"_v":"1"}`:                        false,
		`{"v_1":"1"}`:                       true,
		`{"":"1"}`:                          false,
		`{"abcdefghijklmnop":"1"}`:          true,
		`{"abcdefghijklmnopq":"1"}`:         false,
		`{"v":"a b"}`:                       false,
		"{\"v\":\"a\x7f\"}":                 false,
		`{"v":"grüß"}`:                      false,
		`{"v":"a\\b"}`:                      false,
		`{"v":"\u0061"}`:                    false,
		`{"v":"a/b~!"}`:                     true,
		"{\"v\":\"a\x00\"}":                 false,
		`[]`:                                false,
		`null`:                              false,
		``:                                  false,
		members(12):                         true,
		members(13):                         false,
		`{"v":"` + strings.Repeat("x", 128) + `"}`: true,
		`{"v":"` + strings.Repeat("x", 129) + `"}`: false,
	} {
		var s security.SecInfo
		err := s.Parse([]byte(in))
		if (err == nil) != ok {
			t.Errorf("%s: %v", in, err)
		}
		if err != nil && (!errors.Is(err, security.ErrSecInfo) || s.Len() != 0) {
			t.Errorf("%s: %v, %d members left", in, err, s.Len())
		}
	}
}

func TestSecInfoAccess(t *testing.T) {
	t.Parallel()
	var s security.SecInfo
	if err := s.Parse([]byte(`{"user":"alice","alg":"HS256","v":"1"}`)); err != nil {
		t.Fatal(err)
	}
	if string(s.Get("alg")) != "HS256" || s.Get("kid") != nil || s.Len() != 3 {
		t.Error(s.Len(), s.Get("alg"))
	}
	var names []string
	for name := range s.All() {
		names = append(names, string(name))
	}
	if !slices.Equal(names, []string{"alg", "user", "v"}) {
		t.Error(names)
	}
	for range s.All() {
		break
	}
	s.Reset()
	if s.Len() != 0 || s.Get("alg") != nil {
		t.Error("not empty")
	}
}

var (
	nameForm  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,15}$`)
	valueForm = regexp.MustCompile(`^[!-~]{1,128}$`)
	number    = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
)

// strictly says with encoding/json and regular expressions what SecInfo.Parse must say.
func strictly(in []byte) (map[string]string, bool) {
	if !json.Valid(in) || bytes.IndexByte(in, '\\') >= 0 {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(in))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	m := make(map[string]string)
	for d.More() {
		name, _ := d.Token()
		value, err := d.Token()
		n, ok1 := name.(string)
		v, ok2 := value.(string)
		if err != nil || !ok1 || !ok2 {
			return nil, false
		}
		if _, dup := m[n]; dup || !nameForm.MatchString(n) || (n == "ts" || n == "seq") && !number.MatchString(v) {
			return nil, false
		}
		m[n] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	for n, v := range m {
		if !valueForm.MatchString(v) && !(v == "" && n == "user" && len(m) == 1) {
			return nil, false
		}
	}
	return m, len(m) <= 12
}

// FuzzSecInfo compares the strict parser with encoding/json.
func FuzzSecInfo(f *testing.F) {
	f.Add([]byte(`{"v":"1","alg":"HS256","kid":"cf6785d9","user":"alice","to":"*","ts":"1767225600000"}`))
	f.Add([]byte(`{"seq":"0","sig":"d8aab13dc68d80b76042e47af944839a"}`))
	f.Add([]byte(` { "user" : "" } `))
	f.Fuzz(func(t *testing.T, in []byte) {
		var s security.SecInfo
		err := s.Parse(in)
		want, ok := strictly(in)
		if (err == nil) != ok {
			t.Fatalf("%q: %v, want ok %v", in, err, ok)
		}
		if err != nil {
			return
		}
		if s.Len() != len(want) {
			t.Fatalf("%q: %d members, want %d", in, s.Len(), len(want))
		}
		last := ""
		for name, value := range s.All() {
			if want[string(name)] != string(value) || !bytes.Equal(s.Get(string(name)), value) || string(name) <= last {
				t.Fatalf("%q: %s = %q, want %q", in, name, value, want[string(name)])
			}
			last = string(name)
		}
	})
}

// FuzzVerify changes bytes of a vector, in the secinfo or the payload: whatever is accepted is the vector itself, but for
// white space between the members.
func FuzzVerify(f *testing.F) {
	vs := loadVectors(f)
	for i := range vs.HMAC {
		f.Add(uint8(i), uint16(0), []byte("{"))
		f.Add(uint8(i), uint16(9), []byte{'A'})
		f.Add(uint8(i), uint16(1000), []byte(" "))
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint16, with []byte) {
		v := &vs.HMAC[int(which)%len(vs.HMAC)]
		params := v.params()
		frame := append(slices.Clone(params), v.Payload...)
		copy(frame[int(at)%len(frame):], with)
		gotParams, gotPayload := frame[:len(params)], frame[len(params):]
		me := v.SecInfo["to"]
		if me == "*" {
			me = "bob"
		}
		h := mustHMAC(t, security.HMACConfig{Name: me, Keys: mustRing(t, entryOf(v, v.key(t))), Now: func() time.Time { return v.time(t) }})
		link := h.Link(security.LinkConfig{Accept: security.AcceptHMAC, CB: v.SecInfo["cb"]})
		_, _, err := link.Open(gotParams, gotPayload, func([]byte) security.Kind { return v.kind() })
		var fields map[string]string
		same := json.Unmarshal(gotParams, &fields) == nil && maps.Equal(fields, v.SecInfo) && string(gotPayload) == v.Payload
		if (err == nil) != same {
			t.Fatalf("%s %s: %v", gotParams, gotPayload, err)
		}
	})
}

// TestEveryByte flips each bit of each vector in turn: none is accepted.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	for _, v := range loadVectors(t).HMAC {
		me := v.SecInfo["to"]
		if me == "*" {
			me = "bob"
		}
		h := mustHMAC(t, security.HMACConfig{Name: me, Keys: mustRing(t, entryOf(&v, v.key(t))), Now: func() time.Time { return v.time(t) }})
		link := h.Link(security.LinkConfig{Accept: security.AcceptHMAC, CB: v.SecInfo["cb"]})
		params := v.params()
		frame := append(slices.Clone(params), v.Payload...)
		for i := range frame {
			for bit := range 8 {
				frame[i] ^= 1 << bit
				_, _, err := link.Open(frame[:len(params)], frame[len(params):], func([]byte) security.Kind { return v.kind() })
				if err == nil {
					t.Errorf("%s: accepted %s", v.Name, frame)
				}
				frame[i] ^= 1 << bit
			}
		}
		if link.Signed() || h.Nonces() != 0 {
			t.Errorf("%s: traces left", v.Name)
		}
	}
}
