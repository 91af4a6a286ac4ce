// Package report makes tables of results: to read on a terminal, or as Markdown.
package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Table is a title and cells. The first column stands to the left, the others to the right, unless Left says more.
type Table struct {
	Title string
	Head  []string
	Rows  [][]string
	Left  int // columns beyond the first that stand to the left
	Notes []string
}

// none stands where there is no value.
const none = "–"

// Plain writes the table for a terminal.
func (t Table) Plain(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", t.Title)
	widths := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	line := func(row []string) {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i <= t.Left {
				b.WriteString(cell + pad)
			} else {
				b.WriteString(pad + cell)
			}
			b.WriteString("  ")
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	line(t.Head)
	rule := make([]string, len(widths))
	for i, n := range widths {
		rule[i] = strings.Repeat("-", n)
	}
	line(rule)
	for _, row := range t.Rows {
		line(row)
	}
	for _, note := range t.Notes {
		fmt.Fprintln(w, note)
	}
}

// Markdown writes the table as Markdown has it.
func (t Table) Markdown(w io.Writer) {
	if t.Title != "" {
		fmt.Fprintf(w, "\n### %s\n\n", t.Title)
	}
	line := func(row []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | ")) }
	line(t.Head)
	rule := make([]string, len(t.Head))
	for i := range rule {
		if rule[i] = "---:"; i <= t.Left {
			rule[i] = "---"
		}
	}
	line(rule)
	for _, row := range t.Rows {
		line(row)
	}
	for _, note := range t.Notes {
		fmt.Fprintf(w, "\n%s\n", note)
	}
}

// Number writes a number with as many digits as mean something.
func Number(v float64) string {
	switch {
	case v >= 1000:
		return thousands(int64(v + 0.5))
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// maybe writes a value that may not be there.
func maybe(v float64, ok bool, format func(float64) string) string {
	if !ok {
		return none
	}
	return format(v)
}

func ratio(v float64) string {
	if v >= 100 {
		return Number(v)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
