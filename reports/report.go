package reports

import (
	"slices"
	"time"

	"github.com/orgguard/orgguard/orgs/finding"
)

// AuditSchema names the JSON format of an audit.
const AuditSchema = "orgguard.dev/audit/v1"

// Organization is the part of the organization that an audit covered.
type Organization struct {
	ID                string   `json:"id"`
	ManagementAccount string   `json:"management_account"`
	Accounts          int      `json:"accounts"`
	Regions           []string `json:"regions"`
}

// Audit is a drift report. It is plain data: the clock, the organization and
// the accounts have all been read when it is made.
type Audit struct {
	Schema      string    `json:"schema"`
	GeneratedAt time.Time `json:"generated_at"`
	ToolVersion string    `json:"tool_version"`
	// ConfigDigest is a digest of the configuration as it applies to the
	// organization: audits of one digest asked for the same things.
	ConfigDigest string       `json:"config_digest,omitempty"`
	Organization Organization `json:"organization"`
	Scope        Scope        `json:"scope,omitzero"`
	// Shard says which part of an audit this is; nil for a whole one.
	Shard   *Shard          `json:"shard,omitempty"`
	Summary finding.Summary `json:"summary"`
	// Since is what happened since the run before; nil without a history.
	Since *Since `json:"since,omitempty"`
	// Findings are in finding.Sort's order; those in sync and not applicable
	// are left out unless All was asked for, and counted all the same.
	Findings []finding.Finding `json:"findings"`
	// Notes are what a reader has to know to read the findings right.
	Notes []string `json:"notes,omitempty"`
	// Interrupted says that the audit was stopped before it had looked at
	// everything; what it had not looked at is in Findings as not assessed.
	Interrupted bool `json:"interrupted,omitempty"`
	// Run is the number that a history gave it; 0 without one.
	Run int64 `json:"-"`
	// Next is the command that a reader would type next, as data for
	// renderings that people read.
	Next string `json:"-"`
	// Controls is the catalogue, for formats that explain what a control is
	// about. Without it they have its id.
	Controls []Control `json:"-"`
	// Trend are the runs up to this one, for formats that draw them.
	Trend []Run `json:"-"`
}

// Scope is what an audit looked at.
type Scope struct {
	// Narrowed says that this is less than the configuration asks for.
	Narrowed bool `json:"narrowed,omitempty"`
	// Controls are the controls; none where nobody wrote them down.
	Controls []string `json:"controls,omitempty"`
	// Accounts are the numbers of the accounts, and Regions the Regions, when an
	// audit was narrowed to some.
	Accounts []string `json:"accounts,omitempty"`
	Regions  []string `json:"regions,omitempty"`
}

// Covers says whether the audit looked where a finding is.
func (s Scope) Covers(f finding.Finding) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	return in(s.Controls, f.Control) && in(s.Accounts, f.Account) && in(s.Regions, f.Region)
}

// Shard is one of the parts that an audit was cut into, by account.
type Shard struct {
	Index int `json:"index"` // from 1
	Of    int `json:"of"`
	// Accounts are those of all parts, with the part that each is in.
	Accounts []ShardAccount `json:"accounts"`
}

// ShardAccount is an account and the part of the audit that looks at it.
type ShardAccount struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	OUPath string `json:"ou_path"`
	Shard  int    `json:"shard"`
}

// Since is what happened since the run before, in numbers, and what is no longer
// there to be found.
type Since struct {
	Run         int64     `json:"run"` // the run before, in the history
	GeneratedAt time.Time `json:"generated_at"`
	Changes     Tally     `json:"changes"`
	// Gone are the findings that were open and are resolved, or that nobody looked
	// at this time.
	Gone []finding.Finding `json:"gone"`
}

// Tally counts findings by how they changed.
type Tally struct {
	New      int `json:"new"`
	Worse    int `json:"worse"`
	Resolved int `json:"resolved"`
	Accepted int `json:"accepted"`
	Open     int `json:"open"`
	Unseen   int `json:"unseen"`
}

// Of is the count of a change.
func (t *Tally) Of(c finding.Change) int { return *t.At(c) }

// At is where a change is counted.
func (t *Tally) At(c finding.Change) *int {
	switch c {
	case finding.New:
		return &t.New
	case finding.Worse:
		return &t.Worse
	case finding.Resolved:
		return &t.Resolved
	case finding.Accepted:
		return &t.Accepted
	case finding.Open:
		return &t.Open
	}
	return &t.Unseen
}

// Run is an audit in numbers: a line of a list, a point of a trend.
type Run struct {
	Run          int64     `json:"run"` // its number in the history
	GeneratedAt  time.Time `json:"generated_at"`
	ToolVersion  string    `json:"tool_version"`
	Organization string    `json:"organization"`
	// Narrowed says that it was about a part of the organization only.
	Narrowed    bool            `json:"narrowed,omitempty"`
	Interrupted bool            `json:"interrupted,omitempty"`
	Accounts    int             `json:"accounts"`
	Summary     finding.Summary `json:"summary"`
	Drift       Severities      `json:"drift"` // by severity
	Changes     Tally           `json:"changes"`
}

// Severities counts drift by severity.
type Severities struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
}

// SeveritiesOf counts the drift among findings.
func SeveritiesOf(fs []finding.Finding) Severities {
	var s Severities
	for _, f := range fs {
		if f.Status != finding.Drift {
			continue
		}
		switch f.Severity {
		case finding.Critical:
			s.Critical++
		case finding.High:
			s.High++
		case finding.Medium:
			s.Medium++
		default:
			s.Low++
		}
	}
	return s
}
