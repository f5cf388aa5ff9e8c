package orgs

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Outcome is what one element of a fan-out gave: a value, or why there is none.
type Outcome[T any] struct {
	Value T
	Err   error
}

// ForEach runs fn for every item, at most limit at once, and returns the
// outcomes in the order of the items. One item's error neither stops nor hides
// the others; only ctx does: items that were not begun when it ended carry its
// error.
//
// limit bounds goroutines and with them memory, not requests on the wire: the
// access package does that per attempt, so that a call that waits for its next
// attempt does not hold a place.
func ForEach[I, T any](ctx context.Context, items []I, limit int, fn func(context.Context, I) (T, error)) []Outcome[T] {
	out := make([]Outcome[T], len(items))
	var g errgroup.Group
	g.SetLimit(max(1, limit))
	for i, item := range items {
		g.Go(func() error {
			// ctx may have ended while the item waited for its place.
			if out[i].Err = ctx.Err(); out[i].Err == nil {
				out[i].Value, out[i].Err = fn(ctx, item)
			}
			return nil
		})
	}
	_ = g.Wait() // fn's errors are in their outcomes
	return out
}
