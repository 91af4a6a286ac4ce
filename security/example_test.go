package security_test

import (
	"errors"
	"fmt"
	"log"

	"peermesh/api"
	"peermesh/security"
)

// Two peers share a key; one signs, the other verifies, and a replay is refused.
func Example() {
	key := security.NewKey()
	peer := func(name string) *security.HMAC {
		ring, err := security.NewKeyring(security.Entry{Key: key, Send: true})
		if err != nil {
			log.Fatal(err)
		}
		h, err := security.NewHMAC(security.HMACConfig{Name: name, Keys: ring})
		if err != nil {
			log.Fatal(err)
		}
		return h
	}
	dialled := peer("desk").Link(security.LinkConfig{Accept: security.AcceptHMAC, Sign: true})
	accepted := peer("cam1").Link(security.LinkConfig{Accept: security.AcceptHMAC})

	payload := []byte(`{"jsonrpc":"2.0","id":1,"method":"lab.camera.snap"}`)
	secinfo, frame, err := dialled.Seal(nil, security.Outgoing{To: "cam1"}, payload)
	if err != nil {
		log.Fatal(err)
	}

	kind := func([]byte) security.Kind { return security.Request }
	who, _, err := accepted.Open(secinfo, frame, kind)
	fmt.Println(who.Label(), who.Principal.Kid == key.ID(), err)

	_, _, err = accepted.Open(secinfo, frame, kind)
	var no *security.Refusal
	if errors.As(err, &no) {
		fmt.Println(no.Reason, no.Answer == security.AnswerSigned, api.CodeOf(err))
	}
	// Output:
	// desk true <nil>
	// replay true -32042
}

// A key is rotated in three steps, each on all peers before the next.
func ExampleKeyring() {
	old, next := security.NewKey(), security.NewKey()
	ring, err := security.NewKeyring(security.Entry{Key: old, Send: true})
	if err != nil {
		log.Fatal(err)
	}
	_ = ring.Add(security.Entry{Key: next})
	_ = ring.Use(next.ID())
	ring.Remove(old.ID())
	fmt.Println(ring.Len(), ring.Entries()[0].Key.Equal(next))
	// Output: 1 true
}

// A broadcast is hashed once and signed for each receiver.
func ExampleSum() {
	key, _ := security.ParseKey([]byte("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	ring, _ := security.NewKeyring(security.Entry{Key: key, Send: true})
	h, _ := security.NewHMAC(security.HMACConfig{Name: "cam1", Keys: ring})

	payload := []byte(`{"jsonrpc":"2.0","method":"lab.camera.frame","params":{"seq":41}}`)
	sum := security.Sum(payload)
	buf := make([]byte, 0, 512)
	for _, to := range []string{"desk", "stage"} {
		secinfo, _, err := h.Seal(buf[:0], security.Outgoing{To: to, Sum: &sum}, payload)
		fmt.Println(to, len(secinfo) > 0, err)
	}
	// Output:
	// desk true <nil>
	// stage true <nil>
}

func ExamplePolicy() {
	p, err := security.NewPolicy(
		security.Rule{Principal: "user:sensor-1", Allow: []string{"temp.*"}},
		security.Rule{Principal: "role:member", Deny: []string{"lab.stage.home"}},
	)
	if err != nil {
		log.Fatal(err)
	}
	sensor := security.Principal{User: "sensor-1", Role: security.RoleMember}
	for _, method := range []string{"temp.set", "lab.camera.snap", "lab.stage.home"} {
		d := p.Allows(sensor, method, security.RoleMember)
		fmt.Println(method, d.Allowed, "-", d.Why)
	}
	fmt.Println(p.Allows(security.Principal{}, "temp.set", security.RoleMember).Code == api.CodeMethodNotFound)
	// Output:
	// temp.set true - rule 1: allow temp.* to user:sensor-1
	// lab.camera.snap false - not among what the principal's rules allow
	// lab.stage.home false - rule 2: deny lab.stage.home to role:member
	// true
}

// A provider of one's own has two methods. This one marks every message, and proves nothing.
func ExampleProvider() {
	var p security.Provider = motto{}
	secinfo, _, _ := p.Seal(nil, security.Outgoing{To: "desk"}, []byte(`{}`))
	fmt.Printf("%s\n", secinfo)
	who, _, err := p.Open(secinfo, []byte(`{}`), nil)
	fmt.Println(who.Label(), err)
	_, _, err = p.Open(nil, []byte(`{}`), nil)
	fmt.Println(err)
	// Output:
	// {"motto":"sesame"}
	// guest <nil>
	// security: refused: motto
}

type motto struct{}

func (motto) Seal(dst []byte, _ security.Outgoing, payload []byte) (secinfo, sealed []byte, err error) {
	return append(dst, `{"motto":"sesame"}`...), payload, nil
}

func (motto) Open(secinfo, payload []byte, _ func([]byte) security.Kind) (security.Verdict, []byte, error) {
	var info security.SecInfo
	if secinfo == nil || info.Parse(secinfo) != nil || string(info.Get("motto")) != "sesame" {
		return security.Verdict{}, nil, &security.Refusal{Code: api.CodeUnauthenticated, Reason: "motto", Answer: security.AnswerUnsigned}
	}
	return security.Verdict{}, payload, nil
}
