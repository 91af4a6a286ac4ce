package codec

import (
	"bytes"
	"strconv"
	"time"
)

// Meta is the extra top-level member that peers of this project add to a message. Raw parts are ranges of the frame.
type Meta struct {
	Timeout     time.Duration // what is left of the caller's deadline; 0: none given
	TraceParent []byte        // W3C traceparent, as text
	TraceState  []byte        // W3C tracestate, as text
	Progress    []byte        // raw JSON: the token under which the caller wants progress
	Idem        []byte        // the idempotency key, as text
	Handler     time.Duration // of a response: how long the handler ran
}

// ParseMeta reads a meta object that Parse has found. Members that are unknown or of another type are ignored: meta
// is a hint and never a reason to refuse a message.
func ParseMeta(raw []byte) (m Meta) {
	for name, value := range members(raw) {
		switch string(name) {
		case "timeout_ms":
			m.Timeout = duration(value, time.Millisecond)
		case "handler_us":
			m.Handler = duration(value, time.Microsecond)
		case "progress":
			if validID(value) {
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

// Append appends m as a JSON object; nothing when there is nothing to say.
func (m *Meta) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, '{')
	key := func(name string) {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), name...), `":`...)
	}
	if m.Timeout > 0 {
		key("timeout_ms")
		dst = strconv.AppendInt(dst, max(1, m.Timeout.Milliseconds()), 10)
	}
	if m.Progress != nil {
		key("progress")
		dst = append(dst, m.Progress...)
	}
	if m.TraceParent != nil {
		key("traceparent")
		dst = AppendString(dst, string(m.TraceParent))
	}
	if m.TraceState != nil {
		key("tracestate")
		dst = AppendString(dst, string(m.TraceState))
	}
	if m.Idem != nil {
		key("idem")
		dst = AppendString(dst, string(m.Idem))
	}
	if m.Handler > 0 {
		key("handler_us")
		dst = strconv.AppendInt(dst, m.Handler.Microseconds(), 10)
	}
	if len(dst) == start+1 {
		return dst[:start]
	}
	return append(dst, '}')
}

// members yields the members of an object that is known to be valid.
func members(b []byte) func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		i := space(b, 0)
		if i >= len(b) || b[i] != '{' {
			return
		}
		for i = space(b, i+1); i < len(b) && b[i] == '"'; {
			end := scanString(b, i)
			if end < 0 {
				return
			}
			name := text(b[i:end])
			if i = space(b, end); i >= len(b) || b[i] != ':' {
				return
			}
			start := space(b, i+1)
			if i = scanValue(b, start, 1); i < 0 || !yield(name, bytes.TrimSpace(b[start:i])) {
				return
			}
			if i = space(b, i); i >= len(b) || b[i] != ',' {
				return
			}
			i = space(b, i+1)
		}
	}
}
