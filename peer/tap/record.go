package tap

import (
	"encoding/json"
	"time"
)

// RecordVersion is the version of the record format.
const RecordVersion = 1

// Record is one event as peerctl prints it with -o json and saves it: a JSON object on a line. Members that do not
// apply are absent. New members may come; the meaning of those that are here stays within a version.
type Record struct {
	V         int             `json:"v"`
	T         time.Time       `json:"t"`
	N         uint64          `json:"n"`
	Kind      string          `json:"kind"` // request, notify, reply, error, peer, security or note
	Method    string          `json:"method,omitempty"`
	ID        json.RawMessage `json:"id,omitempty"`
	Conv      string          `json:"conv,omitempty"`  // the caller's name and the id
	Again     string          `json:"again,omitempty"` // the conversation that a request repeats, since its link broke
	From      string          `json:"from,omitempty"`
	To        []string        `json:"to,omitempty"`
	All       bool            `json:"all,omitempty"` // a broadcast; To lists who it went to
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Code      int             `json:"code,omitempty"`
	Message   string          `json:"message,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
	MS        float64         `json:"ms,omitempty"`         // from the question to the answer; what follows are parts of it
	QueueMS   float64         `json:"queue_ms,omitempty"`   // in the sender's queue
	NetMS     float64         `json:"net_ms,omitempty"`     // on the way to the receiver, as far as the clocks agree
	WaitMS    float64         `json:"wait_ms,omitempty"`    // in the receiver's queue
	HandlerMS float64         `json:"handler_ms,omitempty"` // of which the handler ran
	Event     string          `json:"event,omitempty"`      // of a peer: joined, updated, suspect, back, left, refused
	Peer      string          `json:"peer,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Address   string          `json:"address,omitempty"`
	APIs      []string        `json:"apis,omitempty"`
	Text      string          `json:"text,omitempty"` // of a note
	Count     uint64          `json:"count,omitempty"`
	Bytes     int             `json:"bytes,omitempty"`
	Cut       bool            `json:"cut,omitempty"` // it was too large to be shown
	Via       string          `json:"via,omitempty"`
	Sec       *Sec            `json:"sec,omitempty"`
	SeenBy    string          `json:"seen_by,omitempty"`
	Dropped   uint64          `json:"dropped"` // records that are missing before this one
}

// Sec is the security verdict on a message. The secinfo frame is folded into the message that it protects.
type Sec struct {
	Alg    string `json:"alg"` // S-HS256 in a session, HS256, or none
	Sealed bool   `json:"sealed"`
	User   string `json:"user,omitempty"`
	OK     bool   `json:"ok"`
}
