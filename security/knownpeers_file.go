package security

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxKnownPeers bounds a file of known peers, in bytes.
const maxKnownPeers = 16 << 20

const knownPeersVersion = "peermesh-known-peers 1"

const knownPeersHead = `# The peers that were met, and the names that belong to them. One line each, after the line with the version:
#   MESH NAME ID [how=first-use|pinned|invited] [role=ROLE] [since=TIME] [revoked]
# A name that is here belongs to that id and no other. A peer whose id is revoked is refused; its name may be "-".
# What lines say of one id must agree. Lines may be changed and removed by hand, and comments stay.
`

// KnownPeersError says where a file of known peers is wrong.
type KnownPeersError struct {
	Path    string // empty when the text came from elsewhere
	Line    int    // from 1
	Problem string
}

func (e *KnownPeersError) Error() string {
	return fmt.Sprintf("security: known peers %s, line %d: %s", e.Path, e.Line, e.Problem)
}

// knownLine is a line of the file: a peer, or a comment, an empty line or the version.
type knownLine struct {
	peer  KnownPeer // without an ID for the others
	other string
}

// knownState is one immutable state of KnownPeers.
type knownState struct {
	lines    []knownLine
	byName   map[meshed]int // line of a name
	byID     map[meshed]int // last line of an id
	firstUse map[string]int // pins made by first use, by mesh
}

// meshed is a name or an id of a mesh.
type meshed struct{ mesh, text string }

// newKnownState indexes lines, which it keeps. It returns *KnownPeersError for lines that contradict each other.
func newKnownState(lines []knownLine) (*knownState, error) {
	s := &knownState{lines: lines, byName: map[meshed]int{}, byID: map[meshed]int{}, firstUse: map[string]int{}}
	for i := range lines {
		p := &lines[i].peer
		if p.ID == "" {
			continue
		}
		name, id := meshed{p.Mesh, p.Name}, meshed{p.Mesh, p.ID}
		if first, twice := s.byName[name]; twice && p.Name != "" {
			return nil, &KnownPeersError{Line: i + 1, Problem: fmt.Sprintf("the name %s stands in line %d already", p.Name, first+1)}
		}
		if first, again := s.byID[id]; again {
			q := &lines[first].peer
			if p.Role != q.Role || p.Revoked != q.Revoked {
				return nil, &KnownPeersError{Line: i + 1, Problem: fmt.Sprintf("line %d says otherwise of the same id: its role and revocation must agree", first+1)}
			}
			if p.Name == "" || q.Name == "" {
				return nil, &KnownPeersError{Line: i + 1, Problem: fmt.Sprintf("line %d has the same id: one of the two is too many", first+1)}
			}
		}
		if p.Name != "" {
			s.byName[name] = i
		}
		s.byID[id] = i
		if p.How == HowFirstUse {
			s.firstUse[p.Mesh]++
		}
	}
	return s, nil
}

// name returns the pin of a name, nil when there is none.
func (s *knownState) name(mesh, name string) *KnownPeer {
	if i, ok := s.byName[meshed{mesh, name}]; ok {
		return &s.lines[i].peer
	}
	return nil
}

// id returns the last pin of an id, nil when there is none.
func (s *knownState) id(mesh, id string) *KnownPeer {
	if i, ok := s.byID[meshed{mesh, id}]; ok {
		return &s.lines[i].peer
	}
	return nil
}

// find returns a peer by its id or name. What looks like an id is none but an id: a peer could call itself by the id of
// another.
func (s *knownState) find(mesh, nameOrID string) *KnownPeer {
	if validPeerID(nameOrID) {
		return s.id(mesh, nameOrID)
	}
	return s.name(mesh, nameOrID)
}

// peers returns copies of the peers of a mesh, or of all, in the order of the file.
func (s *knownState) peers(mesh string) []KnownPeer {
	var out []KnownPeer
	for i := range s.lines {
		if p := &s.lines[i].peer; p.ID != "" && (mesh == "" || p.Mesh == mesh) {
			out = append(out, *p)
		}
	}
	return out
}

// judge says whether name is pinned to id, or may be, or why not.
func (s *knownState) judge(mesh, name, id string) (known bool, err error) {
	if p := s.id(mesh, id); p != nil && p.Revoked {
		return false, &RevokedError{Mesh: mesh, ID: id, Name: p.Name}
	}
	switch p := s.name(mesh, name); {
	case p == nil:
	case p.ID == id:
		return true, nil
	default:
		return false, &PinError{Pinned: *p, Got: id}
	}
	if err := validKnown(mesh, name, id, ""); err != nil {
		return false, err
	}
	if s.firstUse[mesh] >= MaxFirstUse {
		return false, ErrTooManyPins
	}
	return false, nil
}

