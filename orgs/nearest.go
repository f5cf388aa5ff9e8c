package orgs

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns up to three of the candidates that look like name, the most
// alike first. Paths are compared by their last part, and where those are equally
// alike as wholes.
func Nearest(name string, candidates []string) []string {
	type scored struct {
		name        string
		dist, whole int
	}
	full := strings.ToLower(name)
	want := full
	if i := strings.LastIndexByte(want, '/'); i >= 0 {
		want = want[i+1:]
	}
	limit := max(2, len(want)/2)
	var near []scored
	for _, c := range slices.Compact(slices.Sorted(slices.Values(candidates))) {
		path := strings.ToLower(c)
		low := path
		if i := strings.LastIndexByte(low, '/'); i >= 0 {
			low = low[i+1:]
		}
		d := distance(want, low)
		if want != "" && strings.Contains(low, want) {
			d = min(d, 1)
		}
		if d <= limit {
			near = append(near, scored{c, d, distance(full, path)})
		}
	}
	slices.SortStableFunc(near, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.dist, b.dist), cmp.Compare(a.whole, b.whole))
	})
	out := make([]string, 0, 3)
	for _, s := range near[:min(3, len(near))] {
		out = append(out, s.name)
	}
	return out
}

// distance is the Levenshtein distance of two strings, on at most 64 bytes of
// each: names are input from others.
func distance(a, b string) int {
	a, b = a[:min(64, len(a))], b[:min(64, len(b))]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := prev
			if a[i] != b[j] {
				cost = min(prev, row[j], row[j+1]) + 1
			}
			prev, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
