package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
)

// Format names a way to write something.
type Format string

// The formats.
const (
	Table    Format = "table"
	JSON     Format = "json"
	CSV      Format = "csv"
	Markdown Format = "markdown"
	HTML     Format = "html"
	SARIF    Format = "sarif"
	JUnit    Format = "junit"
	ASFF     Format = "asff"
	OCSF     Format = "ocsf"
)

// Style is how a format for people looks. Formats for programs ignore it.
type Style struct {
	// Color allows ANSI colours. They never carry meaning alone.
	Color bool
	// Width is the number of columns that may be used; 0 is 100. Below 60 a
	// table has no room for its columns, and 60 are used.
	Width int
}

const (
	defaultWidth = 100
	minWidth     = 60
)

func (s Style) width() int {
	if s.Width == 0 {
		return defaultWidth
	}
	return max(minWidth, s.Width)
}

// renderer is one format. What a format has no function for, it cannot write.
type renderer struct {
	format Format
	audit  func(io.Writer, Style, Audit) error
	plan   func(io.Writer, Style, plan.Plan) error
	result func(io.Writer, Style, plan.Result) error
}

// renderers lists the formats in the order in which help texts name them.
var renderers = []renderer{
	{Table, tableAudit, tablePlan, tableResult},
	{JSON, jsonAudit, jsonPlan, jsonResult},
	{CSV, csvAudit, nil, nil},
	{Markdown, markdownAudit, markdownPlan, markdownResult},
	{HTML, htmlAudit, nil, nil},
	{SARIF, sarifAudit, nil, nil},
	{JUnit, junitAudit, nil, nil},
	{ASFF, asffAudit, nil, nil},
	{OCSF, ocsfAudit, nil, nil},
}

// Formats lists the formats an audit can be written in.
func Formats() []Format {
	return formatsWith(func(r renderer) bool { return r.audit != nil })
}

// PlanFormats lists the formats a plan and the result of a rollout can be
// written in.
func PlanFormats() []Format {
	return formatsWith(func(r renderer) bool { return r.plan != nil && r.result != nil })
}

func formatsWith(can func(renderer) bool) []Format {
	var fs []Format
	for _, r := range renderers {
		if can(r) {
			fs = append(fs, r.format)
		}
	}
	return fs
}

// ParseFormat reads a format's name as a user types it. An unknown name is an
// error that says which there are.
func ParseFormat(s string) (Format, error) {
	f := Format(strings.ToLower(strings.TrimSpace(s)))
	if slices.ContainsFunc(renderers, func(r renderer) bool { return r.format == f }) {
		return f, nil
	}
	known := names(formatsWith(func(renderer) bool { return true }))
	if near := orgs.Nearest(string(f), known); len(near) > 0 {
		return "", fmt.Errorf("unknown format %q; did you mean %s? There are %s", s, near[0], enumerate(known))
	}
	return "", fmt.Errorf("unknown format %q; there are %s", s, enumerate(known))
}

// Write writes an audit.
func Write(w io.Writer, f Format, s Style, a Audit) error {
	r, err := find(f, "an audit", func(r renderer) bool { return r.audit != nil })
	if err != nil {
		return err
	}
	return r.audit(w, s, normalizeAudit(a))
}

// WritePlan writes a plan. The JSON form decodes into a plan.Plan again.
func WritePlan(w io.Writer, f Format, s Style, p plan.Plan) error {
	r, err := find(f, "a plan", func(r renderer) bool { return r.plan != nil })
	if err != nil {
		return err
	}
	return r.plan(w, s, normalizePlan(p))
}

// WriteResult writes what a rollout did.
func WriteResult(w io.Writer, f Format, s Style, res plan.Result) error {
	r, err := find(f, "the result of a rollout", func(r renderer) bool { return r.result != nil })
	if err != nil {
		return err
	}
	if res.Outcomes == nil {
		res.Outcomes = []plan.Outcome{}
	}
	return r.result(w, s, res)
}

// find returns the renderer of a format, or an error: an unknown format never
// falls back to another one in silence.
func find(f Format, what string, can func(renderer) bool) (renderer, error) {
	i := slices.IndexFunc(renderers, func(r renderer) bool { return r.format == f })
	if i < 0 || !can(renderers[i]) {
		return renderer{}, fmt.Errorf("cannot write %s as %q: it can be written as %s",
			what, string(f), enumerate(names(formatsWith(can))))
	}
	return renderers[i], nil
}

// normalizeAudit is what every format starts from: whoever made the audit, the
// order is the same, the time is UTC, and no list is null.
func normalizeAudit(a Audit) Audit {
	if a.Schema == "" {
		a.Schema = AuditSchema
	}
	a.GeneratedAt = utcSecond(a.GeneratedAt)
	if a.Organization.Regions == nil {
		a.Organization.Regions = []string{}
	}
	if a.Since != nil {
		since := *a.Since
		since.GeneratedAt, since.Gone = utcSecond(since.GeneratedAt), normalizeSeen(since.Gone)
		if since.Gone == nil {
			since.Gone = []finding.Finding{}
		}
		a.Since = &since
	}
	a.Findings = normalizeSeen(a.Findings)
	if !slices.IsSortedFunc(a.Findings, finding.Compare) {
		a.Findings = slices.Clone(a.Findings)
		finding.Sort(a.Findings)
	}
	if a.Findings == nil {
		a.Findings = []finding.Finding{}
	}
	return a
}

// normalizeSeen is what normalizeAudit does with the times of findings. Most have
// none, and are returned as they are.
func normalizeSeen(fs []finding.Finding) []finding.Finding {
	off := func(f finding.Finding) bool { return f.FirstSeen != utcSecond(f.FirstSeen) }
	if !slices.ContainsFunc(fs, off) {
		return fs
	}
	fs = slices.Clone(fs)
	for i := range fs {
		fs[i].FirstSeen = utcSecond(fs[i].FirstSeen)
	}
	return fs
}

// normalizePlan does the same for a plan, whose order is its own: that in which
// it is carried out.
func normalizePlan(p plan.Plan) plan.Plan {
	if p.Schema == "" {
		p.Schema = plan.Schema
	}
	p.GeneratedAt = utcSecond(p.GeneratedAt)
	if p.Regions == nil {
		p.Regions = []string{}
	}
	if p.Changes == nil {
		p.Changes = []plan.Change{}
	}
	if p.Skipped == nil {
		p.Skipped = []plan.Skip{}
	}
	if p.Notes == nil {
		p.Notes = []string{}
	}
	return p
}

// utcSecond drops what no reader of a report needs: the zone of the machine
// and fractions of a second.
func utcSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func names(fs []Format) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = string(f)
	}
	return out
}
