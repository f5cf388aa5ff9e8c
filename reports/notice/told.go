package notice

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/reports"
)

const (
	// Patience is how long a run may take to tell its channels. Another one that has
	// something to tell waits so long, and then does it in its place: a run that dies
	// between sending and writing it down is the one case in which a message is sent
	// twice.
	Patience = 90 * time.Second
	// window is the time in which a channel gets a number of messages.
	window = time.Hour
	// Refresh is how old Security Hub's copy of what is open may get. It deletes what
	// was not updated for 90 days.
	// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings.html
	Refresh = 7 * 24 * time.Hour
)

// Told is who has been told of what: a value that a history keeps beside the runs. The
// keys are the organization and the channel.
type Told map[string]Channel

// Channel is what the record says about one.
type Channel struct {
	// Run is the last run that it has been told of, or that had nothing to tell.
	Run int64 `json:"run"`
	// Sent are the times of the messages of the last hour, Last that of the last one.
	Sent []time.Time `json:"sent,omitempty"`
	Last time.Time   `json:"last,omitzero"`
	// Full is when everything that was open was sent, for a channel that keeps it.
	Full time.Time `json:"full,omitzero"`
	// Owner is the run that is telling it now, until Until.
	Owner string    `json:"owner,omitempty"`
	Until time.Time `json:"until,omitzero"`
	// Failures is how often in a row it could not be told, FailedSince the first time
	// and Error the last reason.
	Failures    int       `json:"failures,omitempty"`
	FailedSince time.Time `json:"failed_since,omitzero"`
	Error       string    `json:"error,omitempty"`
}

// ReadTold reads a record; of nothing it is an empty one.
func ReadTold(b []byte) (Told, error) {
	t := Told{}
	if len(b) == 0 {
		return t, nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&t); err != nil {
		return nil, fmt.Errorf("the record of notices: %w", err)
	}
	return t, nil
}

// Bytes is the record as ReadTold reads it.
func (t Told) Bytes() ([]byte, error) { return json.Marshal(t) }

// Claim is what a run wants to tell a channel.
type Claim struct {
	Key string // in the record
	// Run is the run's number, Before that of the run before, 0 without one.
	Run, Before int64
	// Quiet says that the run has no news.
	Quiet bool
	// Keeps says that the channel keeps what is open, and wants all of it now and
	// then.
	Keeps bool
}

// Turn is what is to be done with a channel.
type Turn struct {
	// Go says that the run is to tell it, and nobody else. Otherwise there is nothing to
	// do; or Busy: another run is at it, and has until Until.
	Go, Busy bool
	Until    time.Time
	// After is the last run that it has been told of.
	After int64
	// Full says that everything that is open is to be sent.
	Full bool
	// Free is how many messages it may get now.
	Free int
}

// Take decides whether a run, which calls itself owner, tells a channel now, and writes
// it down.
func (t Told) Take(c Claim, owner string, now time.Time, perHour int) Turn {
	ch, known := t[c.Key]
	if !known {
		// Somebody new is told from now on, and not the whole history.
		ch.Run = c.Before
	}
	if c.Before == 0 && ch.Run > c.Run {
		ch.Run = 0 // the history began anew, and the record outlived it
	}
	defer func() { t[c.Key] = ch }()
	ch.Sent = slices.DeleteFunc(slices.Clone(ch.Sent), func(at time.Time) bool { return now.Sub(at) >= window })
	full := c.Keeps && now.Sub(ch.Full) >= Refresh
	switch {
	case ch.Owner != "" && ch.Owner != owner && now.Before(ch.Until):
		return Turn{Busy: ch.Run < c.Run, Until: ch.Until}
	case ch.Run >= c.Run && !full:
		return Turn{}
	case c.Quiet && ch.Run == c.Before && !full:
		ch.Run = c.Run
		return Turn{}
	}
	ch.Owner, ch.Until = owner, now.Add(Patience)
	return Turn{Go: true, After: ch.Run, Full: full, Free: perHour - len(ch.Sent)}
}

// Outcome is what came of telling a channel.
type Outcome struct {
	Key  string
	To   int64 // the run up to which it was told, or was to be
	Sent bool
	Full bool  // with everything that is open
	Held bool  // it has had its messages of this hour
	Err  error // why it could not be told
}

// Settle writes down what came of it.
func (t Told) Settle(o Outcome, owner string, now time.Time) {
	ch := t[o.Key]
	switch {
	case o.Err != nil:
		if ch.Failures++; ch.Failures == 1 {
			ch.FailedSince = now
		}
		ch.Error = clip(o.Err.Error(), 300)
	case o.Held:
	default:
		ch.Run = max(ch.Run, o.To)
		if o.Sent {
			ch.Sent, ch.Last = append(slices.Clone(ch.Sent), now), now
			ch.Failures, ch.FailedSince, ch.Error = 0, time.Time{}, ""
		}
		if o.Full {
			ch.Full = now
		}
	}
	if ch.Owner == owner {
		ch.Owner, ch.Until = "", time.Time{}
	}
	t[o.Key] = ch
}

// List is the record as people read it, by organization and channel.
func (t Told) List() []reports.ChannelState {
	out := []reports.ChannelState{}
	for _, key := range slices.Sorted(maps.Keys(t)) {
		org, name, _ := strings.Cut(key, "/")
		ch := t[key]
		out = append(out, reports.ChannelState{Organization: org, Name: name, Run: ch.Run, Last: ch.Last, Failures: ch.Failures, FailedSince: ch.FailedSince, Error: ch.Error})
	}
	return out
}
