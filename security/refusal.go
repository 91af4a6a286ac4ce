package security

import (
	"fmt"
	"strconv"
	"time"

	"peermesh/api"
)

// Reason says in a word why a frame was refused. Reasons name counters and log lines; only those of step 3 and 5
// travel, to senders who have proven that they hold a key.
type Reason string

// The reasons of messages that are signed one by one, by step of protocol section 3.1.
const (
	ReasonUnsigned  Reason = "unsigned"  // no signature where one is required
	ReasonMalformed Reason = "malformed" // step 1: a secinfo that breaks section 3
	ReasonVersion   Reason = "version"   // step 1: v is not 1
	ReasonAlg       Reason = "alg"       // step 1: alg is missing or not allowed
	ReasonFields    Reason = "fields"    // step 1: a field of HS256 is missing or out of form
	ReasonKey       Reason = "key"       // step 1: the kid is unknown or not valid now
	ReasonSignature Reason = "signature" // step 2
	ReasonUser      Reason = "user"      // step 3: the key may not speak for this name
	ReasonReceiver  Reason = "receiver"  // step 3: it is not addressed to me
	ReasonBinding   Reason = "binding"   // step 3: cb is not this connection's
	ReasonStale     Reason = "stale"     // step 4: outside the time window
	ReasonRestart   Reason = "restart"   // step 4: signed before this process started
	ReasonSession   Reason = "session"   // after step 4: the listener takes sessions only
	ReasonReplay    Reason = "replay"    // step 5: seen before
	ReasonFull      Reason = "full"      // step 5: the sender, or all of them, signed too much too quickly
)

// The reasons of handshakes, protocol section 4, beside ReasonMalformed (a message out of form), ReasonVersion (a hello
// with an unknown v or noise), ReasonKey, ReasonReplay (a first message that was seen before) and ReasonUser.
const (
	ReasonHandshake  Reason = "handshake"  // a Noise message does not verify: another key, mesh or link, or it was changed
	ReasonSelf       Reason = "self"       // proven: the static key is my own
	ReasonProtection Reason = "protection" // proven: no form of frames that both ends take
	ReasonDeclined   Reason = "declined"   // proven: the initiator does not accept us
)

// The reasons of a session's frames, protocol section 3.2, beside ReasonUnsigned and ReasonSignature.
const (
	ReasonSequence Reason = "sequence" // seq is not the next one
	ReasonForm     Reason = "form"     // the secinfo is not seq and sig, or the payload does not have the session's form
)

// Answer is the form in which a refused frame is answered. Notifications and responses are never answered, whatever
// it says.
type Answer uint8

const (
	AnswerNone     Answer = iota // nothing
	AnswerNull                   // unsigned, id null, at most 5 a second an address: nothing of the payload was read
	AnswerUnsigned               // unsigned, with the request's own id
	AnswerSigned                 // sealed with Reply, with the request's own id
)

// Refusal is the error of a Provider that does not accept a frame: a row of the table "Refusals" of protocol section
// 3.1. It wraps the *api.Error to answer with, so errors.Is and api.CodeOf find its code. It never holds secrets, nor
// anything that a stranger wrote.
type Refusal struct {
	Code    int           // the JSON-RPC code; 0 where nothing is answered
	Step    int           // step of section 3.1 that refused; 0 for an unsigned frame
	Reason  Reason        // for counters and logs
	Answer  Answer        // how to answer
	Close   bool          // the link closes at once
	Failure bool          // counts as a failure of the link and its address; the third closes the link
	Kid     string        // from step 3 on: id of the key that signed; else empty
	User    string        // from step 3 on: the sender's name, proven or not; else empty
	Now     time.Time     // step 4: the receiver's clock, for data.now
	Retry   time.Duration // ReasonFull: when to try again, for data.retry_ms
	key     *Key
}

// Error says step and reason.
func (r *Refusal) Error() string {
	if r.Step == 0 {
		return "security: refused: " + string(r.Reason)
	}
	return fmt.Sprintf("security: refused in step %d: %s", r.Step, r.Reason)
}

// Unwrap returns APIError, or nil where nothing is answered.
func (r *Refusal) Unwrap() error {
	if r.Code == 0 {
		return nil
	}
	return r.APIError()
}

// APIError returns the error object to answer with. Its data says no more than the protocol allows: nothing to the
// unproven, now for CodeStale, retry_ms for CodeBusy, reason for CodeRefused, and v, the versions that we speak, for
// ReasonVersion.
func (r *Refusal) APIError() *api.Error {
	e := &api.Error{Code: r.Code}
	switch r.Code {
	case api.CodeUnauthenticated:
		e.Message = "unauthenticated"
	case api.CodeStale:
		e.Message = "stale"
		return e.WithData(map[string]string{"now": strconv.FormatInt(r.Now.UnixMilli(), 10)})
	case api.CodeRefused:
		e.Message = "refused"
		if r.Reason == ReasonVersion { // what a stranger may know too
			return e.WithData(map[string][]string{"v": {version1}})
		}
		return e.WithData(map[string]Reason{"reason": r.Reason})
	case api.CodeBusy:
		e.Message = "busy"
		return e.WithData(map[string]int64{"retry_ms": r.Retry.Milliseconds()})
	case api.CodeSessionRequired:
		e.Message = "session required"
	}
	return e
}

// Reply returns the Outgoing for an answer of the form AnswerSigned: to the sender, with the key it signed with.
func (r *Refusal) Reply() Outgoing { return Outgoing{To: r.User, key: r.key} }

func malformed() *Refusal { return &Refusal{Step: 1, Reason: ReasonMalformed, Close: true} }

func unsigned() *Refusal {
	return &Refusal{Code: api.CodeUnauthenticated, Reason: ReasonUnsigned, Answer: AnswerUnsigned, Failure: true}
}

func unauthenticated(step int, why Reason) *Refusal {
	return &Refusal{Code: api.CodeUnauthenticated, Step: step, Reason: why, Answer: AnswerNull, Failure: true}
}
