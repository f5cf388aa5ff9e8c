package reports

import (
	"io"
	"strconv"
	"time"

	"github.com/olekukonko/tablewriter/tw"
)

// ChannelState is what the record of a history says about a place where notices go.
type ChannelState struct {
	Organization, Name string
	Run                int64     // the last that it has been told of, or that had nothing to tell
	Last               time.Time // of the last message; zero when there was none
	Failures           int       // in a row
	FailedSince        time.Time
	Error              string // why it could not be told
}

// WriteChannels writes who has been told of which run, as a table.
func WriteChannels(w io.Writer, s Style, channels []ChannelState) error {
	g := newGrid(s)
	if len(channels) == 0 {
		g.line("Nobody has been told anything yet.", 0, nil)
		return g.flush(w)
	}
	rows := make([]gridRow, len(channels))
	for i, c := range channels {
		last, state := "never", "ok"
		if !c.Last.IsZero() {
			last = minute(c.Last)
		}
		if c.Failures > 0 {
			state = "failed " + count(c.Failures, "time", "times") + " since " + minute(c.FailedSince) + ": " + c.Error
		}
		rows[i] = gridRow{cells: []string{Safe(c.Name), Safe(c.Organization), strconv.FormatInt(c.Run, 10), last, Safe(state)}}
	}
	cols := []column{
		{title: "channel", min: 8}, {title: "organization", min: 12}, {title: "run", min: 4, align: tw.AlignRight}, {title: "last message", min: 12},
		{title: "state", min: 10, spills: true},
	}
	if err := g.with(cols...).draw(rows); err != nil {
		return err
	}
	return g.flush(w)
}
