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

// makeRow makes the row of a record; masks say what else than by its name is hidden. limit 0: all of it.
func makeRow(seq uint64, r *tap.Record, hide bool, m *methodMasks, limit int) *row {
	out := &row{Seq: seq, Record: *r, ID: string(r.ID)}
	out.Record.Params, out.Record.Result, out.Record.Data = nil, nil, nil
	value := func(raw json.RawMessage, m *mask) string {
		size := len(raw)
		if hide {
			var n int
			raw, n = redact(raw, m, limit)
			out.Hidden += n
		}
		if limit > 0 && len(raw) > limit {
			at := limit
			for at > 0 && !utf8.RuneStart(raw[at]) {
				at--
			}
			out.More = max(out.More, size-at, 1)
			raw = raw[:at]
		}
		return string(raw)
	}
	if m == nil {
		m = &methodMasks{}
	}
	out.Params, out.Result, out.Data = value(r.Params, m.params), value(r.Result, m.result), value(r.Data, nil)
	if len(out.Message) > shownBytes && limit > 0 {
		out.Message = out.Message[:shownBytes]
	}
	return out
}
