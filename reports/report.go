package reports

import (
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
	Schema       string          `json:"schema"`
	GeneratedAt  time.Time       `json:"generated_at"`
	ToolVersion  string          `json:"tool_version"`
	Organization Organization    `json:"organization"`
	Summary      finding.Summary `json:"summary"`
	// Findings are in finding.Sort's order; those in sync and not applicable
	// are left out unless All was asked for, and counted all the same.
	Findings []finding.Finding `json:"findings"`
	// Interrupted says that the audit was stopped before it had looked at
	// everything; what it had not looked at is in Findings as not assessed.
	Interrupted bool `json:"interrupted,omitempty"`
	// Next is the command that a reader would type next, as data for
	// renderings that people read.
	Next string `json:"-"`
	// Controls is the catalogue, for formats that explain what a control is
	// about. Without it they have its id.
	Controls []Control `json:"-"`
}
