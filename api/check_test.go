package api_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"peermesh/api"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	texts := []string{"0", "-0", "0.0", "0e5", "1", "-1", "1.0", "10", "1e1", "0.1e2", "100e-1", "0.1", "0.10", "1e-1", "0.001", "1e-3", "-0.001",
		"9007199254740991", "9007199254740992", "9007199254740993", "9007199254740993.5", "90071992547409930e-1", "18446744073709551615",
		"18446744073709551616", "1e19", "1.5", "15e-1", "0.0015e3", "-1.5", "123456789.123456789", "123456789123456789e-9", "1e300", "1E+300", "1e-300"}
	for _, a := range texts {
		x, _ := new(big.Rat).SetString(a)
		if api.IsIntegral(a) != x.IsInt() {
			t.Errorf("%s: integral %v", a, api.IsIntegral(a))
		}
		for _, b := range texts {
			y, _ := new(big.Rat).SetString(b)
			if got := api.CompareNumbers(a, b); got != x.Cmp(y) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
	for _, c := range [][2]string{{"1", "1e999999999999999999"}, {"1e-999999999999999999", "1"}, {"-1e99999999999", "0"}, {"0", "1e-99999999999"}, {"0", "1e99999999999"}} {
		if api.CompareNumbers(c[0], c[1]) != -1 || api.CompareNumbers(c[1], c[0]) != 1 {
			t.Error(c)
		}
	}
}

func schema(t *testing.T, text string) *jsonschema.Schema {
	t.Helper()
	s := new(jsonschema.Schema)
	if err := json.Unmarshal([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Objects of many members are checked and completed like those of few.
func TestWideObjects(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 8, 9, 127, 128, 129, 192, 300} {
		var props, names, values []string
		for i := range n {
			props = append(props, fmt.Sprintf(`"m%d":{"type":"integer","default":%d}`, i, i))
			names = append(names, fmt.Sprintf(`"m%d"`, i))
			values = append(values, fmt.Sprintf(`"m%d":%d`, i, i))
		}
		s := schema(t, `{"type":"object","properties":{`+strings.Join(props, ",")+`},"required":[`+strings.Join(names, ",")+`,"m0"]}`)
		all := "{" + strings.Join(values, ",") + "}"
		if bad := api.Verify(s, []byte(all)); bad != nil {
			t.Errorf("%d: %v", n, bad)
		}
		if bad := api.Verify(s, []byte("{}")); len(bad) != min(n, 16) {
			t.Errorf("%d: %v", n, bad)
		}
		without := "{" + strings.Join(values[:n-1], ",") + "}"
		if bad := api.Verify(s, []byte(without)); len(bad) != 1 || bad[0] != fmt.Sprintf("/m%d is required", n-1) {
			t.Errorf("%d: %v", n, bad)
		}
		got := api.Fill(s, []byte(without))
		if compact(t, string(got)) != compact(t, all) {
			t.Errorf("%d: %s", n, got)
		}
		if got = api.Fill(s, []byte(all)); string(got) != all {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// Whatever the bytes, a walk over them takes time in proportion to their length.
func TestWalksAreLinear(t *testing.T) {
	t.Parallel()
	s := schema(t, `{"$ref":"#/$defs/N","$defs":{"N":{"type":["object","array","string","number"],"minLength":1,"maxLength":3,"maximum":5,"pattern":"a","enum":["a",1],
		"properties":{"a":{"$ref":"#/$defs/N"},"b":{"type":"integer","default":1}},"items":{"$ref":"#/$defs/N"},"additionalProperties":{"$ref":"#/$defs/N"}}}}`)
	const n = 1 << 20
	for _, text := range []string{
		strings.Repeat("[", n), strings.Repeat(`{"a":`, n/5), strings.Repeat("[1,", n/3), strings.Repeat(`"`, n), `"` + strings.Repeat(`\`, n),
		`"` + strings.Repeat(`\"`, n/2) + `"`, `"` + strings.Repeat(`\\`, n/2) + `"`, strings.Repeat("1", n), "1e" + strings.Repeat("9", n),
		"0." + strings.Repeat("0", n), strings.Repeat("9", n) + "." + strings.Repeat("9", n), "[" + strings.Repeat("1,", n/2) + "1]",
		"[" + strings.Repeat("[],", n/3) + "1]", "{" + strings.Repeat(`"x":{},`, n/7) + `"x":{}}`, "{" + strings.Repeat(`"\u0061":1,`, n/11) + `"a":1}`,
		strings.Repeat(" ", n), strings.Repeat("]", n), strings.Repeat("t", n), "[" + strings.Repeat(" ", n) + "1]", "{" + strings.Repeat(" ", n) + "}",
		strings.Repeat(`{"x":[`, n/6) + strings.Repeat(`]}`, n/6),
	} {
		start := time.Now()
		api.Verify(s, []byte(text))
		api.Fill(s, []byte(text))
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%.20s… took %s", text, took)
		}
	}
}

// Deep values are refused where a walk would follow them, and left to decoding where it would not.
func TestDepth(t *testing.T) {
	t.Parallel()
	s := schema(t, `{"$ref":"#/$defs/N","$defs":{"N":{"type":"array","items":{"$ref":"#/$defs/N"}}}}`)
	for n, ok := range map[int]bool{1: true, 64: true, 65: false, 100000: false} {
		text := strings.Repeat("[", n) + strings.Repeat("]", n)
		bad := api.Verify(s, []byte(text))
		if (bad == nil) != ok || !ok && (len(bad) != 1 || !strings.HasSuffix(bad[0], "/0 is nested too deeply")) {
			t.Errorf("%d: %.300v", n, bad)
		}
		if bad := api.Verify(schema(t, `{"type":"array"}`), []byte(text)); bad != nil {
			t.Errorf("%d: %v", n, bad)
		}
	}
}
