package security_test

import (
	"fmt"
	"log"

	"peermesh/security"
)

// Two peers make a session, and one sends the other a message that nobody else can read.
func ExampleSession() {
	key := security.NewKey()
	config := func(name, boot string) security.HandshakeConfig {
		id, err := security.NewIdentity(name)
		if err != nil {
			log.Fatal(err)
		}
		ring, err := security.NewKeyring(security.Entry{Key: key, Send: true})
		if err != nil {
			log.Fatal(err)
		}
		return security.HandshakeConfig{Identity: id, Mesh: "lab", Keys: ring, Boot: boot, Seen: security.NewHellos()}
	}
	desk, err := security.NewInitiator(config("desk", "1767225600500-4e5f6071"))
	if err != nil {
		log.Fatal(err)
	}
	cam := security.NewResponder(config("cam1", "1767225600000-0a1b2c3d"))

	// What each returns goes to the other one, in the requests rpc.hello and rpc.auth.
	hello, err := desk.Hello(nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := cam.Hello(nil, hello)
	if err != nil {
		log.Fatal(err)
	}
	remote, err := desk.Answer(result)
	if err != nil {
		log.Fatal(err)
	}
	auth, dialled, err := desk.Auth(nil, "") // or, had remote.ID not been the one expected: "pin"
	if err != nil {
		log.Fatal(err)
	}
	accepted, from, err := cam.Auth(auth)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(remote.User, from.User, dialled.ID() == accepted.ID())

	secinfo, frame, err := dialled.Seal(nil, security.Outgoing{}, []byte(`{"jsonrpc":"2.0","method":"lab.camera.snap"}`))
	if err != nil {
		log.Fatal(err)
	}
	who, payload, err := accepted.Open(secinfo, frame, nil)
	fmt.Println(who.Principal.PeerID == from.ID, string(payload), err)
	// Output:
	// cam1 desk true
	// true {"jsonrpc":"2.0","method":"lab.camera.snap"} <nil>
}
