package codec

import (
	"strconv"
	"time"
)

// Meta is the extra top-level member that peers of this project add to a message, protocol section 1; sourcegraph's
// jsonrpc2 has one of the same name. It goes only to peers that said hello. The zero Meta says nothing.
type Meta struct {
	Timeout     time.Duration // timeout_ms: what is left of the caller's deadline; 0: none given
	TraceParent []byte        // W3C traceparent, as text
	TraceState  []byte        // W3C tracestate, as text
	Progress    []byte        // raw JSON, a string or number: the token under which the caller wants progress
	Idem        []byte        // the idempotency key, as text
	Handler     time.Duration // handler_us, of a response: how long the handler ran
}

// ParseMeta reads a meta object that Parse has found. What is unknown, of another type, or text of more than 1 KiB is
// ignored: meta is a hint and never a reason to refuse a message. Durations are cut to 24 hours. The parts are ranges of
// raw, except text with escapes, which is a copy.
func ParseMeta(raw []byte) (m Meta) {
	for name, value := range members(raw) {
		switch string(name) {
		case "timeout_ms":
			m.Timeout = duration(value, time.Millisecond)
		case "handler_us":
			m.Handler = duration(value, time.Microsecond)
		case "progress":
			if validID(value) && value[0] != 'n' {
				m.Progress = value
			}
		case "traceparent":
			m.TraceParent = textOf(value)
		case "tracestate":
			m.TraceState = textOf(value)
		case "idem":
			m.Idem = textOf(value)
		}
	}
	return m
}

const maxMetaDuration = 24 * time.Hour

func duration(raw []byte, unit time.Duration) time.Duration {
	n, err := strconv.ParseUint(string(raw), 10, 63)
	if err != nil {
		return 0
	}
	if n > uint64(maxMetaDuration/unit) {
		return maxMetaDuration
	}
	return time.Duration(n) * unit
}

func textOf(raw []byte) []byte {
	if raw[0] != '"' || len(raw) > 1024 {
		return nil
	}
	return text(raw)
}

// Append appends m as a JSON object, or nothing when there is nothing to say. A deadline that is closer than a
// millisecond is written as one, for 0 would mean none.
func (m Meta) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, '{')
	if m.Timeout > 0 {
		dst = appendKey(dst, "timeout_ms")
		dst = strconv.AppendInt(dst, max(1, m.Timeout.Milliseconds()), 10)
	}
	if m.Progress != nil {
		dst = appendKey(dst, "progress")
		dst = append(dst, m.Progress...)
	}
	if m.TraceParent != nil {
		dst = appendKey(dst, "traceparent")
		dst = appendText(dst, m.TraceParent)
	}
	if m.TraceState != nil {
		dst = appendKey(dst, "tracestate")
		dst = appendText(dst, m.TraceState)
	}
	if m.Idem != nil {
		dst = appendKey(dst, "idem")
		dst = appendText(dst, m.Idem)
	}
	if m.Handler > 0 {
		dst = appendKey(dst, "handler_us")
		dst = strconv.AppendInt(dst, m.Handler.Microseconds(), 10)
	}
	if len(dst) == start+1 {
		return dst[:start]
	}
	return append(dst, '}')
}

func appendKey(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), name...), `":`...)
}
