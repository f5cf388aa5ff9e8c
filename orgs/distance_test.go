package orgs

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// plainDistance is the definition of the Levenshtein distance.
func plainDistance(a, b string) int {
	switch {
	case a == "":
		return len(b)
	case b == "":
		return len(a)
	case a[0] == b[0]:
		return plainDistance(a[1:], b[1:])
	}
	return 1 + min(plainDistance(a[1:], b), plainDistance(a, b[1:]), plainDistance(a[1:], b[1:]))
}

func TestDistanceIsLevenshteins(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, r.IntN(7))
		for i := range b {
			b[i] = "abc"[r.IntN(3)]
		}
		return string(b)
	}
	for range 2000 {
		a, b := word(), word()
		if got, want := distance(a, b), plainDistance(a, b); got != want {
			t.Fatalf("distance(%q, %q) = %d, want %d", a, b, got, want)
		}
		if distance(a, b) != distance(b, a) {
			t.Fatalf("distance(%q, %q) depends on the order", a, b)
		}
	}
}

func TestDistanceReadsNoMoreThanItMust(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	if got := distance(long, long+"y"); got != 0 {
		t.Errorf("got %d", got)
	}
	if got := distance(long, ""); got != 64 {
		t.Errorf("got %d, want the 64 bytes that are looked at", got)
	}
}
