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

// cells is told how many account × Region cells are done.
func (p *progressLine) cells(done, total int) { p.items("account × Region", done, total) }

// accounts is told how many accounts are done.
func (p *progressLine) accounts(done, total int) { p.items("accounts", done, total) }

func (p *progressLine) items(what string, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	took := time.Since(p.start)
	left := "?"
	if done > 0 {
		left = (took / time.Duration(done) * time.Duration(total-done)).Round(time.Second).String()
	}
	_, throttled := p.pool.Traffic()
	fmt.Fprintf(p.w, "\r\x1b[K%d of %d %s, %.0f a second, %d throttled, %s left", done, total, what, float64(done)/took.Seconds(), throttled, left)
}

// clear takes the line away.
func (p *progressLine) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
