package codec_test

import (
	"strings"
	"testing"

	"peermesh/codec"
)

func TestValid(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		`null`, `true`, `false`, `0`, `-0`, `10`, `-1.5`, `0.0`, `1e1`, `1E+10`, `1.25e-7`, `""`, `"a"`, `[]`, `{}`, `[ ]`, `{ }`,
		` [ 1 , 2 ] `, `{"a":1,"a":2}`, `[[],{},""]`, "\t\r\n1\t\r\n", `"\"\\\/\b\f\n\r\t\u12aF"`, `"\ud800"`, "\"\x7f\"",
		`"ä☃😀"`, "\"\u2028\u2029\ufffd\"", `"12345678"`, `"1234567"`, `"123456789 123456789"`, `"1234567\n"`, `"12345678\n"`,
		nested(64), `[` + strings.TrimSuffix(strings.Repeat("1,", 1000), ",") + `]`,
	} {
		if !codec.Valid([]byte(good)) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{
		``, ` `, `nul`, `nullx`, `True`, `tru`, `fals`, `-`, `+1`, `01`, `-01`, `1.`, `.5`, `1.e1`, `1e`, `1e+`, `1e-x`, `0x1`, `1_0`, `NaN`,
		`Infinity`, `-Infinity`, `"`, `"a`, `a"`, `'a'`, `"\"`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\u123`, "\"\n\"", "\"\x00\"", "\"1234567\x1f\"",
		`[`, `]`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `[1}`, `{`, `}`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a":1]`,
		`{a:1}`, `{"a":1 "b":2}`, `1 2`, `[] []`, "1\x00", "\ufeff1", "\u00a01", "1\f",
		"\"\xff\"", "\"\xc3\"", "\"\xc3\x28\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"1234567\xe2\x98\"", "\xff",
		nested(65), strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65),
	} {
		if codec.Valid([]byte(bad)) {
			t.Errorf("%.100q is taken", bad)
		}
	}
}

// TestValidFindsTheEndOfStrings puts each character that ends a run of plain ones at every offset of a word.
func TestValidFindsTheEndOfStrings(t *testing.T) {
	t.Parallel()
	for length := range 40 {
		for c := range 256 {
			text := []byte(`"` + strings.Repeat("x", length) + string([]byte{byte(c)}) + strings.Repeat("y", 20) + `"`)
			want := c >= 0x20 && c < 0x80 && c != '"' && c != '\\'
			if got := codec.Valid(text); got != want {
				t.Fatalf("%q: %v", text, got)
			}
		}
	}
}

// TestLargeStrings: vector instructions, which read large strings, let nothing pass that the grammar does not.
func TestLargeStrings(t *testing.T) {
	t.Parallel()
	large := []byte(`"` + strings.Repeat("0123456789abcdef", 200) + `"`)
	for c := range 256 {
		for _, at := range []int{1, 2, 31, 32, 33, 63, 64, 65, 511, 1008, 1022, 1023, 1024, 1025, 1026, 1500, 2047, 2048, 2049, 3000, 3199, 3200} {
			old := large[at]
			if large[at] = byte(c); codec.Valid(large) != oracleValid(large) {
				t.Errorf("byte %#x at %d: %t", c, at, codec.Valid(large))
			}
			large[at] = old
		}
	}
}
