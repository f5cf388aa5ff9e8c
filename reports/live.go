package reports

import (
	"fmt"
	"io"
	"time"

	"github.com/olekukonko/tablewriter/tw"
)

// LiveSchema is the version of the JSON of WriteLiveTests.
const LiveSchema = "orgguard.live-tests/v1"

// LiveTest is what became of one event that was sent to try the alerts.
type LiveTest struct {
	Account     string `json:"account"`
	AccountName string `json:"account_name"`
	Region      string `json:"region"`
	// Arrived says that the message came out of the topic, Millis after how long.
	Arrived bool  `json:"arrived"`
	Millis  int64 `json:"milliseconds,omitempty"`
	// Stuck is where it got stuck as far as anybody can see, and Fix what to do.
	Stuck string `json:"stuck,omitempty"`
	Fix   string `json:"fix,omitempty"`
	// Undelivered is what a dead letter says of why the event was not delivered.
	Undelivered string `json:"undelivered,omitempty"`
	// Error is why it could not be tried.
	Error string `json:"error,omitempty"`
}

// LiveFormats are how the results of events that were sent can be written.
func LiveFormats() []Format { return []Format{Table, JSON} }

// WriteLiveTests writes what became of the events.
func WriteLiveTests(w io.Writer, f Format, s Style, tests []LiveTest) error {
	switch f {
	case JSON:
		return writeJSON(w, struct {
			Schema string     `json:"schema"`
			Tests  []LiveTest `json:"tests"`
		}{LiveSchema, tests})
	case Table:
	default:
		return fmt.Errorf("cannot write live tests as %q: they can be written as %s", string(f), enumerate(names(LiveFormats())))
	}
	g := newGrid(s)
	rows := make([]gridRow, len(tests))
	arrived := 0
	for i, t := range tests {
		state, after, why := "STUCK", "", t.Stuck
		switch {
		case t.Error != "":
			state, why = "ERROR", t.Error
		case t.Arrived:
			arrived++
			state, after = "ok", (time.Duration(t.Millis) * time.Millisecond).String()
		}
		if t.Undelivered != "" {
			why += "; a dead letter says: " + t.Undelivered
		}
		if t.Fix != "" {
			why += ": " + t.Fix
		}
		rows[i] = gridRow{cells: []string{state, Safe(t.Account), Safe(t.AccountName), Safe(t.Region), after, Safe(why)}}
	}
	cols := []column{
		{title: "state", min: 5}, {title: "account", min: 12}, {title: "name", min: 8}, {title: "region", min: 9},
		{title: "after", min: 5, align: tw.AlignRight}, {title: "where it got stuck", min: 20, spills: true},
	}
	if err := g.with(cols...).draw(rows); err != nil {
		return err
	}
	g.line(fmt.Sprintf("%d of %s came out of the topic.", arrived, count(len(tests), "event", "events")), 0, nil)
	return g.flush(w)
}
