package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs/finding"
)

// maxRows is how many rows a format for people shows before it sums up instead.
const maxRows = 500

// row is one line of an account in a report for people: one finding, or several
// of one cause. Its texts are as they came, not yet safe to show.
type row struct {
	severity finding.Severity
	region   string
	control  string
	resource string
	reason   string
	fix      string
	findings int
}

// accountGroup is what a report says about one account.
type accountGroup struct {
	id, name, ou string
	rows         []row
}

// section is what a report says about one status.
type section struct {
	status   finding.Status
	heading  string // instead of the status's own
	findings int
	groups   []accountGroup
}

func (s section) rows() int {
	n := 0
	for _, g := range s.groups {
		n += len(g.rows)
	}
	return n
}

// sections arranges findings the way people read them: drift first, then what
// could not be looked at, then the rest; in each the worst account first.
func sections(fs []finding.Finding) []section {
	byStatus := map[finding.Status][]finding.Finding{}
	for _, f := range fs {
		s := f.Status
		if !slices.Contains(finding.Statuses, s) {
			s = finding.NotAssessed // as finding.Summary counts it
		}
		byStatus[s] = append(byStatus[s], f)
	}
	var out []section
	for _, status := range finding.Statuses {
		fs := byStatus[status]
		if len(fs) == 0 {
			continue
		}
		s := section{status: status, findings: len(fs), groups: byAccount(status, fs)}
		slices.SortStableFunc(s.groups, compareGroups)
		out = append(out, s)
	}
	return out
}

// byAccount are the rows of findings, account by account.
func byAccount(status finding.Status, fs []finding.Finding) []accountGroup {
	var out []accountGroup
	for _, g := range groupBy(fs, func(f finding.Finding) string { return f.Account }) {
		out = append(out, accountGroup{id: g[0].Account, name: g[0].AccountName, ou: g[0].OUPath, rows: accountRows(status, g)})
	}
	return out
}

// headed is a section whose heading says what its findings have in common, whatever
// their status.
func headed(status finding.Status, heading string, fs []finding.Finding) section {
	return section{status: status, findings: len(fs), heading: heading + " (" + thousands(len(fs)) + ")", groups: byAccount(finding.NotApplicable, fs)}
}

// auditSections are the sections of an audit's findings, and of those that are gone
// since the run before.
func auditSections(a Audit) []section {
	out := sections(a.Findings)
	if a.Since == nil {
		return out
	}
	for _, c := range []struct {
		change  finding.Change
		heading string
	}{{finding.Resolved, "Resolved since the run before"}, {finding.Unseen, "Open before, and not looked at this time"}} {
		var gone []finding.Finding
		for _, f := range a.Since.Gone {
			if f.Change == c.change {
				f.Fix = "" // nothing is left to do, or nobody knows
				gone = append(gone, f)
			}
		}
		if len(gone) == 0 {
			continue
		}
		out = append(out, headed(finding.InSync, c.heading, gone))
	}
	return out
}

// marked is what is told of a finding, with a word in front where it is news.
func marked(f finding.Finding) string {
	if f.Change == finding.New || f.Change == finding.Worse {
		return strings.ToUpper(sinceWords[f.Change]) + ": " + f.Told()
	}
	return f.Told()
}

// compareGroups puts the account with the worst finding first, then the one with
// the most rows.
func compareGroups(a, b accountGroup) int {
	return cmp.Or(
		cmp.Compare(a.rows[0].severity.Rank(), b.rows[0].severity.Rank()),
		-cmp.Compare(len(a.rows), len(b.rows)),
		cmp.Compare(a.id, b.id),
	)
}

// accountRows makes the rows of one account. Each drift is a row of its own;
// where nobody could look, or need look, the cause is told once: a role that
// cannot be assumed is one thing to repair, not one per control and Region.
func accountRows(status finding.Status, fs []finding.Finding) []row {
	var rows []row
	if status == finding.Drift || status == finding.InSync {
		for _, f := range fs {
			rows = append(rows, newRow(f))
		}
	} else {
		for _, g := range groupBy(fs, func(f finding.Finding) string { return marked(f) + "\x00" + f.Fix }) {
			rows = append(rows, collapse(g))
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Compare(a.severity.Rank(), b.severity.Rank())
	})
	return rows
}

func newRow(f finding.Finding) row {
	return row{
		severity: f.Severity, region: f.Region, control: f.Control,
		resource: f.Resource, reason: marked(f), fix: f.Fix, findings: 1,
	}
}

// collapse makes one row of findings that share their account and cause.
func collapse(fs []finding.Finding) row {
	r := newRow(fs[0])
	if len(fs) == 1 {
		return r
	}
	var regions, controls, resources []string
	global := false
	for _, f := range fs {
		if f.Severity.Rank() < r.severity.Rank() {
			r.severity = f.Severity
		}
		if f.Region == finding.Global {
			global = true
		} else {
			regions = append(regions, f.Region)
		}
		controls = append(controls, f.Control)
		if f.Resource != "" {
			resources = append(resources, f.Resource)
		}
	}
	r.findings = len(fs)
	r.region = few(unique(regions), 1, "Region", "Regions")
	switch {
	case global && r.region == "":
		r.region = finding.Global
	case global:
		r.region = finding.Global + ", " + r.region
	}
	r.control = few(unique(controls), 1, "control", "controls")
	r.resource = few(unique(resources), 1, "resource", "resources")
	return r
}

