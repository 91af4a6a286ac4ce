package security

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// maxInvitesFile bounds a file of invites, in bytes.
const maxInvitesFile = 1 << 20

const invitesVersion = "peermesh-invites 1"

const invitesHead = `# Invites that were given out. Who reads an open one can join the mesh with it: keep this file to yourself (mode 0600).
# One line each, after the line with the version:
#   open ROLE CODE
#   used ROLE KID MESH EXPIRES
`

// InvitesError says where a file of invites is wrong. It never quotes the file.
type InvitesError struct {
	Path    string // empty when the text came from elsewhere
	Line    int    // from 1
	Problem string
}

func (e *InvitesError) Error() string {
	return fmt.Sprintf("security: invites %s, line %d: %s", e.Path, e.Line, e.Problem)
}

// parseInvites reads the text of a file of invites; nothing at all is an empty one. Every error is an *InvitesError.
func parseInvites(text []byte) ([]inviteRecord, error) {
	var records []inviteRecord
	kids := map[string]bool{}
	versioned := false
	n := 0
	for line := range bytes.Lines(text) {
		n++
		fail := func(problem string) ([]inviteRecord, error) { return nil, &InvitesError{Line: n, Problem: problem} }
		if line[len(line)-1] != '\n' {
			return fail("it does not end with a newline: the file may be cut off")
		}
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
		case !versioned:
			if string(line) != invitesVersion {
				return fail("it is no file of invites of version 1")
			}
			versioned = true
		default:
			r, problem := parseInviteRecord(strings.Fields(string(line)))
			if problem == "" && kids[r.Kid] {
				problem = "its kid is there already"
			}
			if problem != "" {
				return fail(problem)
			}
			kids[r.Kid] = true
			records = append(records, r)
		}
	}
	return records, nil
}

// parseInviteRecord reads the words of one line, or says what is wrong with them.
func parseInviteRecord(words []string) (r inviteRecord, problem string) {
	if len(words) < 2 || !ValidName(words[1]) {
		return r, "want open or used, and a role"
	}
	r.Role = Role(words[1])
	switch {
	case words[0] == "open" && len(words) == 3:
		i, err := ParseInvite(words[2])
		if err != nil {
			return r, strings.TrimPrefix(err.Error(), "security: ")
		}
		r.invite, r.Kid, r.Mesh, r.Expires = i, i.Key.kid, i.Mesh, i.Expires
		return r, ""
	case words[0] == "used" && len(words) == 5:
		t, err := time.Parse(time.RFC3339, words[4])
		if err != nil || t.UTC().Year() < 1970 || t.UTC().Year() > 9999 || !lowerHex([]byte(words[2]), 8) || !ValidName(words[3]) {
			return r, "want used ROLE KID MESH EXPIRES"
		}
		r.Used, r.Kid, r.Mesh, r.Expires = true, words[2], words[3], t.UTC().Truncate(time.Second)
		return r, ""
	}
	return r, "want open ROLE CODE or used ROLE KID MESH EXPIRES"
}

// formatInvites returns the text of the file; reading it gives records back.
func formatInvites(records []inviteRecord) []byte {
	b := []byte(invitesHead + invitesVersion + "\n")
	for i := range records {
		r := &records[i]
		if r.Used {
			b = fmt.Appendf(b, "used %s %s %s %s\n", r.Role, r.Kid, r.Mesh, r.Expires.Format(time.RFC3339))
		} else {
			b = fmt.Appendf(b, "open %s %s\n", r.Role, r.invite.Code())
		}
	}
	return b
}
