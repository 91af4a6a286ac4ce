package api

import "github.com/google/jsonschema-go/jsonschema"

// Verify holds raw against a schema the way methods do, types and all, and returns what is wrong as texts.
func Verify(s *jsonschema.Schema, raw []byte) (bad []string) {
	for _, v := range compileCheck(s).verify(raw, true) {
		bad = append(bad, v.Pointer+" "+v.Message)
	}
	return bad
}

// Fill puts the defaults of a schema into raw.
func Fill(s *jsonschema.Schema, raw []byte) []byte {
	k := compileCheck(s)
	if k == nil {
		return raw
	}
	out, rest := k.fill(nil, raw, 0)
	return append(out, rest...)
}

// CompareNumbers compares two JSON numbers.
func CompareNumbers(a, b string) int {
	x, y := parseDecimal([]byte(a)), parseDecimal([]byte(b))
	return x.compare(&y)
}

// IsIntegral reports whether a JSON number is an integer.
func IsIntegral(a string) bool {
	d := parseDecimal([]byte(a))
	return d.integral()
}
