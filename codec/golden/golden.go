// Package golden reads conversations in JSON-RPC, and checks that a peer holds its side of them. The files are in
// codec/testdata; tests run the same ones over every transport.
//
// A file holds one topic, a line for each frame:
//
//	// row 15: what the comment says belongs to the next step, and so does the row of the conformance list
//	--> {"jsonrpc":"2.0","id":1,"method":"subtract","params":[42,23]}
//	<-- {"jsonrpc":"2.0","id":1,"result":19}
//
// Lines with --> are sent to the peer and lines with <-- are what it answers; the --> lines that follow one another,
// with the <-- lines behind them, are one [Step]. A step without <-- is met with silence, which shows when the next
// step's answer is the next frame. An empty line or a comment ends a step, so that two silent frames can be two steps.
//
// In both kinds of lines $(n*text) stands for text repeated n times. The text goes up to the next ")" and may hold the
// escapes of Go strings, so that $(1*\xef\xbb\xbf) is a byte order mark.
//
// Frames hold no line break and no NUL, so that every framing can carry them. A step whose frames are more than 4 KiB
// is never the first of its file, since peers take so much only from those who have said something valid before.
package golden

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Script is one conversation.
type Script struct {
	Name  string // of the file, without .jsonrpc
	Steps []Step
}

// Step is what is sent at once and what is answered to it.
type Step struct {
	Line int      // in the file, of the first frame
	Note string   // the comment before it
	Rows []int    // of the conformance list that it covers
	Send [][]byte // frames, without delimiters
	Want [][]byte // the answers, in any order; Check compares them
}

const suffix = ".jsonrpc"

// Load reads the scripts of a directory, such as os.DirFS("../codec/testdata"), by ascending name.
func Load(fsys fs.FS) ([]Script, error) {
	names, err := fs.Glob(fsys, "*"+suffix)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("golden: there is no *%s", suffix)
	}
	var scripts []Script
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		s, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("golden: %s:%w", name, err)
		}
		s.Name = strings.TrimSuffix(path.Base(name), suffix)
		scripts = append(scripts, s)
	}
	return scripts, nil
}

var rowsPattern = regexp.MustCompile(`^rows? ([0-9]+(?:, ?[0-9]+)*): `)

func parse(raw []byte) (Script, error) {
	var (
		s    Script
		note []string
		open bool // the last step may still grow
	)
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		comment, isComment := strings.CutPrefix(line, "//")
		sent, isSent := strings.CutPrefix(line, "--> ")
		answer, isAnswer := strings.CutPrefix(line, "<-- ")
		switch {
		case strings.TrimSpace(line) == "":
			open, note = false, nil
		case isComment:
			note = append(note, strings.TrimSpace(comment))
			open = false
		case isSent:
			frame, err := expand(sent)
			if err != nil {
				return s, fmt.Errorf("%d: %w", n, err)
			}
			if !open || len(s.Steps[len(s.Steps)-1].Want) > 0 {
				step, err := newStep(n, note)
				if err != nil {
					return s, fmt.Errorf("%d: %w", n, err)
				}
				s.Steps = append(s.Steps, step)
				open, note = true, nil
			}
			last := &s.Steps[len(s.Steps)-1]
			last.Send = append(last.Send, frame)
		case isAnswer && open:
			frame, err := expand(answer)
			if err != nil {
				return s, fmt.Errorf("%d: %w", n, err)
			}
			last := &s.Steps[len(s.Steps)-1]
			last.Want = append(last.Want, frame)
		default:
			return s, fmt.Errorf("%d: want a comment, -->, or <-- behind -->", n)
		}
	}
	return s, lines.Err()
}

func newStep(line int, note []string) (Step, error) {
	s := Step{Line: line}
	for i, text := range note {
		if m := rowsPattern.FindStringSubmatch(text); m != nil {
			for _, number := range strings.Split(m[1], ",") {
				row, err := strconv.Atoi(strings.TrimSpace(number))
				if err != nil {
					return s, err
				}
				s.Rows = append(s.Rows, row)
			}
			note[i] = text[len(m[0]):]
		}
	}
	s.Note = strings.Join(note, " ")
	return s, nil
}

// expand replaces $(n*text).
func expand(line string) ([]byte, error) {
	var out []byte
	for {
		before, rest, found := strings.Cut(line, "$(")
		out = append(out, before...)
		if !found {
			return out, nil
		}
		inner, after, closed := strings.Cut(rest, ")")
		count, text, ok := strings.Cut(inner, "*")
		n, err := strconv.Atoi(count)
		if !closed || !ok || err != nil || n < 0 {
			return nil, fmt.Errorf("want $(n*text), have $(%.40s", rest)
		}
		text, err = strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
		if err != nil {
			return nil, fmt.Errorf("in $(%s): %w", inner, err)
		}
		out = append(out, strings.Repeat(text, n)...)
		line = after
	}
}
