package reports

import (
	"fmt"
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

// ChannelsSchema is the schema of who has been told of which run.
const ChannelsSchema = "orgguard.dev/notices/v1"

// ChannelsFormats lists the formats of that.
func ChannelsFormats() []Format { return []Format{Table, JSON} }

// channelJSON is a ChannelState as JSON has it.
type channelJSON struct {
	Organization string    `json:"organization"`
	Channel      string    `json:"channel"`
	Run          int64     `json:"run"`
	LastMessage  time.Time `json:"last_message,omitzero"`
	State        string    `json:"state"` // "ok" or "failed"
	Failures     int       `json:"failures"`
	FailedSince  time.Time `json:"failed_since,omitzero"`
	Error        string    `json:"error,omitempty"`
}

// WriteChannels writes who has been told of which run.
func WriteChannels(w io.Writer, f Format, s Style, channels []ChannelState) error {
	switch f {
	case JSON:
		out := struct {
			Schema   string        `json:"schema"`
			Channels []channelJSON `json:"channels"`
		}{ChannelsSchema, []channelJSON{}}
		for _, c := range channels {
			state := "ok"
			if c.Failures > 0 {
				state = "failed"
			}
			out.Channels = append(out.Channels, channelJSON{c.Organization, c.Name, c.Run, utcSecond(c.Last), state, c.Failures, utcSecond(c.FailedSince), c.Error})
		}
		return writeJSON(w, out)
	case Table:
		return tableChannels(w, s, channels)
	}
	return fmt.Errorf("cannot write who was told as %q: it can be written as %s", string(f), enumerate(names(ChannelsFormats())))
}

func tableChannels(w io.Writer, s Style, channels []ChannelState) error {
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
