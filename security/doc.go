// Package security answers two questions about a message: who sent it, and may they. It holds the mesh's keys, signs
// what leaves and verifies what arrives, and decides by a policy. It opens no sockets and reads no frames: a [Provider]
// gets the params of an rpc.secinfo frame and the payload that follows it, both as raw bytes.
//
// # Model
//
// A mesh has a [Key] of 32 random bytes, and whoever holds it is a member. A [Keyring] holds that group key, others
// during a rotation, and device keys, each of which may speak for the names it lists and no others. Whom a message is
// proven to come from is its [Principal]: "key:<kid>" for a group key, under which the sender's name is only for
// display, because every member holds it; "user:<name>" for a device key; "guest" for whoever proved nothing. A
// [Policy] says what a principal may send to us.
//
//	key := security.NewKey()
//	ring, err := security.NewKeyring(security.Entry{Key: key, Send: true})
//	mac, err := security.NewHMAC(security.HMACConfig{Name: "cam1", Keys: ring})
//	link := mac.Link(security.LinkConfig{Accept: security.AcceptHMAC, Sign: true})
//	secinfo, out, err := link.Seal(buf[:0], security.Outgoing{To: "desk"}, payload)
//
// # What each provider promises
//
//   - [HMAC] (alg HS256, protocol section 3.1) signs every message by itself, so that a client of thirty lines can do
//     it too. Each message comes from a holder of the key, is whole, was meant for this peer, is at most 60 seconds
//     old, and is executed once. It stays readable to everybody on the way. Who is on the way can also drop it, delay
//     it up to 60 seconds, or change the order of messages, unnoticed. Recorded traffic is no secret to begin with.
//     Clocks must agree within 60 seconds; a clock that is set back lets what was signed in the time that it repeats
//     be replayed. It is meant for at most 1,000 messages a second from one sender.
//   - [Null] promises nothing and takes everybody for a guest. [Claim] is Null that says its name, as quickrpc does;
//     receivers show it as "~name".
//
// # Sessions
//
// Two peers that have an [Identity] each talk in a [Session] instead (protocol sections 3.2 and 4). It promises more than
// HMAC does: who is at the other end is proven by a key of its own and not by one that all members share; nothing was
// changed, repeated, moved or left out; and, unless it is merely [Signed], nobody else can read it, not even who
// recorded it and later gets hold of the mesh's key and of both identities.
//
// A handshake of three messages makes one. Each of its steps appends the params or the result of a request, or reads it:
//
//	dialler                                      listener
//	i, err := security.NewInitiator(cfg)         r := security.NewResponder(cfg)
//	params, err := i.Hello(nil)           -->    result, err := r.Hello(nil, params)   // rpc.hello
//	remote, err := i.Answer(result)       <--
//	params, s, err := i.Auth(nil, "")     -->    s, remote, err := r.Auth(params)      // rpc.auth
//	_, answer, err := s.Open(secinfo, frame, nil)  <--  s.Seal(nil, out, answer)       // seq 0
//
// Both ends must mean the same mesh, hold the same key (or an invite's one-time key), and sit at the two ends of one
// connection where that is TLS; none of this is sent. A [Remote]'s id is proven; the rest is what the holder of that id
// says. So the caller pins the name to the id. Who does not accept a Remote tells it, and nobody else: the dialler with
// Auth's second argument, the listener with an error that it seals in the session.
//
// The form of the frames is agreed inside the handshake. [Sealed], the default, neither uses nor takes anything weaker;
// Signed signs with whoever takes that as well, for a readable wire. Every frame of both directions has that form, and a
// number that is one more than that of the frame before; what has not closes the link, without an answer.
//
// A session lasts 24 hours or 2^32 messages. After 23 hours or 2^31 messages it is [Session.Due]: the dialler makes
// another one, naming the old one in [HandshakeConfig].Renews. Each end says how long a text it takes, [Remote].Max, 4
// MiB by default. A handshake message has at most 4 KiB, and a first message that was seen before is refused by
// [Hellos], for which one peer has one.
//
// Inside TLS, [ServerTLS] and [ClientTLS], the handshake is the same, with [ChannelBinding] as CB: who ends TLS in
// between is found out. A certificate's key comes from the identity ([Identity.Certificate]), so that a pin
// ([Identity.TLSPin]) stays right for as long as the peer id does.
//
// # Lifecycle
//
// A process makes or reads its keys once ([ReadKeyFile], [PassphraseKey]), opens its [Identity], makes one HMAC, and
// from that one Link for each link. None but Identity needs closing. To rotate a key, Add the new one on every peer,
// Use it on every peer, then Remove the old one on every peer; no message is lost between.
//
//	err = ring.Add(security.Entry{Key: next}) // everywhere
//	err = ring.Use(next.ID())                 // everywhere, when all have it
//	ring.Remove(key.ID())                     // everywhere, when all use it
//
// # Refusals
//
// What is not accepted is a [*Refusal]. It knows what the protocol's table of refusals says of its case: the code, the
// form of the answer, whether the link closes, whether it counts as a failure.
//
//	who, payload, err := link.Open(secinfo, frame, kind)
//	var no *security.Refusal
//	if errors.As(err, &no) && no.Answer == security.AnswerSigned {
//		secinfo, out, err = link.Seal(buf[:0], no.Reply(), errorResponse(id, no.APIError()))
//	}
//
// # Concurrency
//
// Key, Keyring, HMAC, Link, Policy, Secret, Identity and Hellos may be used from any number of goroutines. SecInfo,
// Initiator and Responder belong to one at a time; of a Session one may Seal while another one Opens. Signing and verifying take no lock but a short one around the memory against replays, and do not
// allocate once they are warm.
//
// # Limits
//
// A secinfo has at most 12 fields of 128 characters. At most 1,048,576 messages are remembered against replay, 262,144
// of one sender, each for two to four minutes; beyond that messages are refused as busy rather than forgotten. This
// takes 36 to 72 bytes a message, 72 MiB when everything is full. A key file has at most 64 KiB.
//
// # Secrets
//
// Keys print as "[secret kid=…]" whatever prints them; they leave through [Key.Export], [Secret.Bytes] and key files
// alone. Files of secrets have mode 0600 and are refused when looser, somebody else's, or a symbolic link. No error
// quotes a key, a passphrase or a line of a key file.
package security
