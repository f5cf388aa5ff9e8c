package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/orgguard/orgguard/orgs/access"
)

// progressLine is one line on a terminal that is written over until it is done.
type progressLine struct {
	mu    sync.Mutex
	w     io.Writer
	on    bool
	start time.Time
	last  time.Time
	pool  *access.Pool
}

// newProgress makes a line that is silent unless stderr is a terminal.
func newProgress(s *session) *progressLine {
	return &progressLine{w: s.err, on: s.errTTY && !s.quiet, start: time.Now(), pool: s.pool}
}

// cells is told how many accounts of how many are done, and how many account ×
// Region cells.
func (p *progressLine) cells(accounts, of, cells int) {
	p.show(accounts, of, cells, "account × Region")
}

// accounts is told how many accounts of how many are done, where there are no
// cells.
func (p *progressLine) accounts(done, of int) { p.show(done, of, done, "accounts") }

// show draws the line: what is done, how fast it goes, and by the accounts that
// are left, how long it will take.
func (p *progressLine) show(done, of, units int, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	took := time.Since(p.start)
	left := "?"
	if done > 0 {
		left = (took / time.Duration(done) * time.Duration(of-done)).Round(time.Second).String()
	}
	_, throttled := p.pool.Traffic()
	fmt.Fprintf(p.w, "\r\x1b[K%d of %d accounts, %.0f %s a second, %d throttled, %s left", done, of, float64(units)/took.Seconds(), unit, throttled, left)
}

// clear takes the line away.
func (p *progressLine) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
