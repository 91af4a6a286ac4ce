package security

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// maxKeyFile bounds a key file, in bytes: some 400 keys.
const maxKeyFile = 64 << 10

const keyFileVersion = "peermesh-keys 1"

const keyFileHead = `# Keys of a mesh. Whoever reads this file is a member of the mesh: keep it to yourself (mode 0600).
# One key a line, after the line with the version:
#   kid=         its id, 8 hexadecimal digits, checked against the key
#   key=         the secret itself, 64 hexadecimal digits
#   users=a,b    a device key: the names that it may speak for; without it: the mesh's own key, which speaks for anyone
#   role=        guest, member (the default), admin or a role of your own
#   nbf= exp=    valid from, valid until: RFC 3339 times, such as 2026-11-20T00:00:00Z
#   send         sign with this one
#   wildcard_calls   calls signed with it may be addressed to everybody
`

// KeyFileError says where a key file is wrong. It never quotes the file.
type KeyFileError struct {
	Path    string // empty when the text came from elsewhere
	Line    int    // from 1; 0 for the file as a whole
	Problem string
	Err     error // ErrKeyForm, ErrKeyWeak or ErrEntry, where one of them is the cause
}

func (e *KeyFileError) Error() string {
	var b strings.Builder
	b.WriteString("security: key file")
	if e.Path != "" {
		b.WriteString(" " + e.Path)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d", e.Line)
	}
	b.WriteString(": " + e.Problem)
	return b.String()
}

// Unwrap returns Err.
func (e *KeyFileError) Unwrap() error { return e.Err }

// ParseKeyFile reads the text of a key file: what FormatKeyFile writes, or nothing but 64 hexadecimal digits, which is
// one group key to sign with. It is strict: an unknown word, a word given twice, a key given twice is an error. Every
// error is a *KeyFileError.
func ParseKeyFile(text []byte) ([]Entry, error) {
	if len(text) > maxKeyFile {
		return nil, &KeyFileError{Problem: fmt.Sprintf("it is larger than %d bytes", maxKeyFile)}
	}
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 2*KeySize && bytes.IndexByte(trimmed, '\n') < 0 {
		k, err := ParseKey(trimmed)
		if err != nil {
			return nil, keyProblem(1, err)
		}
		return []Entry{{Key: k, Role: RoleMember, Send: true}}, nil
	}
	var entries []Entry
	versioned := false
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
		case !versioned:
			if string(line) != keyFileVersion {
				return nil, &KeyFileError{Line: n, Problem: "it is neither 64 hexadecimal digits nor a key file of version 1"}
			}
			versioned = true
		default:
			e, err := parseEntry(line, n)
			if err != nil {
				return nil, err
			}
			for _, other := range entries {
				if other.Key.Equal(e.Key) {
					return nil, &KeyFileError{Line: n, Problem: "the key is there twice", Err: ErrEntry}
				}
			}
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return nil, &KeyFileError{Problem: "it holds no key"}
	}
	return entries, nil
}

// parseEntry reads one line of words.
func parseEntry(line []byte, n int) (Entry, error) {
	var e Entry
	var kid string
	seen := make(map[string]bool, 8)
	fail := func(problem string, err error) (Entry, error) {
		return Entry{}, &KeyFileError{Line: n, Problem: problem, Err: err}
	}
	for word := range bytes.FieldsSeq(line) {
		name, value, valued := bytes.Cut(word, []byte("="))
		var err error
		switch string(name) {
		case "kid":
			kid = string(value)
		case "key":
			if e.Key, err = ParseKey(value); err != nil {
				return Entry{}, keyProblem(n, err)
			}
		case "users":
			e.Users = strings.Split(string(value), ",")
		case "role":
			if e.Role = Role(value); e.Role == "" {
				return fail("role is empty", ErrEntry)
			}
		case "nbf":
			e.NotBefore, err = keyTime(value)
		case "exp":
			e.NotAfter, err = keyTime(value)
		case "send":
			e.Send = true
		case "wildcard_calls":
			e.WildcardCalls = true
		default: // the word may be a mistyped key: it is not quoted
			return fail("a word is none of kid= key= users= role= nbf= exp= send wildcard_calls", nil)
		}
		if err != nil {
			return fail(string(name)+" is no RFC 3339 time", nil)
		}
		if flag := string(name) == "send" || string(name) == "wildcard_calls"; flag && valued {
			return fail(string(name)+" takes no value", nil)
		}
		if seen[string(name)] {
			return fail(string(name)+" is given twice", nil)
		}
		seen[string(name)] = true
	}
	if e.Key == nil {
		return fail("key= is missing", nil)
	}
	if seen["kid"] && kid != e.Key.kid {
		return fail("the kid is not that of the key: one of them was changed", nil)
	}
	c, err := e.check()
	if err != nil { // check quotes names, which may be a key in the wrong place
		return fail("users, role or times are no good: names are of a-z 0-9 _ -, each listed once; nbf comes before exp, both from 1970 on", ErrEntry)
	}
	return *c, nil
}

