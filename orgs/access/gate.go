package access

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// gate bounds the requests on the wire, and finds out how many are worth having:
// it begins with a few and lets more in as long as that brings more answers a
// second. When it no longer does, the machine or the API is at its limit, and it
// stays there; when answers take several times as long as the quickest did, it
// lets fewer in.
//
// It counts answers and not throttled attempts, on purpose: the accounts of an
// organization have quotas of their own, so that throttling in some of them is no
// reason to ask the others slower, while throttling of what all calls share (STS)
// shows in fewer answers.
type gate struct {
	places *semaphore.Weighted // of most; those above the limit are taken by the gate itself
	most   int
	waited atomic.Bool // somebody had to wait in this window

	mu    sync.Mutex
	limit int
	debt  int // places to take back when they are left
	window
	best  float64       // most answers a second so far
	least time.Duration // quickest mean time of a window
	held  int           // windows without a change
}

// window is what was seen since the limit was last looked at.
type window struct {
	begun    time.Time
	attempts int
	answers  int
	took     time.Duration
}

const (
	firstPlaces = 64 // in flight when nothing is known yet
	fewPlaces   = 16 // it never goes below
	// more is by how much a window must be better than the best before: half as
	// many places again should bring half as many answers again, and what brings
	// less than half of that is memory spent on waiting.
	more = 1.25
	// slower is how many times the quickest mean time is too slow.
	slower = 4
	// patience is how many windows the limit stays before a few more are tried.
	patience = 10
)

func newGate(most int) *gate {
	g := &gate{places: semaphore.NewWeighted(int64(most)), most: most, limit: min(most, firstPlaces)}
	if rest := most - g.limit; rest > 0 {
		g.places.TryAcquire(int64(rest)) // nobody else is there yet
	}
	return g
}

// enter waits for a place.
func (g *gate) enter(ctx context.Context) error {
	if g.places.TryAcquire(1) {
		return nil
	}
	g.waited.Store(true)
	return g.places.Acquire(ctx, 1)
}

// leave gives a place back. answered says whether the attempt brought an answer,
// be it a refusal, and not throttling.
func (g *gate) leave(now time.Time, took time.Duration, answered bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.begun.IsZero() {
		g.begun = now.Add(-took)
	}
	g.attempts++
	g.took += took
	if answered {
		g.answers++
	}
	if g.debt > 0 {
		g.debt--
	} else {
		g.places.Release(1)
	}
	// Twice the limit: each place has been used about twice.
	if g.attempts >= 2*g.limit && now.After(g.begun) {
		g.set(g.judge(now))
		g.window = window{begun: now}
		g.waited.Store(false)
	}
}

// judge says what the limit should be after a window.
func (g *gate) judge(now time.Time) int {
	rate := float64(g.answers) / now.Sub(g.begun).Seconds()
	mean := g.took / time.Duration(g.attempts)
	if g.least == 0 || mean < g.least {
		g.least = mean
	}
	g.held++
	switch {
	case !g.waited.Load():
		return g.limit // nobody wanted more
	case mean > slower*g.least && rate < g.best*more:
		g.held, g.best = 0, rate
		return max(min(fewPlaces, g.most), g.limit*3/4)
	case rate > g.best*more:
		g.held, g.best = 0, rate
		return g.limit + g.limit/2
	case g.held >= patience:
		g.held, g.best = 0, rate
		return g.limit + g.limit/8
	}
	return g.limit
}

// set changes the limit.
func (g *gate) set(limit int) {
	limit = min(limit, g.most)
	switch d := limit - g.limit; {
	case d < 0:
		g.debt -= d
	case d > 0:
		forgiven := min(d, g.debt)
		g.debt -= forgiven
		g.places.Release(int64(d - forgiven))
	}
	g.limit = limit
}
