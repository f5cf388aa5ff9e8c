package reports

import (
	"cmp"
	"slices"

	"github.com/orgguard/orgguard/orgs/finding"
)

// Line is what people read as one thing: a finding, or several of one account and one
// cause. Its texts are as they came, and not yet safe to show.
type Line struct {
	Severity                          finding.Severity
	Account, AccountName, OUPath      string
	Region, Control, Resource, Reason string
	Fix                               string
	Findings                          int // that the line stands for
}

// Lines are findings as people read them, the worst first. Each drift is a line of its
// own; where nobody could look, the cause is told once an account.
func Lines(fs []finding.Finding) []Line {
	fs = slices.Clone(fs)
	for i := range fs {
		fs[i].Change = "" // the reader says it elsewhere
	}
	finding.Sort(fs)
	drift, rest := []finding.Finding{}, []finding.Finding{}
	for _, f := range fs {
		if f.Status == finding.NotAssessed {
			rest = append(rest, f)
		} else {
			drift = append(drift, f)
		}
	}
	var out []Line
	for _, g := range slices.Concat(byAccount(finding.Drift, drift), byAccount(finding.NotAssessed, rest)) {
		for _, r := range g.rows {
			out = append(out, Line{r.severity, g.id, g.name, g.ou, r.region, r.control, r.resource, r.reason, r.fix, r.findings})
		}
	}
	slices.SortStableFunc(out, func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(a.Account, b.Account))
	})
	return out
}
