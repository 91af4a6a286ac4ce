package main

import (
	"encoding/json"
	"io"
	"os"
	"sync"

	"peermesh/peer/tap"
)

// colored reports whether to write colour to w.
func (a *app) colored(w io.Writer) bool {
	switch a.flags.color {
	case "always":
		return true
	case "never":
		return false
	}
	// https://no-color.org: "when present and not an empty string (regardless of its value)"
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printer writes a stream of records to stdout, as lines for people or as JSON lines. It is safe for concurrent use.
type printer struct {
	mu     sync.Mutex
	app    *app
	render renderer
	asJSON bool
}

func (a *app) printer() *printer {
	return &printer{app: a, render: renderer{color: a.colored(a.out)}, asJSON: a.flags.output == "json"}
}

func (p *printer) print(r *tap.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asJSON {
		return writeJSON(p.app.out, r)
	}
	_, err := io.WriteString(p.app.out, p.render.line(r)+"\n")
	return err
}

// writeJSON writes v on a line, in one write, and leaves <, > and & as they are.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
