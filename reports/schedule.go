package reports

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/baseline/schedule"
)

// The schemas of what is told about the scheduled audit.
const (
	ScheduleSchema  = "orgguard.dev/schedule/v1"
	JobResultSchema = "orgguard.dev/schedule-run/v1"
)

// Schedule is how the scheduled audit is.
type Schedule struct {
	Schema      string    `json:"schema"`
	GeneratedAt time.Time `json:"generated_at"`
	ToolVersion string    `json:"tool_version"`
	baseline.JobState
	// Wanted is the engine that the configuration and the size ask for.
	Wanted schedule.Choice `json:"wanted"`
	Every  string          `json:"every"` // as the configuration wants it
	// Last is the last audit of everything, Next when the schedule begins the next
	// run; nil for never.
	Last *Run       `json:"last,omitempty"`
	Next *time.Time `json:"next,omitempty"`
	// Problems are what is not as it should be, with what to do.
	Problems []string `json:"problems"`
	Notes    []string `json:"notes"`
}

// JobResult is what came of a run that was begun by hand.
type JobResult struct {
	Schema    string `json:"schema"`
	Engine    string `json:"engine"`
	Execution string `json:"execution,omitempty"`
	// Run is the audit that it made; nil when nobody waited for it.
	Run *Run `json:"run,omitempty"`
}

// ScheduleFormats lists the formats of the state of the scheduled audit and of a run.
func ScheduleFormats() []Format { return []Format{Table, JSON} }

// WriteSchedule writes how the scheduled audit is.
func WriteSchedule(w io.Writer, f Format, s Style, r Schedule) error {
	r.Schema, r.GeneratedAt = ScheduleSchema, utcSecond(r.GeneratedAt)
	if r.Problems == nil {
		r.Problems = []string{}
	}
	if r.Notes == nil {
		r.Notes = []string{}
	}
	if r.Alarms == nil {
		r.Alarms = []baseline.JobAlarm{}
	}
	switch f {
	case JSON:
		return writeJSON(w, r)
	case Table:
		return tableSchedule(w, s, r)
	}
	return fmt.Errorf("cannot write the scheduled audit as %q: it can be written as %s", string(f), enumerate(names(ScheduleFormats())))
}

// scheduleVerdict is the state in one word.
func scheduleVerdict(r Schedule) (word, text string) {
	switch {
	case len(r.Unseen) > 0:
		return "UNKNOWN", count(len(r.Unseen), "thing", "things") + " could not be looked at"
	case !r.Installed:
		return "NOT INSTALLED", "there is no scheduled audit"
	case len(r.Problems) > 0:
		return "NOT WELL", count(len(r.Problems), "problem", "problems")
	}
	return "WELL", "the audit runs by itself"
}

func tableSchedule(w io.Writer, s Style, r Schedule) error {
	g := newGrid(s)
	word, text := scheduleVerdict(r)
	pen := g.pens.good
	if word != "WELL" {
		pen = g.pens.bad
	}
	g.lead(word+"  ", pen, text, g.pens.strong)
	g.line(Safe("account "+r.Account+", "+r.Region), 0, g.pens.faint)
	g.line(Safe(madeBy(r.GeneratedAt, r.ToolVersion)), 0, g.pens.faint)
	if r.Installed {
		g.blank()
		for _, row := range scheduleRows(r) {
			g.hang(fmt.Sprintf("  %-9s ", row[0]), Safe(row[1]), nil)
		}
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"Could not look", r.Unseen}, {"Problems", r.Problems}, {"Notes", r.Notes}} {
		if len(list.lines) == 0 {
			continue
		}
		g.blank()
		g.line(list.title, 0, g.pens.strong)
		for _, l := range list.lines {
			g.hang("  - ", Safe(l), nil)
		}
	}
	return g.flush(w)
}

// scheduleRows are what is known of a job that is installed, each with its name.
func scheduleRows(r Schedule) [][2]string {
	clock := r.Expression
	if !r.Enabled {
		clock = strings.TrimSpace(clock + " (off)")
	}
	rows := [][2]string{
		{"stack", r.Stack + ", " + r.StackStatus}, {"engine", r.Engine}, {"schedule", clock}, {"program", "orgguard " + r.Version},
		{"last run", lastRun(r.Last, r.GeneratedAt)},
	}
	if r.Next != nil {
		rows = append(rows, [2]string{"next run", fmt.Sprintf("%s, in %s", r.Next.UTC().Format("2006-01-02 15:04 UTC"), ago(r.Next.Sub(r.GeneratedAt)))})
	}
	rows = append(rows, [2]string{"joining", begins(r.Joining)}, [2]string{"tampering", begins(r.Tamper)})
	for _, a := range r.Alarms {
		rows = append(rows, [2]string{"alarm", a.Name + " " + a.State})
	}
	return append(rows, [2]string{"failed", count(r.Dead, "event", "events") + " in the queue " + r.Stack + "-dlq"}, [2]string{"history", "s3://" + r.Bucket + "/orgguard/history"})
}

// begins says whether something begins an audit.
func begins(t baseline.Trigger) string {
	if t.On {
		return "begins an audit of the account at once"
	}
	return "begins no audit"
}

// lastRun is an audit in a line.
func lastRun(r *Run, now time.Time) string {
	if r == nil {
		return "never"
	}
	return fmt.Sprintf("%s, %s ago: %s", r.GeneratedAt.UTC().Format("2006-01-02 15:04 UTC"), ago(now.Sub(r.GeneratedAt)), runCounts(*r))
}

// runCounts is what an audit found, in numbers.
func runCounts(r Run) string {
	out := fmt.Sprintf("%s in drift, %s not assessed, %s in sync, of %s", thousands(r.Summary.Drift), thousands(r.Summary.NotAssessed), thousands(r.Summary.InSync), count(r.Accounts, "account", "accounts"))
	if r.Interrupted {
		out += "; interrupted"
	}
	return out
}

// ago is a duration for people: two units at most.
func ago(d time.Duration) string {
	d = max(d, 0).Round(time.Minute)
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	}
	return fmt.Sprintf("%d min", minutes)
}

// WriteJobResult writes what came of a run.
func WriteJobResult(w io.Writer, f Format, s Style, r JobResult) error {
	r.Schema = JobResultSchema
	switch f {
	case JSON:
		return writeJSON(w, r)
	case Table:
		return tableJobResult(w, s, r)
	}
	return fmt.Errorf("cannot write a run as %q: it can be written as %s", string(f), enumerate(names(ScheduleFormats())))
}

func tableJobResult(w io.Writer, s Style, r JobResult) error {
	g := newGrid(s)
	if r.Run == nil {
		g.lead("BEGUN  ", g.pens.good, "the audit runs ("+Safe(r.Engine)+"); orgguard schedule status tells what came of it", nil)
		return g.flush(w)
	}
	word, pen := "IN SYNC", g.pens.good
	switch {
	case r.Run.Summary.NotAssessed > 0 || r.Run.Interrupted:
		word, pen = "INCOMPLETE", g.pens.bad
	case r.Run.Summary.Drift > 0:
		word, pen = "DRIFT", g.pens.bad
	}
	g.lead(word+"  ", pen, runCounts(*r.Run), g.pens.strong)
	if c := r.Run.Changes; r.Run.Run > 1 && c.New+c.Resolved+c.Worse > 0 {
		g.line(fmt.Sprintf("since the run before: %d new, %d resolved, %d worse", c.New, c.Resolved, c.Worse), 0, nil)
	}
	return g.flush(w)
}
