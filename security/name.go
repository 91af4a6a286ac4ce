package security

import "fmt"

// MaxName is the greatest length of a peer's name.
const MaxName = 53

// ValidName reports whether name is a peer's name: [a-z0-9][a-z0-9_-]{0,52}, protocol section 3. Such a name fits,
// with a short id, into a DNS label, and needs no quoting in file names, JSON or a shell.
func ValidName[T ~string | ~[]byte](name T) bool {
	if len(name) == 0 || len(name) > MaxName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// NameError says that a text is no name.
type NameError struct{ Name string }

func (e *NameError) Error() string {
	return fmt.Sprintf("security: %q is no name: 1 to %d of a-z 0-9 _ -, the first of a-z 0-9", e.Name, MaxName)
}
