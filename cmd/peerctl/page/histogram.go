package page

import "math"

// histogram counts times by their order of magnitude: perOctave buckets for each doubling, from 1 µs to some minutes. What
// it says of a percentile is right within 5 %.
type histogram struct {
	counts [buckets]uint32
	n      uint64
}

const (
	perOctave = 8
	buckets   = 28 * perOctave
)

// add counts a time in milliseconds.
func (h *histogram) add(ms float64) {
	at := 0
	if us := ms * 1000; us > 1 {
		at = min(int(math.Log2(us)*perOctave), buckets-1)
	}
	h.counts[at]++
	h.n++
}

// join counts what another one has counted.
func (h *histogram) join(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
}

// percentile returns the time below which the share q of all lies, in milliseconds; nothing when there are none.
func (h *histogram) percentile(q float64) *float64 {
	if h.n == 0 {
		return nil
	}
	want, sum := uint64(math.Ceil(q*float64(h.n))), uint64(0)
	for i, n := range h.counts {
		if sum += uint64(n); sum >= max(want, 1) {
			ms := math.Exp2((float64(i)+0.5)/perOctave) / 1000
			ms = math.Round(ms*1000) / 1000
			return &ms
		}
	}
	return nil
}
