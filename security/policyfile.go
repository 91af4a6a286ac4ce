package security

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPolicyFile bounds a policy file, in bytes.
const maxPolicyFile = 1 << 20

// PolicyFileError says where a policy file is wrong.
type PolicyFileError struct {
	Path    string // empty when the text came from elsewhere
	Line    int    // from 1; 0 for the file as a whole
	Problem string
	Err     error // ErrRule, where the words are right but the rule is not
}

func (e *PolicyFileError) Error() string {
	var b strings.Builder
	b.WriteString("security: policy file")
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
func (e *PolicyFileError) Unwrap() error { return e.Err }

// ParsePolicyFile reads the text of a policy file, which users write by hand. Each line is a rule:
//
//	# who             what
//	user:bob          allow lab.camera.* lab.stage.home
//	key:cf6785d9      deny  lab.stage.*                  # to the mesh's simple clients
//	guest             allow lab.status override          # though members alone may by default
//	peer:zjcooxhlnb4bomlbbmge4zanyxpqvgpe role admin
//
// Principals and patterns are those of Rule; "override" behind the patterns is its Override. A word that begins with #
// begins a comment. No rules at all are a policy too. What Decision.Why names is a line: "line 2: allow lab.camera.* to
// user:bob". Every error is a *PolicyFileError.
func ParsePolicyFile(text []byte) (*Policy, error) {
	p := new(Policy)
	err := parsePolicyRules(text, func(n int, r *Rule) error { return p.add(r, fmt.Sprintf("line %d", n)) })
	if err != nil {
		return nil, err
	}
	return p, nil
}

// ReadPolicyFile reads a policy file. It returns ErrInsecureFile unless the file is a plain one that nobody but the user,
// or root, can change (on Windows: a plain one), and else the errors of ParsePolicyFile and of the operating system.
// Others may read it.
func ReadPolicyFile(path string) (*Policy, error) {
	f, err := openPolicy(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readAll(f, maxPolicyFile)
	if err != nil {
		return nil, err
	}
	p, err := ParsePolicyFile(text)
	if e, ok := err.(*PolicyFileError); ok {
		e.Path = path
	}
	return p, err
}

// parsePolicyRules calls add with each rule and its line.
func parsePolicyRules(text []byte, add func(line int, r *Rule) error) error {
	if len(text) > maxPolicyFile {
		return &PolicyFileError{Problem: fmt.Sprintf("it is larger than %d bytes", maxPolicyFile)}
	}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		words := strings.Fields(string(line))
		for i, w := range words {
			if w[0] == '#' {
				words = words[:i]
				break
			}
			if !utf8.ValidString(w) || strings.ContainsFunc(w, func(r rune) bool { return !unicode.IsPrint(r) }) {
				return &PolicyFileError{Line: n, Problem: fmt.Sprintf("%.60q holds what cannot be printed", w)}
			}
		}
		if len(words) == 0 {
			continue
		}
		r, problem := parsePolicyRule(words)
		if problem != "" {
			return &PolicyFileError{Line: n, Problem: problem}
		}
		if err := add(n, r); err != nil {
			return &PolicyFileError{Line: n, Problem: err.Error(), Err: errors.Join(ErrRule, err)}
		}
	}
	return nil
}

// parsePolicyRule reads the words of one line, or says what is wrong with them.
func parsePolicyRule(words []string) (r *Rule, problem string) {
	r = &Rule{Principal: words[0]}
	switch kind, _, named := strings.Cut(words[0], ":"); kind {
	case "invite", "guest":
	case "peer", "user", "key", "role":
		if !named {
			return nil, fmt.Sprintf("say which %s: %[1]s:<…>", kind)
		}
	default:
		return nil, fmt.Sprintf("%.60q is no principal%s: say peer:<id>, user:<name>, key:<kid>, role:<role>, invite or guest",
			words[0], meant(nearest(kind, "peer", "user", "key", "role", "invite", "guest")))
	}
	if len(words) < 3 {
		return nil, "want PRINCIPAL allow|deny PATTERN…, or PRINCIPAL role ROLE"
	}
	rest := words[2:]
	switch words[1] {
	case "deny":
		r.Deny = rest
	case "allow":
		if last := len(rest) - 1; last > 0 && rest[last] == "override" {
			r.Override, rest = true, rest[:last]
		}
		r.Allow = rest
	case "role":
		if len(rest) != 1 {
			return nil, "want one role"
		}
		r.Role = Role(rest[0])
	default:
		return nil, fmt.Sprintf("%.60q is none of allow, deny and role%s", words[1], meant(nearest(words[1], "allow", "deny", "role")))
	}
	return r, ""
}

func meant(word string) string {
	if word == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", word)
}

// nearest returns the word that takes the fewest changes of a letter to make of what was written, "" when none is near.
func nearest(written string, words ...string) string {
	best, least := "", 3
	if len(written) > 2*MaxName {
		return ""
	}
	written = strings.ToLower(written)
	for _, w := range words {
		row := make([]int, len(w)+1) // changes from what was read of written to each beginning of w
		for j := range row {
			row[j] = j
		}
		for i := range len(written) {
			corner := row[0]
			row[0] = i + 1
			for j := range len(w) {
				change := corner
				if written[i] != w[j] {
					change++
				}
				corner, row[j+1] = row[j+1], min(change, row[j]+1, row[j+1]+1)
			}
		}
		if d := row[len(w)]; d < least && d < len(w) {
			best, least = w, d
		}
	}
	return best
}
