package finding

import (
	"cmp"
	"slices"
	"strings"
	"time"
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
	// CloudFormation is what CloudFormation says of what deploys the resource, in
	// its own words, and only where it disagrees with the account: CURRENT for
	// what drifted, OUTDATED for what is in place.
	CloudFormation string `json:"cloudformation,omitempty"`
	// Exemption is the entry of the configuration that accepts the finding, or
	// accepted it until it ended.
	Exemption *Exemption `json:"exemption,omitempty"`
	// Change and FirstSeen compare with the runs before, where a history is kept.
	Change    Change    `json:"change,omitempty"`
	FirstSeen time.Time `json:"first_seen,omitzero"`
}

// Exemption is why and until when a drift is accepted, and by whom.
type Exemption struct {
	Reason  string `json:"reason"`
	Owner   string `json:"owner,omitempty"`
	Until   string `json:"until"` // the last day, in UTC
	Expired bool   `json:"expired,omitempty"`
}

// Change says how a finding stands to the run before.
type Change string

// The changes.
const (
	New      Change = "new"      // was not open before
	Worse    Change = "worse"    // was open or accepted, and matters more now
	Open     Change = "open"     // was open before
	Accepted Change = "accepted" // was open before, and is exempt now
	Resolved Change = "resolved" // was open before, and is in order now
	Unseen   Change = "unseen"   // was open before, and nobody looked this time
)

// Changes lists the changes in the order in which reports tell them.
var Changes = []Change{New, Worse, Resolved, Accepted, Open, Unseen}

// Told is the reason with what else is known about it, in one sentence: what
// CloudFormation says against it, who accepted it until when.
func (f Finding) Told() string {
	out := f.Reason
	if f.CloudFormation != "" && !strings.Contains(out, "CloudFormation") {
		out += "; CloudFormation says " + f.CloudFormation
	}
	if e := f.Exemption; e != nil {
		verb := "accepted until"
		if e.Expired {
			verb = "its exemption ended on"
		}
		out += "; " + verb + " " + e.Until + ": " + e.Reason
		if e.Owner != "" {
			out += " (" + e.Owner + ")"
		}
	}
	return strings.TrimPrefix(out, "; ")
}

// Opens says whether somebody has to do something: drift, or what nobody could
// look at.
func (f Finding) Opens() bool { return f.Status == Drift || f.Status == NotAssessed }

// Settled says whether there is nothing to tell: in order, or not asked for here.
func (f Finding) Settled() bool { return f.Status == InSync || f.Status == NotApplicable }

// Expired says that the finding was accepted once and is no more.
func (f Finding) Expired() bool {
	return f.Status == Drift && f.Exemption != nil && f.Exemption.Expired
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
	// Disagreements are those of the findings about which CloudFormation says
	// otherwise, and Expired the drift whose exemption has ended. Both are
	// counted above too.
	Disagreements int `json:"disagreements"`
	Expired       int `json:"expired"`
}

// Summarize counts the findings.
func Summarize(fs []Finding) Summary {
	var s Summary
	for _, f := range fs {
		s.Add(f.Status, 1)
		if f.CloudFormation != "" {
			s.Disagreements++
		}
		if f.Expired() {
			s.Expired++
		}
	}
	return s
}

// Plus is the sum of two counts.
func (s Summary) Plus(t Summary) Summary {
	return Summary{
		InSync: s.InSync + t.InSync, Drift: s.Drift + t.Drift, Exempt: s.Exempt + t.Exempt, NotAssessed: s.NotAssessed + t.NotAssessed,
		NotApplicable: s.NotApplicable + t.NotApplicable, Disagreements: s.Disagreements + t.Disagreements, Expired: s.Expired + t.Expired,
	}
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
