package api

import (
	"bytes"
	"strconv"
)

// decimal is a JSON number taken apart, exact whatever its size: its value is 0.DIGITS × 10^exp. Comparing two needs
// no arithmetic, so that neither 9007199254740993 nor 1e999999999 costs precision or memory.
type decimal struct {
	neg        bool
	head, tail []byte // the digits before and behind the point, less leading and trailing zeros; both empty: zero
	exp        int
}

// maxExponent is where exponents are cut off, far beyond every float64.
const maxExponent = 1 << 24

func parseDecimal(text []byte) (d decimal) {
	if len(text) > 0 && text[0] == '-' {
		d.neg, text = true, text[1:]
	}
	exp := 0
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		exp, text = parseExponent(text[i+1:]), text[:i]
	}
	d.head = text
	if i := bytes.IndexByte(text, '.'); i >= 0 {
		d.head, d.tail = text[:i], text[i+1:]
	}
	d.head = bytes.TrimLeft(d.head, "0")
	d.tail = bytes.TrimRight(d.tail, "0")
	d.exp = len(d.head)
	if d.exp == 0 {
		n := len(d.tail)
		d.tail = bytes.TrimLeft(d.tail, "0")
		d.exp = len(d.tail) - n
	}
	if len(d.tail) == 0 {
		d.head = bytes.TrimRight(d.head, "0")
	}
	if len(d.head)+len(d.tail) == 0 {
		return decimal{}
	}
	d.exp += exp
	return d
}

func parseExponent(text []byte) int {
	neg := len(text) > 0 && text[0] == '-'
	n := 0
	for _, c := range bytes.TrimLeft(text, "+-") {
		if c < '0' || c > '9' {
			break
		}
		if n = 10*n + int(c-'0'); n > maxExponent {
			n = maxExponent
			break
		}
	}
	if neg {
		return -n
	}
	return n
}

func (d *decimal) len() int { return len(d.head) + len(d.tail) }

func (d *decimal) digit(i int) byte {
	switch {
	case i < len(d.head):
		return d.head[i]
	case i < d.len():
		return d.tail[i-len(d.head)]
	}
	return '0'
}

// integral reports whether the number is an integer, as 1.0 and 1e3 are.
func (d *decimal) integral() bool { return d.len() <= max(d.exp, 0) }

func (d *decimal) sign() int {
	switch {
	case d.len() == 0:
		return 0
	case d.neg:
		return -1
	}
	return 1
}

// compare returns -1, 0 or 1.
func (d *decimal) compare(o *decimal) int {
	s := d.sign()
	switch so := o.sign(); {
	case s < so:
		return -1
	case s > so:
		return 1
	case s == 0:
		return 0
	case d.exp < o.exp:
		return -s
	case d.exp > o.exp:
		return s
	}
	for i := range max(d.len(), o.len()) {
		switch a, b := d.digit(i), o.digit(i); {
		case a < b:
			return -s
		case a > b:
			return s
		}
	}
	return 0
}

// bound is a limit of a schema. Its value is what the document says: the shortest text that stands for the float64.
type bound struct {
	decimal
	text string
}

func newBound(f *float64) *bound {
	if f == nil {
		return nil
	}
	text := strconv.FormatFloat(*f, 'g', -1, 64)
	return &bound{parseDecimal([]byte(text)), plainNumber(*f)}
}

// plainNumber shows a number without an exponent where that is short.
func plainNumber(f float64) string {
	if text := strconv.FormatFloat(f, 'f', -1, 64); len(text) <= 24 {
		return text
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
