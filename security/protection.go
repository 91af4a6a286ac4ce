package security

import "fmt"

// Protection is the form of a session's frames, protocol section 3.2. Both forms are signed.
type Protection uint8

const (
	Sealed Protection = iota // encrypted and signed; the default
	Signed                   // signed and readable by everybody on the way, for debugging
)

// String returns "sealed" or "signed", the words of the handshake.
func (p Protection) String() string {
	switch p {
	case Sealed:
		return "sealed"
	case Signed:
		return "signed"
	}
	return fmt.Sprintf("Protection(%d)", uint8(p))
}

// ParseProtection is the inverse of String.
func ParseProtection(s string) (Protection, error) {
	switch s {
	case "sealed":
		return Sealed, nil
	case "signed":
		return Signed, nil
	}
	return 0, fmt.Errorf("security: %q: say sealed or signed", s)
}
