package reports

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/orgguard/orgguard/orgs/finding"
)

// DiffSchema names the JSON format of a comparison of two audits.
const DiffSchema = "orgguard.dev/diff/v1"

// Diff is what happened between two audits of one organization.
type Diff struct {
	Schema       string   `json:"schema"`
	Organization string   `json:"organization"`
	Before       DiffSide `json:"before"`
	After        DiffSide `json:"after"`
	Changes      Tally    `json:"changes"`
	// Findings are those of either audit that are open, or were, each with how it
	// changed; Was is the one before, where there is one now.
	Findings []Changed `json:"findings"`
}

// DiffSide is one of the audits of a comparison.
type DiffSide struct {
	Name         string    `json:"name"` // the file or run it comes from
	GeneratedAt  time.Time `json:"generated_at"`
	ToolVersion  string    `json:"tool_version"`
	ConfigDigest string    `json:"config_digest,omitempty"`
	Drift        int       `json:"drift"`
	NotAssessed  int       `json:"not_assessed"`
}

// Changed is a finding that is open or was, and what it was before.
type Changed struct {
	ID      string           `json:"id"`
	Finding finding.Finding  `json:"finding"`
	Was     *finding.Finding `json:"was,omitempty"`
}

// Compare says what happened between two audits. It is pure.
//
// A finding is the same one in both when its account, Region, control and resource
// are; see Identify. What is missing from the second audit is resolved only if that
// audit looked there: an account that could not be entered, a control that was
// turned off or a narrower audit leave it unseen.
func Compare(before, after Audit) Diff {
	before, after = normalizeAudit(before), normalizeAudit(after)
	d := Diff{
		Schema: DiffSchema, Organization: after.Organization.ID, Findings: []Changed{},
		Before: sideOf(before), After: sideOf(after),
	}
	was := map[string]finding.Finding{}
	order := Identify(before.Findings)
	for i, id := range order {
		was[id] = before.Findings[i]
	}
	sight := newSight(after)
	seen := map[string]bool{}
	add := func(id string, f finding.Finding, old *finding.Finding, c finding.Change) {
		f.Change = c
		d.Findings = append(d.Findings, Changed{id, f, old})
		*d.Changes.At(c)++
	}
	for i, id := range Identify(after.Findings) {
		f := after.Findings[i]
		seen[id] = true
		old, known := was[id]
		if c := changeOf(old, known, f); c != "" {
			var p *finding.Finding
			if known {
				p = &old
			}
			add(id, f, p, c)
		}
	}
	for i, id := range order {
		f := before.Findings[i]
		if seen[id] || !f.Opens() {
			continue
		}
		c := finding.Unseen
		if sight.covers(f) {
			c = finding.Resolved
		}
		add(id, f, nil, c)
	}
	slices.SortStableFunc(d.Findings, func(a, b Changed) int {
		return cmp.Or(slices.Index(finding.Changes, a.Finding.Change)-slices.Index(finding.Changes, b.Finding.Change), finding.Compare(a.Finding, b.Finding))
	})
	return d
}

func sideOf(a Audit) DiffSide {
	return DiffSide{
		GeneratedAt: a.GeneratedAt, ToolVersion: a.ToolVersion, ConfigDigest: a.ConfigDigest,
		Drift: a.Summary.Drift, NotAssessed: a.Summary.NotAssessed,
	}
}

// CheckComparable refuses to compare audits of different organizations.
func CheckComparable(before, after Audit) error {
	if before.Organization.ID != after.Organization.ID {
		return fmt.Errorf("one audit is of organization %s, the other of %s", Safe(before.Organization.ID), Safe(after.Organization.ID))
	}
	return nil
}

// changeOf is how a finding of the second audit changed; "" when there is nothing to
// tell: it is in order, or exempt, and was before.
func changeOf(old finding.Finding, known bool, f finding.Finding) finding.Change {
	wasOpen := known && old.Opens()
	switch {
	case !f.Opens() && !wasOpen:
		return ""
	case f.Status == finding.Exempt:
		return finding.Accepted
	case f.Status == finding.NotApplicable:
		return finding.Unseen
	case !f.Opens():
		return finding.Resolved
	case !known || old.Status == finding.InSync || old.Status == finding.NotApplicable:
		return finding.New
	case old.Status == finding.Exempt, old.Status == finding.NotAssessed && f.Status == finding.Drift,
		f.Status == finding.Drift && f.Severity.Rank() < old.Severity.Rank():
		return finding.Worse
	}
	return finding.Open
}

// sight is where an audit looked, and where it could not.
type sight struct {
	scope Scope
	blind map[[3]string]bool
}

func newSight(a Audit) sight {
	s := sight{a.Scope, map[[3]string]bool{}}
	for _, f := range a.Findings {
		// An account that is excluded or suspended has one finding without a
		// resource, as one has that could not be entered.
		if f.Status == finding.NotAssessed || f.Resource == "" && f.Status != finding.Drift && f.Status != finding.InSync {
			s.blind[[3]string{f.Account, f.Region, f.Control}] = true
		}
	}
	return s
}

// covers says whether the audit would have found this again.
func (s sight) covers(f finding.Finding) bool {
	return s.scope.Covers(f) && !s.blind[[3]string{f.Account, f.Region, f.Control}] && !s.blind[[3]string{f.Account, finding.Global, f.Control}]
}
