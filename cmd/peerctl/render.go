package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"peermesh/api"
	"peermesh/peer/tap"
)

// renderer writes records as lines for people.
type renderer struct {
	color bool
	names int // width of the column of names so far
	width int // width of the column of methods so far
}

const (
	colorDim   = "2"
	colorRed   = "31"
	colorGreen = "32"
	colorBlue  = "34"
)

func (r *renderer) paint(code, s string) string {
	if !r.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// line returns the record as one line, without the line break. What others sent is shown without control characters.
func (r *renderer) line(rec *tap.Record) string {
	at := r.paint(colorDim, rec.T.Local().Format("15:04:05.000"))
	switch rec.Kind {
	case "request", "notify":
		arrow := "→"
		if rec.All {
			arrow = "⇉"
		}
		return at + r.message(rec.From, arrow, joinNames(rec), rec, compactObject(rec.Params))
	case "reply":
		return at + r.message(first(rec.To), "←", rec.From, rec, timing(rec)+compactValue(rec.Result, 0))
	case "error":
		text := clean(rec.Message)
		if rec.Code != 0 {
			text = fmt.Sprintf("%s (code %d)", text, rec.Code)
		}
		return at + r.message(first(rec.To), "✗", rec.From, rec, r.paint(colorRed, text))
	case "peer":
		return at + "  " + r.peer(rec)
	case "security":
		return at + "  " + r.paint(colorRed, fmt.Sprintf("! %s  refused: %s", clean(rec.From), rec.Reason))
	}
	return at + "  " + clean(strings.TrimSpace(rec.Method+"  "+rec.Text))
}

func (r *renderer) message(left, arrow, right string, rec *tap.Record, rest string) string {
	who := clean(left) + " " + arrow + " " + clean(right)
	r.names = min(max(r.names, utf8.RuneCountInString(who)), 32)
	r.width = min(max(r.width, utf8.RuneCountInString(rec.Method)), 40)
	id := ""
	if rec.Kind != "notify" || rec.Conv != "" {
		id = shortID(rec.ID)
	}
	if rec.Again != "" {
		rest = "again, after " + shortID([]byte(rec.Again[strings.LastIndexByte(rec.Again, '/')+1:])) + "  " + rest
	}
	code := colorBlue
	if rec.Kind == "reply" {
		code = colorGreen
	}
	if rec.Kind == "error" {
		code = colorRed
	}
	return strings.TrimRight(fmt.Sprintf("  %s  %s  %-5s  %s", r.paint(code, pad(who, r.names)), pad(clean(rec.Method), r.width), id, rest), " ")
}

// membership shows who came or went, as join does.
func (r *renderer) membership(rec *tap.Record, who *api.Info) string {
	line := r.peer(rec)
	if rec.Event == "joined" || rec.Event == "back" {
		line = pad(line, 56) + "  " + protection(who)
		if who.RTT > 0 {
			line += fmt.Sprintf("   %.1f ms", float64(who.RTT.Microseconds())/1000)
		}
	}
	return line
}

func (r *renderer) peer(rec *tap.Record) string {
	sign, code := "+", colorGreen
	switch rec.Event {
	case "left":
		sign, code = "-", colorRed
	case "refused":
		sign, code = "!", colorRed
	case "suspect":
		sign, code = "?", colorRed
	case "updated":
		sign, code = "~", colorBlue
	}
	parts := []string{pad(clean(rec.Peer), 8), pad(rec.Address, 21)}
	if rec.Event != "left" && rec.Event != "refused" {
		parts = append(parts, clean(strings.Join(rec.APIs, ", ")))
	}
	switch {
	case rec.Event == "left":
		parts = append(parts, "left: "+rec.Reason)
	case rec.Reason != "":
		parts = append(parts, rec.Reason)
	case rec.Event != "joined":
		parts = append(parts, rec.Event)
	}
	return r.paint(code, sign) + " " + strings.TrimRight(strings.Join(parts, "  "), " ")
}

func timing(rec *tap.Record) string {
	s := fmt.Sprintf("%.1f ms", rec.MS)
	if rec.HandlerMS > 0 {
		s += fmt.Sprintf(" (handler %.1f)", rec.HandlerMS)
	}
	return s + "  "
}

func joinNames(rec *tap.Record) string {
	if rec.All {
		return fmt.Sprintf("all (%d)", len(rec.To))
	}
	return strings.Join(rec.To, ",")
}

func first(names []string) string {
	if len(names) == 0 {
		return "?"
	}
	return names[0]
}

// shortID shows the end of an id: ours are large numbers that differ there.
func shortID(id json.RawMessage) string {
	s := clean(string(id))
	if len(s) > 4 {
		s = s[len(s)-4:]
	}
	return "#" + s
}

func pad(s string, n int) string {
	if missing := n - utf8.RuneCountInString(s); missing > 0 {
		return s + strings.Repeat(" ", missing)
	}
	return s
}

// clean replaces control characters, so that nobody on the wire can write to the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r == '\u2028' || r == '\u2029' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '·'
		}
		return r
	}, s)
}

const (
	longestText = 60
	longestLine = 160
)

// compactObject shows params: name=value for an object.
func compactObject(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	if raw[0] != '{' {
		return clip(compactValue(raw, 0), longestLine)
	}
	var parts []string
	eachMember(raw, func(name string, v json.RawMessage) {
		parts = append(parts, clean(name)+"="+compactValue(v, 1))
	})
	return clip(strings.Join(parts, " "), longestLine)
}

// compactValue shows a value without quotation marks where it can; long texts by their length.
func compactValue(raw json.RawMessage, depth int) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		var s string
		_ = json.Unmarshal(raw, &s) // it is a string
		if len(s) > longestText {
			return "<" + size(len(s)) + ">"
		}
		if s == "" || strings.ContainsAny(s, " =,{}[]\"") {
			return `"` + clean(s) + `"`
		}
		return clean(s)
	case '{':
		if depth > 3 {
			return "{…}"
		}
		var parts []string
		eachMember(raw, func(name string, v json.RawMessage) {
			parts = append(parts, clean(name)+":"+compactValue(v, depth+1))
		})
		return clip("{"+strings.Join(parts, " ")+"}", longestLine)
	case '[':
		var list []json.RawMessage
		if depth > 3 || json.Unmarshal(raw, &list) != nil {
			return "[…]"
		}
		var parts []string
		for i, v := range list {
			if i == 8 {
				parts = append(parts, fmt.Sprintf("… %d more", len(list)-i))
				break
			}
			parts = append(parts, compactValue(v, depth+1))
		}
		return clip("["+strings.Join(parts, " ")+"]", longestLine)
	}
	return clean(string(raw))
}

// eachMember visits the members of an object in their order.
func eachMember(raw json.RawMessage, f func(name string, v json.RawMessage)) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return
		}
		var v json.RawMessage
		if d.Decode(&v) != nil {
			return
		}
		text, _ := name.(string)
		f(text, v)
	}
}

func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

func size(n int) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
