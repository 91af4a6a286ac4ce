package security

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"strconv"
)

// Secret is a run of bytes that must not be shown: a key. However it is printed, logged or marshalled, what comes out
// is a label such as "[secret kid=cf6785d9]"; the bytes come out of Bytes alone.
//
// A Secret is immutable and safe for concurrent use. The zero Secret is empty.
type Secret struct {
	label string
	// The bytes hide in a closure and not in a field: fmt and the dumpers of test libraries walk into unexported
	// fields and through pointers without asking any method, but not into a function.
	reveal func() []byte
}

func newSecret(label string, b []byte) Secret {
	b = bytes.Clone(b)
	return Secret{label: label, reveal: func() []byte { return b }}
}

// Bytes returns a copy of the secret, or nil for the zero Secret.
func (s Secret) Bytes() []byte { return bytes.Clone(s.view()) }

// view returns the secret itself; callers must not change or keep it.
func (s Secret) view() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// Equal reports whether s and t hold the same bytes, in time that depends on their length alone.
func (s Secret) Equal(t Secret) bool { return subtle.ConstantTimeCompare(s.view(), t.view()) == 1 }

// String returns the label that stands for the secret.
func (s Secret) String() string {
	if s.label == "" {
		return "[secret]"
	}
	return "[secret " + s.label + "]"
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// Format writes String whatever the verb and flags are.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText returns String, so that no encoder finds the bytes.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON returns String as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, s.String()), nil }

// LogValue returns String to log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

var (
	_ fmt.Formatter  = Secret{}
	_ fmt.GoStringer = Secret{}
	_ slog.LogValuer = Secret{}
)
