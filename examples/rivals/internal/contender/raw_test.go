package contender

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestRawFrames(t *testing.T) {
	t.Parallel()
	for _, signed := range []bool{false, true} {
		var wire []byte
		sent := []Echo{{Text: "m", N: 0}, {Text: `","n":`, N: 12}, {Text: strings.Repeat("m", 100_000), N: 7}, {N: 1}}
		mac := rawMAC(signed)
		for i, e := range sent {
			wire = appendRaw(wire, uint32(i), e, mac)
		}
		r := newRawReader(bytes.NewReader(wire), rawMAC(signed))
		for i, want := range sent {
			id, text, err := r.next()
			if err != nil || int(id) != i {
				t.Fatalf("frame %d: id %d, %v", i, id, err)
			}
			if last := i == len(sent)-1; r.idle() != last && i != 2 {
				t.Errorf("idle after frame %d: %v", i, !last)
			}
			if e, err := parseRaw(text, "m"); e != want || err != nil {
				t.Errorf("frame %d: %v", i, err)
			}
			again := appendRawText(nil, id, text, mac)
			if !bytes.HasPrefix(wire, again) {
				t.Errorf("frame %d is not the same when it is sent back", i)
			}
			wire = wire[len(again):]
		}
	}
}

func TestRawRefuses(t *testing.T) {
	t.Parallel()
	wire := appendRaw(nil, 1, Echo{Text: "m"}, rawMAC(true))
	wire[12] ^= 1
	if _, _, err := newRawReader(bytes.NewReader(wire), rawMAC(true)).next(); !errors.Is(err, errRawTag) {
		t.Errorf("a changed frame: %v", err)
	}
	if _, _, err := newRawReader(bytes.NewReader([]byte{0, 0, 0, 5, 0, 0, 0, 1, 0}), rawMAC(true)).next(); !errors.Is(err, errRawFrame) {
		t.Errorf("a frame without a tag: %v", err)
	}
	if _, err := parseRaw([]byte("{}"), ""); !errors.Is(err, errRawFrame) {
		t.Errorf("a text without members: %v", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range All() {
		if seen[c.Name] || Find(c.Name) != c || c.About == "" || c.Wire == "" {
			t.Errorf("%+v", c)
		}
		seen[c.Name] = true
	}
	if Find("nobody") != nil {
		t.Error("found nobody")
	}
}
