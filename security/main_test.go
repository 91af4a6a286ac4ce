package security_test

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peermesh/security"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// t0 is the time of vector A1, the clock of most tests.
var t0 = time.UnixMilli(1767225600000)

const (
	groupHex  = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	deviceHex = "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
	groupKid  = "cf6785d9"
	deviceKid = "86913cf4"
)

const (
	notePayload = `{"jsonrpc":"2.0","method":"chat.say","params":{"text":"hello"}}`
	callPayload = `{"jsonrpc":"2.0","method":"temp.set","params":{"celsius":21.5},"id":7}`
)

// signature is the protocol's text of section 3.1, written a second time, as an oracle for the package.
func signature(key []byte, fields map[string]string, payload string) (sig, signed string) {
	mac, err := hkdf.Expand(sha256.New, key, "rpc.secinfo/1 hmac", 32)
	if err != nil {
		panic(err)
	}
	return rawSignature(mac, fields, payload)
}

func rawSignature(mac []byte, fields map[string]string, payload string) (sig, signed string) {
	signed = "rpc.secinfo/1\n"
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "sig" {
			signed += fmt.Sprintf("%s=%d:%s\n", name, len(fields[name]), fields[name])
		}
	}
	signed += fmt.Sprintf("\n%d:%x\n", len(payload), sha256.Sum256([]byte(payload)))
	h := hmac.New(sha256.New, mac)
	h.Write([]byte(signed))
	return hex.EncodeToString(h.Sum(nil)), signed
}

// message is a signed message as another implementation would make it.
type message struct {
	key     string // hex
	fields  map[string]string
	payload string
}

var nonceCounter = make(chan uint64, 1)

func init() { nonceCounter <- 0 }

// from returns a correct call from user to bob, signed with key at t0, with a nonce of its own.
func from(key, kid, user string) *message {
	n := <-nonceCounter + 1
	nonceCounter <- n
	return &message{key: key, payload: callPayload, fields: map[string]string{
		"v": "1", "alg": "HS256", "kid": kid, "user": user, "to": "bob",
		"ts": strconv.FormatInt(t0.UnixMilli(), 10), "nonce": fmt.Sprintf("%032x", n),
	}}
}

func group(user string) *message  { return from(groupHex, groupKid, user) }
func device(user string) *message { return from(deviceHex, deviceKid, user) }

// with sets a field, or deletes it when value is "-".
func (m *message) with(name, value string) *message {
	if value == "-" {
		delete(m.fields, name)
	} else {
		m.fields[name] = value
	}
	return m
}

func (m *message) at(ts time.Time) *message {
	return m.with("ts", strconv.FormatInt(ts.UnixMilli(), 10))
}

func (m *message) says(payload string) *message { m.payload = payload; return m }

// params signs m, unless it has a sig already, and returns the params of its secinfo.
func (m *message) params() []byte {
	if m.fields["sig"] == "" {
		raw, err := hex.DecodeString(m.key)
		if err != nil {
			panic(err)
		}
		m.fields["sig"], _ = signature(raw, m.fields, m.payload)
	}
	b, err := json.Marshal(m.fields)
	if err != nil {
		panic(err)
	}
	return b
}

// always returns a kind function that says k, and counts its calls.
func always(k security.Kind) (func([]byte) security.Kind, *int) {
	n := new(int)
	return func([]byte) security.Kind { *n++; return k }, n
}

// fakeClock is a clock that tests turn. Not for concurrent use.
type fakeClock struct{ now time.Time }

func (c *fakeClock) Now() time.Time { return c.now }

// bobRing is what bob holds: the group key and the device key of sensor-1.
func bobRing(t testing.TB) *security.Keyring {
	return mustRing(t,
		security.Entry{Key: mustParse(t, groupHex), Send: true},
		security.Entry{Key: mustParse(t, deviceHex), Users: []string{"sensor-1", "bob"}},
	)
}

// bob is a receiver that started an hour before t0.
func bob(t testing.TB, clock *fakeClock) *security.HMAC {
	return mustHMAC(t, security.HMACConfig{
		Name: "bob", Keys: bobRing(t), Now: clock.Now, Start: t0.Add(-time.Hour),
		Taken: func(name string) bool { return name == "pinned" },
	})
}
