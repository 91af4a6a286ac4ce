package bench

import (
	"cmp"
	"slices"
)

// Median returns the middle of xs, the mean of the two in the middle where their number is even; 0 for none.
func Median(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(xs))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// Percentile returns the smallest of the sorted values that p percent of them do not exceed; zero for none.
func Percentile[T cmp.Ordered](sorted []T, p int) (v T) {
	if len(sorted) == 0 {
		return v
	}
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// MedianRatio returns the median of a/b over the rounds that have both, and whether there is one.
func MedianRatio(a, b map[int]float64) (float64, bool) {
	var ratios []float64
	for round, x := range a {
		if y := b[round]; y != 0 {
			ratios = append(ratios, x/y)
		}
	}
	return Median(ratios), len(ratios) > 0
}
