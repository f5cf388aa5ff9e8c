package finding

import (
	"cmp"
	"slices"
)

// Status is the verdict on one thing that was to be looked at.
type Status string

// The statuses. NotAssessed is never taken for InSync: it means that nobody
// could look.
const (
	InSync        Status = "in_sync"
	Drift         Status = "drift"
	Exempt        Status = "exempt"         // accepted by the configuration, with a reason
	NotAssessed   Status = "not_assessed"   // could not look
	NotApplicable Status = "not_applicable" // nothing to look at, with a reason
)

// Statuses lists the statuses in the order in which reports count them.
var Statuses = []Status{Drift, NotAssessed, Exempt, InSync, NotApplicable}

// Severity says how much a drift matters.
type Severity string

// The severities.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

// Rank orders severities, the worst first.
func (s Severity) Rank() int {
	i := slices.Index([]Severity{Critical, High, Medium, Low}, s)
	if i < 0 {
		return 4
	}
	return i
}

// Global is the Region of what has none.
const Global = "global"

// Finding is one verdict: an account × Region × control, and where a control
// looks at several things, the resource.
//
// AccountName, OUPath, Resource, Reason, Expected and Actual may hold text that
// others chose; whoever renders them escapes them.
type Finding struct {
	Account     string   `json:"account"`
	AccountName string   `json:"account_name"`
	OUPath      string   `json:"ou_path"`
	Region      string   `json:"region"` // or Global
	Control     string   `json:"control"`
	Resource    string   `json:"resource"`
	Status      Status   `json:"status"`
	Severity    Severity `json:"severity"`
	Reason      string   `json:"reason"`
	Expected    any      `json:"expected,omitempty"`
	Actual      any      `json:"actual,omitempty"`
	Fix         string   `json:"fix,omitempty"` // what to type or do next
}

// Compare orders findings by account, Region, control, resource and reason.
func Compare(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(a.Account, b.Account),
		cmp.Compare(a.Region, b.Region),
		cmp.Compare(a.Control, b.Control),
		cmp.Compare(a.Resource, b.Resource),
		cmp.Compare(a.Reason, b.Reason),
		cmp.Compare(a.Status, b.Status),
	)
}

// Sort puts findings in the order of Compare.
func Sort(fs []Finding) { slices.SortStableFunc(fs, Compare) }

// Summary counts findings by status.
type Summary struct {
	InSync        int `json:"in_sync"`
	Drift         int `json:"drift"`
	Exempt        int `json:"exempt"`
	NotAssessed   int `json:"not_assessed"`
	NotApplicable int `json:"not_applicable"`
}

// Summarize counts the findings.
func Summarize(fs []Finding) Summary {
	var s Summary
	for _, f := range fs {
		s.Add(f.Status, 1)
	}
	return s
}

// Add counts n more findings of a status.
func (s *Summary) Add(status Status, n int) {
	switch status {
	case InSync:
		s.InSync += n
	case Drift:
		s.Drift += n
	case Exempt:
		s.Exempt += n
	case NotApplicable:
		s.NotApplicable += n
	default: // a status nobody knows is not a clean one
		s.NotAssessed += n
	}
}

// Of returns the count of a status.
func (s Summary) Of(status Status) int {
	switch status {
	case InSync:
		return s.InSync
	case Drift:
		return s.Drift
	case Exempt:
		return s.Exempt
	case NotApplicable:
		return s.NotApplicable
	}
	return s.NotAssessed
}
