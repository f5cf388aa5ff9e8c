package orgs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
)

func TestForEachKeepsTheOrderOfTheItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		items := []int{5, 4, 3, 2, 1, 0}
		var ended []int
		var mu sync.Mutex
		out := orgs.ForEach(t.Context(), items, len(items), func(_ context.Context, n int) (string, error) {
			time.Sleep(time.Duration(n) * time.Second) // the bubble's clock: the last item ends first
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, n)
			return fmt.Sprint(n), nil
		})
		var got []string
		for _, o := range out {
			got = append(got, o.Value)
		}
		if diff := cmp.Diff([]string{"5", "4", "3", "2", "1", "0"}, got); diff != "" {
			t.Error(diff)
		}
		if !slices.IsSorted(ended) {
			t.Errorf("ended in the order %v: they did not run side by side", ended)
		}
	})
}

func TestForEachKeepsToItsLimit(t *testing.T) {
	for _, tc := range []struct {
		name               string
		items, limit, want int
	}{
		{"fewer at once than items", 20, 3, 3},
		{"one at a time", 5, 1, 1},
		{"a limit of nothing is one at a time", 5, 0, 1},
		{"a negative limit is one at a time", 5, -7, 1},
		{"no more goroutines than items", 4, 100, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var now, done atomic.Int32
				gate := make(chan struct{})
				go orgs.ForEach(t.Context(), make([]int, tc.items), tc.limit, func(context.Context, int) (int, error) {
					now.Add(1)
					<-gate
					now.Add(-1)
					done.Add(1)
					return 0, nil
				})
				for left := tc.items; left > 0; left-- {
					synctest.Wait() // nothing moves any more: all who may be inside are
					if got, want := int(now.Load()), min(tc.want, left); got != want {
						t.Fatalf("with %d left, %d are running, want %d", left, got, want)
					}
					gate <- struct{}{}
				}
				synctest.Wait()
				if int(done.Load()) != tc.items {
					t.Errorf("%d of %d done", done.Load(), tc.items)
				}
			})
		})
	}
}

func TestForEachKeepsErrorsApart(t *testing.T) {
	odd := errors.New("odd")
	out := orgs.ForEach(t.Context(), []int{0, 1, 2, 3, 4}, 2, func(_ context.Context, n int) (int, error) {
		if n%2 == 1 {
			return 0, fmt.Errorf("item %d: %w", n, odd)
		}
		return n * n, nil
	})
	for i, o := range out {
		if i%2 == 1 {
			if !errors.Is(o.Err, odd) || o.Err.Error() != fmt.Sprintf("item %d: odd", i) {
				t.Errorf("item %d: got error %v", i, o.Err)
			}
			continue
		}
		if o.Err != nil || o.Value != i*i {
			t.Errorf("item %d: got %d, %v", i, o.Value, o.Err)
		}
	}
}

func TestForEachBeginsNothingAfterItsContextEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var begun []int
		out := orgs.ForEach(ctx, []int{0, 1, 2, 3, 4}, 1, func(_ context.Context, n int) (string, error) {
			begun = append(begun, n) // one at a time
			if n == 1 {
				synctest.Wait() // item 2 waits for its place now, and must not get it
				cancel()
			}
			return "done", nil
		})
		if diff := cmp.Diff([]int{0, 1}, begun); diff != "" {
			t.Errorf("begun: %s", diff)
		}
		for i, o := range out {
			switch {
			case i <= 1 && (o.Err != nil || o.Value != "done"):
				t.Errorf("item %d was done before: got %q, %v", i, o.Value, o.Err)
			case i > 1 && !errors.Is(o.Err, context.Canceled):
				t.Errorf("item %d was not begun: got %q, %v", i, o.Value, o.Err)
			}
		}
	})
}

func TestForEachOfNothingIsNothing(t *testing.T) {
	out := orgs.ForEach(t.Context(), nil, 8, func(context.Context, int) (int, error) { return 0, errors.New("called") })
	if len(out) != 0 {
		t.Errorf("got %v", out)
	}
}
