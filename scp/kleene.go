package scp

// truth is a value of Kleene's three-valued logic. The order makes the smaller
// of two their conjunction and the larger their disjunction.
type truth uint8

const (
	no truth = iota
	maybe
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) not() truth { return yes - t }

// maybeIf is for matches against a pattern wider than the real one: a miss is
// certain, a hit is not.
func maybeIf(b bool) truth {
	if b {
		return maybe
	}
	return no
}