func keyProblem(line int, err error) *KeyFileError {
	return &KeyFileError{Line: line, Problem: strings.TrimPrefix(err.Error(), "security: "), Err: err}
}

func keyTime(b []byte) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err == nil && t.IsZero() {
		return t, ErrEntry // the zero time means "no bound" elsewhere
	}
	return t.UTC(), err
}

// FormatKeyFile returns the text of a key file that holds entries, keys and all. Reading it gives them back, times in
// UTC. It returns ErrEntry for entries that no Keyring takes, and a *KeyFileError for none and for more than
// ParseKeyFile reads.
func FormatKeyFile(entries []Entry) ([]byte, error) {
	r, err := NewKeyring(entries...)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, &KeyFileError{Problem: "there is no key to write"}
	}
	b := []byte(keyFileHead + keyFileVersion + "\n")
	for _, e := range r.Entries() {
		b = fmt.Appendf(b, "kid=%s key=%s", e.Key.ID(), e.Key.Export())
		if e.Users != nil {
			b = fmt.Appendf(b, " users=%s", strings.Join(e.Users, ","))
		}
		b = fmt.Appendf(b, " role=%s", e.Role)
		if !e.NotBefore.IsZero() {
			b = e.NotBefore.UTC().AppendFormat(append(b, " nbf="...), time.RFC3339Nano)
		}
		if !e.NotAfter.IsZero() {
			b = e.NotAfter.UTC().AppendFormat(append(b, " exp="...), time.RFC3339Nano)
		}
		if e.Send {
			b = append(b, " send"...)
		}
		if e.WildcardCalls {
			b = append(b, " wildcard_calls"...)
		}
		b = append(b, '\n')
	}
	if len(b) > maxKeyFile {
		return nil, &KeyFileError{Problem: fmt.Sprintf("it would be larger than %d bytes", maxKeyFile)}
	}
	return b, nil
}

// ReadKeyFile reads a key file. It returns ErrInsecureFile unless the file is a plain one, the user's own, and closed to
// all others (on Windows: a plain one), and else the errors of ParseKeyFile and of the operating system.
func ReadKeyFile(path string) ([]Entry, error) {
	text, err := readPrivate(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	entries, err := ParseKeyFile(text)
	if e, ok := err.(*KeyFileError); ok {
		e.Path = path
	}
	return entries, err
}

// CreateKeyFile makes a key file with mode 0600, and its folder with 0700 when that is missing. It returns fs.ErrExist
// when the file is there, ErrInsecureFile when others can change the folder, and else the errors of FormatKeyFile and
// of the operating system.
func CreateKeyFile(path string, entries []Entry) error {
	return writeKeyFile(createPrivate, path, entries)
}

// ReplaceKeyFile writes a key file in the place of the one that is there, if any: readers see the old one or the new
// one, whole, also after a power cut. Errors are those of CreateKeyFile but fs.ErrExist; ErrInsecureFile also when the
// file to be replaced is not private. Of two writers the last one wins.
func ReplaceKeyFile(path string, entries []Entry) error {
	return writeKeyFile(replacePrivate, path, entries)
}

func writeKeyFile(write func(string, []byte) error, path string, entries []Entry) error {
	text, err := FormatKeyFile(entries)
	if err != nil {
		return err
	}
	defer clear(text)
	return write(path, text)
}