// groupBy splits findings by a key. The groups come in the order in which their
// first members did.
func groupBy[T any](fs []T, key func(T) string) [][]T {
	at := map[string]int{}
	var groups [][]T
	for _, f := range fs {
		k := key(f)
		i, ok := at[k]
		if !ok {
			i = len(groups)
			at[k] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

func unique(ss []string) []string {
	ss = slices.Sorted(slices.Values(ss))
	return slices.Compact(ss)
}

// verdict is an audit in one word and one line.
type verdict struct {
	status finding.Status // that decides: Drift, NotAssessed or InSync
	word   string
	text   string
}

func judge(a Audit) verdict {
	drifted := accountsWith(a.Findings, finding.Drift)
	blind := accountsWith(a.Findings, finding.NotAssessed)
	accounts := count(a.Organization.Accounts, "account", "accounts")
	unseen := ""
	if a.Summary.NotAssessed > 0 {
		unseen = count(blind, "account", "accounts") + " could not be fully assessed"
	}
	// A report of what changed lists less than it counts: the accounts of the rest are
	// not known.
	part := listed(a.Findings, finding.Drift) < a.Summary.Drift || listed(a.Findings, finding.NotAssessed) < a.Summary.NotAssessed
	if part && unseen != "" {
		unseen = thousands(a.Summary.NotAssessed) + " not assessed"
	}
	if a.Interrupted {
		unseen = strings.TrimPrefix(unseen+"; stopped before the end", "; ")
	}
	switch {
	case a.Summary.Drift > 0:
		text := count(a.Summary.Drift, "finding", "findings")
		if !part {
			text += fmt.Sprintf(" in %s of %s", thousands(drifted), accounts)
		}
		if unseen != "" {
			text += "; " + unseen
		}
		return verdict{finding.Drift, "DRIFT", text}
	case unseen != "":
		return verdict{finding.NotAssessed, "INCOMPLETE", "no drift found in what could be looked at; " + unseen}
	case a.Summary == finding.Summary{}:
		// Never call an audit clean that looked at nothing.
		return verdict{finding.NotAssessed, "NOTHING CHECKED", "no account, Region or control was looked at"}
	}
	text := fmt.Sprintf("%s in %s, no drift", count(a.Summary.InSync, "check", "checks"), accounts)
	if n := a.Summary.Exempt; n > 0 {
		text += "; " + thousands(n) + " exempt"
	}
	return verdict{finding.InSync, "IN SYNC", text}
}

func accountsWith(fs []finding.Finding, status finding.Status) int {
	seen := map[string]bool{}
	for _, f := range fs {
		if f.Status == status {
			seen[f.Account] = true
		}
	}
	return len(seen)
}

// listed counts the findings of a status.
func listed(fs []finding.Finding, status finding.Status) (n int) {
	for _, f := range fs {
		if f.Status == status {
			n++
		}
	}
	return n
}

// scope says what an audit covered, on two lines.
func scope(a Audit) []string {
	o := a.Organization
	org := "organization " + cmp.Or(o.ID, "unknown")
	if o.ManagementAccount != "" {
		org += " (management account " + o.ManagementAccount + ")"
	}
	return []string{
		strings.Join([]string{org, count(o.Accounts, "account", "accounts"), regionList(o.Regions)}, ", "),
		madeBy(a.GeneratedAt, a.ToolVersion),
	}
}

// minute is a time as people read it.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func madeBy(at time.Time, version string) string {
	s := "orgguard"
	if version != "" {
		s += " " + version
	}
	if !at.IsZero() {
		s += ", " + minute(at)
	}
	return s
}

func regionList(regions []string) string {
	if len(regions) == 0 {
		return "no Region"
	}
	return few(regions, 4, "Region", "Regions")
}

// statusWords names the statuses where people read them.
var statusWords = map[finding.Status]string{
	finding.Drift:         "drift",
	finding.NotAssessed:   "not assessed",
	finding.Exempt:        "exempt",
	finding.InSync:        "in sync",
	finding.NotApplicable: "not applicable",
}

// title heads a section.
func (s section) title() string {
	if s.heading != "" {
		return s.heading
	}
	n := thousands(s.findings)
	switch s.status {
	case finding.Drift:
		return "Drift (" + n + ")"
	case finding.NotAssessed:
		return "Not assessed: nobody could look (" + n + ")"
	case finding.Exempt:
		return "Exempt: accepted by the configuration (" + n + ")"
	case finding.InSync:
		return "In sync (" + n + ")"
	}
	return "Not applicable (" + n + ")"
}

// tally is one line of the summary that replaces too many rows.
type tally struct {
	key, name, ou string
	worst         finding.Severity
	counts        finding.Summary
	accounts      map[string]bool
}

// tallies counts findings by a key, the worst first. name and ou are those of
// the first finding.
func tallies(fs []finding.Finding, key func(finding.Finding) string) []tally {
	var out []tally
	for _, g := range groupBy(fs, key) {
		t := tally{
			key: key(g[0]), name: g[0].AccountName, ou: g[0].OUPath, worst: g[0].Severity,
			counts: finding.Summarize(g), accounts: map[string]bool{},
		}
		for _, f := range g {
			t.accounts[f.Account] = true
			if f.Status == finding.Drift && f.Severity.Rank() < t.worst.Rank() {
				t.worst = f.Severity
			}
		}
		out = append(out, t)
	}
	slices.SortStableFunc(out, func(a, b tally) int {
		return cmp.Or(
			-cmp.Compare(a.counts.Drift, b.counts.Drift),
			cmp.Compare(a.worst.Rank(), b.worst.Rank()),
			-cmp.Compare(a.counts.NotAssessed, b.counts.NotAssessed),
			cmp.Compare(a.key, b.key),
		)
	})
	return out
}
