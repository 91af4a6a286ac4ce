package codec

// members yields the members of an object that is known to be valid JSON, and nothing for any other value: names
// unescaped, values raw and not empty.
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
			if i = scanValue(b, start, 1); i < 0 || !yield(name, b[start:i:i]) {
				return
			}
			if i = space(b, i); i >= len(b) || b[i] != ',' {
				return
			}
			i = space(b, i+1)
		}
	}
}
