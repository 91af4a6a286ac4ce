package api

// fill appends the value at the start of data to dst, with the defaults of absent members put in at every level, and
// returns what follows. They go in as text and are decoded with the rest, afresh for each message.
func (k *check) fill(dst, data []byte, depth int) (out, rest []byte) {
	for k != nil && k.elem != nil {
		k = k.elem
	}
	data = skipSpace(data)
	switch {
	case k == nil || !k.defaults || len(data) == 0 || depth == maxDepth:
	case data[0] == '{':
		return k.fillObject(dst, data, depth+1)
	case data[0] == '[':
		return k.fillArray(dst, data, depth+1)
	}
	rest, ok := skipValue(data)
	if !ok {
		rest = nil // no JSON: decoding says so
	}
	return append(dst, data[:len(data)-len(rest)]...), rest
}

func (k *check) fillArray(dst, data []byte, depth int) (out, rest []byte) {
	dst, rest = append(dst, '['), skipSpace(data[1:])
	for first := true; len(rest) > 0 && rest[0] != ']'; first = false {
		if !first {
			dst = append(dst, ',')
		}
		dst, rest = k.items.fill(dst, rest, depth)
		var ok bool
		if rest, ok = nextItem(rest, ']'); !ok {
			return leaveAsIs(dst, rest)
		}
	}
	return closeWith(dst, rest, ']')
}

func (k *check) fillObject(dst, data []byte, depth int) (out, rest []byte) {
	var seen memberSet
	guess := 0
	dst, rest = append(dst, '{'), skipSpace(data[1:])
	start := len(dst)
	for len(rest) > 0 && rest[0] != '}' {
		i, name, value, ok := k.readMember(rest, guess)
		if !ok {
			return leaveAsIs(dst, rest)
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		sub := k.values
		if i >= 0 {
			seen.add(i, len(k.members))
			sub, guess = k.members[i].check, i+1
		}
		dst = append(append(dst, name...), ':')
		dst, rest = sub.fill(dst, value, depth)
		if rest, ok = nextItem(rest, '}'); !ok {
			return leaveAsIs(dst, rest)
		}
	}
	if len(rest) == 0 {
		return dst, nil
	}
	for i := range k.members {
		m := &k.members[i]
		if m.fallback == nil || seen.has(i) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, m.quoted...), ':'), m.fallback...)
	}
	return closeWith(dst, rest, '}')
}

// leaveAsIs appends a text that turned out to be no JSON, so that decoding finds it too.
func leaveAsIs(dst, rest []byte) (out, after []byte) { return append(append(dst, ' '), rest...), nil }

// closeWith appends the closing bracket, unless the text ended without one.
func closeWith(dst, rest []byte, bracket byte) (out, after []byte) {
	if len(rest) == 0 {
		return dst, nil
	}
	return append(dst, bracket), rest[1:]
}
