package report

import (
	"bytes"
	"fmt"
	"os"

	"peermesh/examples/rivals/internal/bench"
)

// The marks between which a README has the summary.
const (
	beginMark = "<!-- measured: go run . -readme README.md -->\n"
	endMark   = "<!-- end of what was measured -->\n"
)

// Update puts the summary of results into a file, between its marks.
func Update(file string, r *bench.Results) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte(beginMark))
	_, after, ok2 := bytes.Cut(rest, []byte(endMark))
	if !ok || !ok2 {
		return fmt.Errorf("%s has not the marks %q and %q", file, beginMark, endMark)
	}
	var b bytes.Buffer
	b.Write(before)
	b.WriteString(beginMark)
	fmt.Fprintf(&b, "%s\n\n", Where(r))
	t := Summary(r)
	t.Title = ""
	t.Markdown(&b)
	b.WriteString(endMark)
	b.Write(after)
	return os.WriteFile(file, b.Bytes(), 0o644)
}
