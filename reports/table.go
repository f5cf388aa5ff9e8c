package reports

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/tablewriter/tw"

	"github.com/orgguard/orgguard/orgs/finding"
)

// maxTallies is how many accounts the summary of a large audit names.
const maxTallies = 20

// tableAudit writes an audit for a terminal. It is written in the order in which
// it is read: the verdict, what drifted, what could not be looked at, the rest,
// the counts, and what to type next. Every text passes through Safe.
func tableAudit(w io.Writer, s Style, a Audit) error {
	g := newGrid(s)
	v := judge(a)
	g.lead(v.word+"  ", g.pens.verdict(v), v.text, g.pens.strong)
	for _, l := range scope(a) {
		g.line(Safe(l), 0, g.pens.faint)
	}

	parts := auditSections(a)
	rows := 0
	for _, p := range parts {
		rows += p.rows()
	}
	if rows > maxRows {
		if err := auditSummary(g, a, rows); err != nil {
			return err
		}
	} else {
		for _, p := range parts {
			g.blank()
			g.line(p.title(), 0, g.pens.strong)
			if err := auditSection(g, p); err != nil {
				return err
			}
		}
	}

	g.blank()
	g.line(countLine(a.Summary), 0, nil)
	for _, r := range remarks(a) {
		g.hang("", Safe(r), nil)
	}
	if a.Next != "" {
		g.hang("Next: ", Safe(a.Next), g.pens.strong)
	}
	return g.flush(w)
}

func (p pens) verdict(v verdict) paint {
	switch v.status {
	case finding.Drift:
		return p.bad
	case finding.NotAssessed:
		return p.warn
	}
	return p.good
}

func (p pens) severity(s finding.Severity) paint {
	switch s {
	case finding.Critical, finding.High:
		return p.bad
	case finding.Medium:
		return p.warn
	}
	return nil
}

func auditSection(g grid, s section) error {
	g = g.with(
		column{title: "severity", min: 8},
		column{title: "Region", min: 9},
		column{title: "control", min: 11},
		column{title: "resource", min: 8},
		column{title: "reason", min: 14, spills: true},
	)
	var rows []gridRow
	for _, group := range s.groups {
		heading := groupHeading(group)
		for _, r := range group.rows {
			gr := gridRow{
				heading: heading,
				cells: []string{
					strings.ToUpper(Safe(string(r.severity))), Safe(r.region), Safe(r.control),
					Safe(r.resource), Safe(r.reason),
				},
				paint: map[int]paint{0: g.pens.severity(r.severity)},
			}
			if s.status == finding.InSync || s.status == finding.NotApplicable || s.status == finding.Exempt {
				gr.cells[0], gr.paint = "", nil // nothing is wrong, so nothing is severe
			}
			if r.fix != "" && r.fix != r.reason {
				gr.shared = note{"fix", Safe(r.fix)}
			}
			rows = append(rows, gr)
			heading = ""
		}
	}
	return g.draw(rows)
}

// groupHeading names an account: number, name, place in the tree.
func groupHeading(g accountGroup) string {
	parts := []string{Safe(cmp.Or(g.id, "organization"))}
	for _, s := range []string{g.name, g.ou} {
		if s != "" {
			parts = append(parts, Safe(s))
		}
	}
	return strings.Join(parts, " · ")
}

// countLine counts by status, zeros included: a reader must see that nobody was
// forgotten.
func countLine(s finding.Summary) string {
	parts := make([]string, len(finding.Statuses))
	for i, status := range finding.Statuses {
		parts[i] = thousands(s.Of(status)) + " " + statusWords[status]
	}
	return "Counts: " + strings.Join(parts, ", ")
}

// auditSummary stands in for more rows than anybody reads.
func auditSummary(g grid, a Audit, rows int) error {
	g.blank()
	g.line(fmt.Sprintf("%s rows are too many for a table, so this is a summary. --format csv or --format json "+
		"(with --output FILE) has them all; --account, --ou, --region and --control narrow the audit.",
		thousands(rows)), 0, g.pens.strong)

	counts := []column{
		{title: "drift", min: 5, align: tw.AlignRight},
		{title: "not assessed", min: 8, align: tw.AlignRight},
		{title: "exempt", min: 6, align: tw.AlignRight},
	}
	byControl := tallies(a.Findings, func(f finding.Finding) string { return f.Control })
	var controls []gridRow
	for _, t := range byControl {
		controls = append(controls, g.tallyRow(t, Safe(t.key), thousands(len(t.accounts))))
	}
	g.blank()
	g.line("By control", 0, g.pens.strong)
	cols := append([]column{{title: "worst", min: 8}, {title: "control", min: 11}}, counts...)
	cols = append(cols, column{title: "accounts", min: 8, align: tw.AlignRight})
	if err := g.with(cols...).draw(controls); err != nil {
		return err
	}

	byAccount := tallies(a.Findings, func(f finding.Finding) string { return f.Account })
	var accounts []gridRow
	for _, t := range byAccount[:min(maxTallies, len(byAccount))] {
		accounts = append(accounts, g.tallyRow(t, groupHeading(accountGroup{id: t.key, name: t.name, ou: t.ou})))
	}
	g.blank()
	g.line("By account, the worst first", 0, g.pens.strong)
	cols = append([]column{{title: "worst", min: 8}, {title: "account", min: 12}}, counts...)
	if err := g.with(cols...).draw(accounts); err != nil {
		return err
	}
	if more := len(byAccount) - len(accounts); more > 0 {
		g.line("and "+count(more, "more account", "more accounts"), gridIndent, nil)
	}
	return nil
}

func (g grid) tallyRow(t tally, key string, more ...string) gridRow {
	worst, p := "", paint(nil)
	if t.counts.Drift > 0 {
		worst, p = strings.ToUpper(Safe(string(t.worst))), g.pens.severity(t.worst)
	}
	return gridRow{
		cells: append([]string{
			worst, key, thousands(t.counts.Drift), thousands(t.counts.NotAssessed), thousands(t.counts.Exempt),
		}, more...),
		paint: map[int]paint{0: p},
	}
}
