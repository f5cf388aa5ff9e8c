package reports

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter/tw"

	"github.com/orgguard/orgguard/orgs/finding"
)

// The schemas of what is told about more than one audit.
const (
	RunsSchema      = "orgguard.dev/runs/v1"
	TrendSchema     = "orgguard.dev/trend/v1"
	LifetimesSchema = "orgguard.dev/lifetimes/v1"
)

// RunOf is an audit in numbers.
func RunOf(a Audit) Run {
	r := Run{
		GeneratedAt: utcSecond(a.GeneratedAt), ToolVersion: a.ToolVersion, Organization: a.Organization.ID, Narrowed: a.Scope.Narrowed,
		Interrupted: a.Interrupted, Accounts: a.Organization.Accounts, Summary: a.Summary, Drift: SeveritiesOf(a.Findings),
	}
	if a.Since != nil {
		r.Changes = a.Since.Changes
	}
	return r
}

// Lifetime is when a finding was there.
type Lifetime struct {
	ID        string    `json:"id"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	// Resolved is when an audit first found it in order; zero while it is there.
	Resolved time.Time `json:"resolved,omitzero"`
	// Times is how often it began: more than once for what comes back.
	Times   int             `json:"times"`
	Finding finding.Finding `json:"finding"` // as it was last seen
}

// SortLifetimes puts lifetimes in the order of their findings.
func SortLifetimes(ls []Lifetime) {
	slices.SortStableFunc(ls, func(a, b Lifetime) int { return cmp.Or(finding.Compare(a.Finding, b.Finding), cmp.Compare(a.ID, b.ID)) })
}

// listWriters write lists of runs and lifetimes and comparisons. What a format has no
// function for, it cannot write.
type listWriter struct {
	format    Format
	runs      func(io.Writer, Style, string, []Run) error
	lifetimes func(io.Writer, Style, []Lifetime) error
	diff      func(io.Writer, Style, Diff) error
}

var listWriters = []listWriter{
	{Table, tableRuns, tableLifetimes, tableDiff},
	{JSON, jsonRuns, jsonLifetimes, jsonDiff},
	{Markdown, nil, nil, markdownDiff},
}

// ListFormats lists the formats of lists of runs and lifetimes.
func ListFormats() []Format {
	return listFormats(func(l listWriter) bool { return l.runs != nil && l.lifetimes != nil })
}

// DiffFormats lists the formats of a comparison.
func DiffFormats() []Format { return listFormats(func(l listWriter) bool { return l.diff != nil }) }

func listFormats(can func(listWriter) bool) []Format {
	var out []Format
	for _, l := range listWriters {
		if can(l) {
			out = append(out, l.format)
		}
	}
	return out
}

func findList(f Format, what string, can func(listWriter) bool) (listWriter, error) {
	i := slices.IndexFunc(listWriters, func(l listWriter) bool { return l.format == f && can(l) })
	if i < 0 {
		return listWriter{}, fmt.Errorf("cannot write %s as %q: it can be written as %s", what, string(f), enumerate(names(listFormats(can))))
	}
	return listWriters[i], nil
}

// WriteRuns writes a list of runs.
func WriteRuns(w io.Writer, f Format, s Style, runs []Run) error {
	l, err := findList(f, "a list of runs", func(l listWriter) bool { return l.runs != nil })
	if err != nil {
		return err
	}
	return l.runs(w, s, RunsSchema, runs)
}

// WriteTrend writes runs as a trend.
func WriteTrend(w io.Writer, f Format, s Style, runs []Run) error {
	l, err := findList(f, "a trend", func(l listWriter) bool { return l.runs != nil })
	if err != nil {
		return err
	}
	return l.runs(w, s, TrendSchema, runs)
}

// WriteLifetimes writes when findings were there.
func WriteLifetimes(w io.Writer, f Format, s Style, ls []Lifetime) error {
	l, err := findList(f, "a list of findings", func(l listWriter) bool { return l.lifetimes != nil })
	if err != nil {
		return err
	}
	return l.lifetimes(w, s, ls)
}

// WriteDiff writes a comparison of two audits.
func WriteDiff(w io.Writer, f Format, s Style, d Diff) error {
	l, err := findList(f, "a comparison", func(l listWriter) bool { return l.diff != nil })
	if err != nil {
		return err
	}
	return l.diff(w, s, d)
}

func jsonRuns(w io.Writer, _ Style, schema string, runs []Run) error {
	if runs == nil {
		runs = []Run{}
	}
	return writeJSON(w, runsDocument{schema, runs})
}

type runsDocument struct {
	Schema string `json:"schema"`
	Runs   []Run  `json:"runs"`
}

func jsonLifetimes(w io.Writer, _ Style, ls []Lifetime) error {
	if ls == nil {
		ls = []Lifetime{}
	}
	return writeJSON(w, lifetimesDocument{LifetimesSchema, ls})
}

type lifetimesDocument struct {
	Schema   string     `json:"schema"`
	Findings []Lifetime `json:"findings"`
}

func jsonDiff(w io.Writer, _ Style, d Diff) error { return writeJSON(w, d) }

// trendBar is the width of the bars of a trend in a table.
const trendBar = 20

func tableRuns(w io.Writer, s Style, schema string, runs []Run) error {
	g := newGrid(s)
	if len(runs) == 0 {
		g.line("There are no runs.", 0, nil)
		return g.flush(w)
	}
	number := func(title string) column { return column{title: title, min: len(title), align: tw.AlignRight} }
	// A trend has a bar, and no room for everything in a narrow terminal.
	rank := func(title string) column {
		c := number(title)
		c.spare = schema == TrendSchema
		return c
	}
	cols := []column{
		number("run"), {title: "time", min: 16}, number("drift"), rank("crit"), rank("high"), rank("med"), rank("low"),
		number("blind"), number("new"), number("worse"), number("gone"), {title: "note", min: 8, spills: true},
	}
	top := 1
	for _, r := range runs {
		top = max(top, r.Summary.Drift)
	}
	if schema == TrendSchema {
		cols[len(cols)-1] = column{title: "trend", min: trendBar}
	}
	rows := make([]gridRow, len(runs))
	for i, r := range runs {
		note := runNote(r)
		if schema == TrendSchema {
			note = strings.Repeat("#", (r.Summary.Drift*trendBar+top-1)/top)
		}
		n := thousands
		rows[i] = gridRow{cells: []string{
			strconv.FormatInt(r.Run, 10), r.GeneratedAt.UTC().Format("2006-01-02 15:04"), n(r.Summary.Drift), n(r.Drift.Critical), n(r.Drift.High),
			n(r.Drift.Medium), n(r.Drift.Low), n(r.Summary.NotAssessed), n(r.Changes.New), n(r.Changes.Worse), n(r.Changes.Resolved), note,
		}}
	}
	if err := g.with(cols...).draw(rows); err != nil {
		return err
	}
	return g.flush(w)
}

func runNote(r Run) string {
	var out []string
	if r.Narrowed {
		out = append(out, "part")
	}
	if r.Interrupted {
		out = append(out, "interrupted")
	}
	return strings.Join(out, ", ")
}

func tableLifetimes(w io.Writer, s Style, ls []Lifetime) error {
	g := newGrid(s)
	if len(ls) == 0 {
		g.line("There are no findings.", 0, nil)
		return g.flush(w)
	}
	cols := []column{
		{title: "status", min: 8}, {title: "first seen", min: 10}, {title: "last seen", min: 10}, {title: "resolved", min: 10},
		{title: "times", min: 5, align: tw.AlignRight}, {title: "Region", min: 9}, {title: "control", min: 11}, {title: "what", min: 14, spills: true},
	}
	var rows []gridRow
	heading := ""
	for _, l := range ls {
		f := l.Finding
		row := gridRow{cells: []string{
			statusWords[statusOf(f)], l.FirstSeen.Format(time.DateOnly), l.LastSeen.Format(time.DateOnly), dayOf(l.Resolved),
			strconv.Itoa(l.Times), Safe(f.Region), Safe(f.Control), Safe(sentence(f)),
		}}
		if h := groupHeading(accountGroup{id: f.Account, name: f.AccountName, ou: f.OUPath}); h != heading {
			row.heading, heading = h, h
		}
		rows = append(rows, row)
	}
	if err := g.with(cols...).draw(rows); err != nil {
		return err
	}
	return g.flush(w)
}

func dayOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

// diffTitles head the parts of a comparison.
var diffTitles = map[finding.Change]string{
	finding.New: "New", finding.Worse: "Got worse", finding.Resolved: "Resolved", finding.Accepted: "Accepted by the configuration since",
	finding.Open: "Still open", finding.Unseen: "Open before, and not looked at again",
}

// diffSections are the findings of a comparison by how they changed, then by account.
func diffSections(d Diff) []section {
	var out []section
	for _, c := range finding.Changes {
		var fs []finding.Finding
		for _, ch := range d.Findings {
			if ch.Finding.Change == c {
				fs = append(fs, told(ch))
			}
		}
		if len(fs) == 0 {
			continue
		}
		out = append(out, headed(finding.Drift, diffTitles[c], fs))
	}
	return out
}

// told is a finding of a comparison, whose heading says how it changed.
func told(c Changed) finding.Finding {
	f := c.Finding
	if f.Change == finding.Worse && c.Was != nil {
		was := string(c.Was.Severity)
		if c.Was.Status != finding.Drift {
			was = statusWords[statusOf(*c.Was)]
		}
		f.Reason = strings.TrimPrefix(f.Reason+"; it was "+was+" before", "; ")
	}
	if f.Change == finding.Resolved || f.Change == finding.Unseen {
		f.Fix = ""
	}
	f.Change = ""
	return f
}

func diffHead(d Diff) []string {
	side := func(word string, s DiffSide) string {
		return fmt.Sprintf("%s: %s, %s; %s drift, %s not assessed", word, cmp.Or(s.Name, "an audit"), madeBy(s.GeneratedAt, s.ToolVersion), thousands(s.Drift), thousands(s.NotAssessed))
	}
	out := []string{"organization " + cmp.Or(d.Organization, "unknown"), side("before", d.Before), side("after", d.After)}
	if a, b := d.Before.ConfigDigest, d.After.ConfigDigest; a != "" && b != "" && a != b {
		out = append(out, "The configuration is not the same in both: some of what changed may be what was asked for.")
	}
	return out
}

func tableDiff(w io.Writer, s Style, d Diff) error {
	g := newGrid(s)
	g.lead("CHANGES  ", g.pens.strong, tallyWords(d.Changes), g.pens.strong)
	for _, l := range diffHead(d) {
		g.hang("", Safe(l), g.pens.faint)
	}
	for _, p := range diffSections(d) {
		g.blank()
		g.line(p.title(), 0, g.pens.strong)
		if err := auditSection(g, p); err != nil {
			return err
		}
	}
	return g.flush(w)
}

func markdownDiff(w io.Writer, _ Style, d Diff) error {
	var m markdown
	m.line("## orgguard: what changed")
	m.line("**%s**", md(tallyWords(d.Changes)))
	for _, l := range diffHead(d) {
		m.line("%s", md(l))
	}
	for _, s := range diffSections(d) {
		m.line("### %s", s.title())
		m.findings(s)
	}
	return m.flush(w)
}