// with returns the lines with p in the place of what was known under its name, and with its role and revocation for
// all names of its id.
func (s *knownState) with(p KnownPeer) []knownLine {
	lines := slices.Clone(s.lines)
	if i, ok := s.byName[meshed{p.Mesh, p.Name}]; ok {
		if old := lines[i].peer; old.ID != p.ID && old.Revoked && s.names(old.Mesh, old.ID) == 1 {
			old.Name = ""
			lines = append(lines, knownLine{peer: old}) // still revoked
		}
		lines[i].peer = p
	} else {
		lines = append(lines, knownLine{peer: p})
	}
	for i := range lines {
		if q := &lines[i].peer; q.Mesh == p.Mesh && q.ID == p.ID {
			q.Role, q.Revoked = p.Role, p.Revoked
		}
	}
	return lines
}

// names returns how many lines an id has.
func (s *knownState) names(mesh, id string) (n int) {
	for i := range s.lines {
		if p := &s.lines[i].peer; p.Mesh == mesh && p.ID == id {
			n++
		}
	}
	return n
}

// parseKnownPeers reads the text of a file of known peers; nothing at all is an empty one. Every error is a
// *KnownPeersError.
func parseKnownPeers(text []byte) (*knownState, error) {
	var lines []knownLine
	versioned := false
	for line := range bytes.Lines(text) {
		n := len(lines) + 1
		fail := func(problem string) (*knownState, error) {
			return nil, &KnownPeersError{Line: n, Problem: problem}
		}
		if line[len(line)-1] != '\n' { // what was cut off may have been the word "revoked"
			return fail("it does not end with a newline: the file may be cut off")
		}
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
			lines = append(lines, knownLine{other: string(line)})
		case !versioned:
			if string(line) != knownPeersVersion {
				return fail(fmt.Sprintf("want %q before all else", knownPeersVersion))
			}
			versioned = true
			lines = append(lines, knownLine{other: knownPeersVersion})
		default:
			p, problem := parseKnownPeer(strings.Fields(string(line)))
			if problem != "" {
				return fail(problem)
			}
			lines = append(lines, knownLine{peer: p})
		}
	}
	return newKnownState(lines)
}

// parseKnownPeer reads the words of one line, or says what is wrong with them.
func parseKnownPeer(words []string) (p KnownPeer, problem string) {
	if len(words) < 3 {
		return p, "want MESH NAME ID"
	}
	p = KnownPeer{Mesh: words[0], Name: words[1], ID: words[2], How: HowPinned}
	if p.Name == "-" {
		p.Name = ""
	}
	switch {
	case !ValidName(p.Mesh):
		return p, fmt.Sprintf("%.60q is no name of a mesh", p.Mesh)
	case p.Name != "" && !ValidName(p.Name):
		return p, fmt.Sprintf("%.60q is no name of a peer", p.Name)
	case !validPeerID(p.ID):
		return p, fmt.Sprintf("%.60q is no peer id: 32 characters a-z 2-7", p.ID)
	}
	seen := make(map[string]bool, 4)
	for _, word := range words[3:] {
		name, value, valued := strings.Cut(word, "=")
		if seen[name] {
			return p, fmt.Sprintf("%.60q is given twice", name)
		}
		seen[name] = true
		switch {
		case name == "how" && value == "first-use":
			p.How = HowFirstUse
		case name == "how" && (value == HowPinned || value == HowInvited):
			p.How = value
		case name == "how":
			return p, "how= is first-use, pinned or invited"
		case name == "role" && valued:
			if p.Role = Role(value); !ValidName(p.Role) {
				return p, fmt.Sprintf("%.60q is no role", value)
			}
		case name == "since" && valued:
			t, err := time.Parse(time.RFC3339, value)
			if err != nil || t.UTC().Year() < 1970 || t.UTC().Year() > 9999 {
				return p, "since= is no RFC 3339 time, such as 2026-11-20T00:00:00Z"
			}
			p.Since = t.UTC().Truncate(time.Second)
		case name == "revoked" && !valued:
			p.Revoked = true
		default:
			return p, fmt.Sprintf("%.60q is none of how= role= since= revoked", word)
		}
	}
	if p.Name == "" && !p.Revoked {
		return p, "an id without a name is of use only when it is revoked"
	}
	return p, ""
}

// format returns the text of the file; reading it gives s back.
func (s *knownState) format() []byte {
	var b []byte
	if !slices.ContainsFunc(s.lines, func(l knownLine) bool { return l.other == knownPeersVersion }) {
		b = append(b, knownPeersHead+knownPeersVersion+"\n"...)
	}
	for i := range s.lines {
		b = append(s.lines[i].append(b), '\n')
	}
	return b
}

func (l *knownLine) append(b []byte) []byte {
	p := &l.peer
	if p.ID == "" {
		return append(b, l.other...)
	}
	name := p.Name
	if name == "" {
		name = "-"
	}
	b = fmt.Appendf(b, "%s %s %s how=%s", p.Mesh, name, p.ID, strings.ReplaceAll(p.How, " ", "-"))
	if p.Role != "" {
		b = fmt.Appendf(b, " role=%s", p.Role)
	}
	if !p.Since.IsZero() {
		b = p.Since.AppendFormat(append(b, " since="...), time.RFC3339)
	}
	if p.Revoked {
		b = append(b, " revoked"...)
	}
	return b
}
