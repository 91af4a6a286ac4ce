package page

import (
	"encoding/json"
	"unicode/utf8"

	"peermesh/peer/tap"
)

// shownBytes is how much of a value goes to the list of a page. The page fetches the rest for whoever looks at it.
const shownBytes = 2048

// row is a record as a page gets it: params, result and data as JSON texts, which the page parses when it needs them,
// so that large numbers stay what they are.
type row struct {
	Seq uint64 `json:"seq"`
	tap.Record
	ID     string `json:"id,omitempty"`
	Params string `json:"params,omitempty"`
	Result string `json:"result,omitempty"`
	Data   string `json:"data,omitempty"`
	More   int    `json:"more,omitempty"`   // bytes of the longest value that are not here
	Hidden int    `json:"hidden,omitempty"` // values that look like secrets and are not here
}

// makeRow makes the row of a record, with what redact leaves of it; nil: all of it. limit 0: to the end.
func makeRow(seq uint64, r *tap.Record, redact *tap.Redactor, limit int) *row {
	out := &row{Seq: seq, Record: *r, ID: string(r.ID)}
	if redact != nil {
		out.Hidden = redact.Beginning(&out.Record, limit)
	}
	value := func(raw, all json.RawMessage) string {
		if limit > 0 && len(raw) > limit {
			at := limit
			for at > 0 && !utf8.RuneStart(raw[at]) {
				at--
			}
			out.More = max(out.More, len(all)-at, 1)
			raw = raw[:at]
		}
		return string(raw)
	}
	out.Params, out.Result, out.Data = value(out.Record.Params, r.Params), value(out.Record.Result, r.Result), value(out.Record.Data, r.Data)
	out.Record.Params, out.Record.Result, out.Record.Data = nil, nil, nil
	if len(out.Message) > shownBytes && limit > 0 {
		out.Message = out.Message[:shownBytes]
	}
	return out
}
