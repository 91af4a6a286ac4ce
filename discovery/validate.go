package discovery

import (
	"errors"
	"fmt"
	"net/netip"
)

// Validate reports what is wrong with an announcement. The zero Announcement is fine, and so is one without a port.
func (a Announcement) Validate() error {
	if a.ID != "" && !ValidID(a.ID) {
		return fmt.Errorf("discovery: peer id %q is not 32 characters of lower-case base32", a.ID)
	}
	if a.Name != "" && !ValidName(a.Name) {
		return fmt.Errorf("discovery: peer name %q is not of the form [a-z0-9][a-z0-9_-]{0,52}", a.Name)
	}
	if a.Boot != "" && !ValidBoot(a.Boot) {
		return fmt.Errorf("discovery: boot %q is not 13 digits, a hyphen and 8 hex digits", a.Boot)
	}
	if a.Port < 0 || a.Port > 65535 {
		return fmt.Errorf("discovery: port %d is out of range", a.Port)
	}
	if a.Announces() && (a.Name == "" || a.Boot == "") {
		return errors.New("discovery: an announcement with a port needs a name and a boot")
	}
	for _, s := range a.Addrs {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
			return fmt.Errorf("discovery: %q is no IP address that can be announced", s)
		}
	}
	return nil
}

// ValidID reports whether s has the form of a peer id: 32 characters of lower-case base32.
func ValidID(s string) bool {
	if len(s) != idLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// ValidName reports whether s has the form of a peer name: [a-z0-9][a-z0-9_-]{0,52}.
func ValidName(s string) bool {
	if s == "" || len(s) > maxName || s[0] == '-' || s[0] == '_' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// ValidBoot reports whether s has the form of a boot: 13 digits, a hyphen and 8 hex digits.
func ValidBoot(s string) bool {
	if len(s) != bootLen {
		return false
	}
	for i := range len(s) {
		c := s[i]
		digit := c >= '0' && c <= '9'
		switch {
		case i < 13 && !digit, i == 13 && c != '-', i > 13 && !digit && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}
