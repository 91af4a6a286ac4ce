package codec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"peermesh/codec"
)

func TestIsBatch(t *testing.T) {
	t.Parallel()
	for frame, want := range map[string]bool{
		"[]": true, " \t\r\n[": true, "[x": true, "": false, " ": false, "{}": false, "\x00[": false, "\ufeff[": false, `"["`: false,
	} {
		if got := codec.IsBatch([]byte(frame)); got != want {
			t.Errorf("%q: %v", frame, got)
		}
	}
}

func TestSplitBatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ frame, want string }{
		{`[1]`, "1"},
		{` [ 1 , {"a":[2,3]} ,"x,]" ] `, `1|{"a":[2,3]}|"x,]"`},
		{`[[],null]`, `[]|null`},
		{`[` + nested(63) + `]`, nested(63)},
		{`[]`, "-32600 the batch is empty"},
		{` [ ] `, "-32600 the batch is empty"},
		{`[` + strings.Repeat("1,", 64) + `1]`, "-32600 the batch has more than 64 elements"},
		{`[` + strings.Repeat("1,", 100_000) + `1]`, "-32600 the batch has more than 64 elements"},
		{`[` + strings.Repeat("1,", 100) + `]`, "-32700"},
		{`[` + strings.Repeat("1,", 100) + `x]`, "-32700"},
		{`[` + nested(64) + `]`, "-32700"},
		{`[`, "-32700"}, {`[1`, "-32700"}, {`[1,`, "-32700"}, {`[1,]`, "-32700"}, {`[,]`, "-32700"}, {`[1 2]`, "-32700"}, {`[1}`, "-32700"},
		{`[1]x`, "-32700"}, {`[]x`, "-32700"}, {`[] []`, "-32700"}, {`[{"jsonrpc"]`, "-32700"}, {"[\"\xff\"]", "-32700"},
		{``, "-32700"}, {` `, "-32700"}, {`{}`, "-32700"}, {`1`, "-32700"}, {`(1]`, "-32700"},
	} {
		t.Run(fmt.Sprintf("%.40q", test.frame), func(t *testing.T) {
			t.Parallel()
			elements, err := codec.SplitBatch(nil, []byte(test.frame))
			var inv *codec.InvalidError
			var got string
			switch {
			case errors.Is(err, codec.ErrSyntax):
				got = "-32700"
			case errors.As(err, &inv) && inv.ID == nil && !inv.Silent:
				got = "-32600 " + inv.Reason
			case err != nil:
				t.Fatal(err)
			default:
				var texts []string
				for _, e := range elements {
					texts = append(texts, string(e))
				}
				got = strings.Join(texts, "|")
			}
			if got != test.want || err != nil && elements != nil {
				t.Errorf("is %.100s, want %.100s", got, test.want)
			}
		})
	}
}

func TestSplitBatchOf64(t *testing.T) {
	t.Parallel()
	elements, err := codec.SplitBatch(nil, []byte(`[`+strings.Repeat("1,", codec.MaxBatch-1)+`1]`))
	if err != nil || len(elements) != codec.MaxBatch {
		t.Error(len(elements), err)
	}
}

func TestSplitBatchAppends(t *testing.T) {
	t.Parallel()
	frame := []byte(`[1,2]`)
	elements, err := codec.SplitBatch([][]byte{[]byte("0")}, frame)
	if err != nil || len(elements) != 3 || string(elements[0]) != "0" {
		t.Fatalf("%q, %v", elements, err)
	}
	_ = append(elements[1], '!')
	if string(frame) != `[1,2]` {
		t.Errorf("overwritten: %s", frame)
	}
}
