package preview

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Cache keeps what was read of event histories in a file, so that a lookup that
// was stopped goes on where it was, and the next one reads only what is new. It
// is a log of JSON lines: a line that was cut short by a crash is left out.
type Cache struct {
	org  string
	file string
	mu   sync.Mutex
	have map[string]cached
}

// cached is what one query gave.
type cached struct {
	Org     string    `json:"org"`
	Account string    `json:"account"`
	Region  string    `json:"region"`
	Query   string    `json:"query"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Events  []Event   `json:"events"`
}

func (c cached) key() string { return c.Org + " " + c.Account + " " + c.Region + " " + c.Query }

// settled is how old events must be to be kept: CloudTrail delivers most within
// five minutes and promises none.
const settled = 30 * time.Minute

// OpenCache opens the cache of an organization in a file, which need not exist.
func OpenCache(file, org string) (*Cache, error) {
	c := &Cache{org: org, file: file, have: map[string]cached{}}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var r cached
		if json.Unmarshal(lines.Bytes(), &r) == nil && r.Org == org {
			c.have[r.key()] = r
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the cache %s: %w", file, err)
	}
	return c, nil
}

// get returns what is kept of a query, and from when on it has to be asked.
func (c *Cache) get(x cell, q query, from time.Time) (time.Time, []Event) {
	if c == nil {
		return from, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.have[cached{Org: c.org, Account: string(x.account.ID), Region: x.region, Query: q.String()}.key()]
	// An answer that begins later, or ended before the time asked for, does not join up.
	if !ok || r.From.After(from) || r.To.Before(from) {
		return from, nil
	}
	var out []Event
	for _, e := range r.Events {
		if !e.Last.Before(from) {
			out = append(out, e)
		}
	}
	return r.To, out
}

// put keeps what a query gave, but for what may still be on its way.
func (c *Cache) put(x cell, q query, from, to time.Time, events []Event) error {
	if c == nil {
		return nil
	}
	horizon := to.Add(-settled).Truncate(time.Second) // events have whole seconds
	if horizon.Before(from) {
		return nil
	}
	r := cached{Org: c.org, Account: string(x.account.ID), Region: x.region, Query: q.String(), From: from.UTC(), To: horizon.UTC(), Events: []Event{}}
	for _, e := range events {
		if e.Last.Before(horizon) {
			r.Events = append(r.Events, e)
		}
	}
	r.Events = MergeEvents(r.Events)
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the cache: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.have[r.key()] = r
	if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
		return fmt.Errorf("write the cache: %w", err)
	}
	f, err := os.OpenFile(c.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the cache: %w", err)
	}
	// A line break first ends a line that a crash has cut short.
	_, err = f.Write(append(append([]byte{'\n'}, line...), '\n'))
	return errors.Join(err, f.Close())
}
