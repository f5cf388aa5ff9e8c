package reports

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/orgguard/orgguard/orgs/doctor"
)

// DoctorFormats lists the formats that what the doctor says can be written in.
func DoctorFormats() []Format { return []Format{Table, JSON, Markdown, JUnit} }

// WriteDoctor writes what the doctor says.
func WriteDoctor(w io.Writer, f Format, s Style, r doctor.Report) error {
	r.Schema = cmp.Or(r.Schema, doctor.Schema)
	r.GeneratedAt = utcSecond(r.GeneratedAt)
	r.Summary = doctor.Summarize(r.Checks)
	if r.Checks == nil {
		r.Checks = []doctor.Check{}
	}
	switch f {
	case Table:
		return tableDoctor(w, s, r)
	case JSON:
		return writeJSON(w, r)
	case Markdown:
		return markdownDoctor(w, r)
	case JUnit:
		return junitDoctor(w, r)
	}
	return fmt.Errorf("cannot write what the doctor says as %q: it can be written as %s", string(f), enumerate(names(DoctorFormats())))
}

// doctorWords head the groups of checks.
var doctorWords = map[doctor.Severity]string{
	doctor.Blocker: "Blockers: a rollout would fail, or not reach this",
	doctor.Unknown: "Unknown: nobody could look",
	doctor.Warning: "Warnings: a rollout works, but somebody should know",
	doctor.Info:    "To know",
	doctor.OK:      "In order",
}

// doctorVerdict is what the doctor says in one word and one line.
func doctorVerdict(r doctor.Report) (word, text string) {
	n := r.Summary
	switch {
	case n.Blocker > 0 && n.Unknown > 0:
		return "NOT READY", fmt.Sprintf("%s, and %s could not be looked at", count(n.Blocker, "blocker", "blockers"), count(n.Unknown, "thing", "things"))
	case n.Blocker > 0:
		return "NOT READY", count(n.Blocker, "blocker", "blockers")
	case n.Unknown > 0:
		return "UNKNOWN", count(n.Unknown, "thing", "things") + " could not be looked at"
	}
	return "READY", "nothing would make a rollout fail"
}

// doctorScope says where the doctor looked, and as whom.
func doctorScope(r doctor.Report) []string {
	return []string{
		"organization " + cmp.Or(r.Organization, "unknown") + ", as " + cmp.Or(r.Caller, "nobody"),
		madeBy(r.GeneratedAt, r.ToolVersion),
	}
}

// doctorGroups are the checks by severity, the worst first.
func doctorGroups(r doctor.Report) [][]doctor.Check {
	return groupBy(r.Checks, func(c doctor.Check) string { return string(c.Severity) })
}

func doctorWhere(c doctor.Check) string { return where(c.Account, c.AccountName, c.Region) }

func doctorCounts(n doctor.Summary) string {
	var parts []string
	for _, s := range doctor.Severities {
		parts = append(parts, fmt.Sprintf("%s %s", thousands(n.Of(s)), s))
	}
	return strings.Join(parts, ", ")
}

func tableDoctor(w io.Writer, s Style, r doctor.Report) error {
	g := newGrid(s)
	word, text := doctorVerdict(r)
	pen := g.pens.good
	if word != "READY" {
		pen = g.pens.bad
	}
	g.lead(word+"  ", pen, text, g.pens.strong)
	for _, l := range doctorScope(r) {
		g.line(Safe(l), 0, g.pens.faint)
	}
	for _, checks := range doctorGroups(r) {
		g.blank()
		g.line(doctorWords[checks[0].Severity]+" ("+thousands(len(checks))+")", 0, g.pens.strong)
		for _, c := range checks[:min(maxRows, len(checks))] {
			lead := "  " + Safe(c.ID) + "  "
			what := Safe(c.What)
			if at := doctorWhere(c); at != "" {
				what = Safe(at) + ": " + what
			}
			g.lead(lead, g.pens.faint, what, nil)
			if c.Severity == doctor.OK {
				continue
			}
			if c.Severity != doctor.Info {
				g.hang("      why: ", Safe(c.Why), nil)
			}
			if c.Fix != "" {
				g.hang("      fix: ", Safe(c.Fix), nil)
			}
		}
		if more := len(checks) - maxRows; more > 0 {
			g.line("and "+thousands(more)+" more, which --format json has", gridIndent, nil)
		}
	}
	g.blank()
	g.line("Counts: "+doctorCounts(r.Summary), 0, nil)
	return g.flush(w)
}

func markdownDoctor(w io.Writer, r doctor.Report) error {
	var m markdown
	word, text := doctorVerdict(r)
	m.line("## orgguard doctor: %s", word)
	m.line("**%s**", md(text))
	m.line("%s", md(strings.Join(doctorScope(r), ", ")))
	for _, checks := range doctorGroups(r) {
		m.line("### %s (%s)", md(doctorWords[checks[0].Severity]), thousands(len(checks)))
		var rows [][]string
		for _, c := range checks {
			row := []string{code(c.ID), mdAccount(c.Account, c.AccountName, ""), md(c.Region), md(c.What), "", ""}
			if c.Severity != doctor.OK {
				row[4], row[5] = md(c.Why), mdDo(c.Fix)
			}
			rows = append(rows, row)
		}
		m.table([]string{"Check", "Account", "Region", "What", "Why it matters", "Fix"}, rows)
	}
	m.line("%s", md(doctorCounts(r.Summary)))
	return m.flush(w)
}

// junitDoctor writes the checks as tests: one for each question and, where it is
// about one, account. A blocker is a failure, what nobody could look at an error;
// warnings pass and say what they have to say.
func junitDoctor(w io.Writer, r doctor.Report) error {
	s := junitSuite{Name: "organization " + visible(cmp.Or(r.Organization, "unknown"))}
	for _, checks := range groupBy(r.Checks, func(c doctor.Check) string { return c.ID + "\x00" + c.Account }) {
		// Checks are the worst first, and so are those of a group.
		worst := checks[0]
		c := junitCase{Name: visible(strings.TrimSpace(worst.ID + " " + worst.Account)), Class: "orgguard.doctor", Time: "0"}
		var lines []string
		for _, check := range checks {
			for _, l := range [][2]string{{string(check.Severity), strings.TrimSpace(doctorWhere(check) + " " + check.What)}, {"why", check.Why}, {"fix", check.Fix}, {"source", check.Source}} {
				if l[1] != "" {
					lines = append(lines, l[0]+": "+visible(l[1]))
				}
			}
		}
		result := &junitResult{Message: Safe(worst.What), Type: visible(string(worst.Severity)), Text: junitLines(lines)}
		switch worst.Severity {
		case doctor.Blocker:
			c.Failure = result
		case doctor.Warning, doctor.Info, doctor.OK:
			c.Output = &junitText{junitLines(lines)}
		default:
			c.Error = result
		}
		s.Cases = append(s.Cases, c)
	}
	return writeJUnit(w, "orgguard doctor", r.GeneratedAt, []junitSuite{s})
}
