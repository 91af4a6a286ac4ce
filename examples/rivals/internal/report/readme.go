package report

import (
	"bytes"
	"fmt"
	"os"

	"peermesh/examples/rivals/internal/bench"
)

// The marks between which a README has the summary, and how cost grows.
const (
	beginMark = "<!-- measured: go run . -readme README.md -->\n"
	growMark  = "<!-- measured: go run . -grow -readme README.md -->\n"
	endMark   = "<!-- end of what was measured -->\n"
)

// Update puts what results have into a file, between its marks: the summary and the mesh, or how cost grows.
func Update(file string, r *bench.Results) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var tables []Table
	mark := growMark
	for _, axis := range bench.Grow() {
		if t, ok := Growth(r, axis); ok {
			tables = append(tables, t)
		}
	}
	if len(tables) == 0 {
		mark = beginMark
		t := Summary(r)
		t.Title = ""
		tables = append(tables, t)
		if t, ok := Mesh(r); ok {
			tables = append(tables, t)
		}
	}
	before, rest, ok := bytes.Cut(text, []byte(mark))
	_, after, ok2 := bytes.Cut(rest, []byte(endMark))
	if !ok || !ok2 {
		return fmt.Errorf("%s has not the marks %q and %q", file, mark, endMark)
	}
	var b bytes.Buffer
	b.Write(before)
	b.WriteString(mark)
	fmt.Fprintf(&b, "%s\n\n", Where(r))
	for _, t := range tables {
		t.Markdown(&b)
	}
	b.WriteString(endMark)
	b.Write(after)
	return os.WriteFile(file, b.Bytes(), 0o644)
}
