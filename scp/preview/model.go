package preview

import (
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// Schema names the JSON format of a preview.
const Schema = "orgguard.dev/scp-preview/v1"

// Input is everything a preview is made of.
type Input struct {
	Org      *orgs.Organization
	Attached Attachments
	Change   Change

	// Inventory is IAM by account; an account that is not in it could not be
	// read, or nobody tried.
	Inventory map[orgs.AccountID]Inventory
	// Events are the calls that were looked up.
	Events []Event
	// Evidence says how much of CloudTrail and IAM was read.
	Evidence Evidence

	Guards []Guard
	// Regions are those the organization works in: where guarded roles must
	// go on working.
	Regions []string
	Limits  scp.Limits
	Lint    scp.LintOptions
	Notes   []string

	GeneratedAt time.Time
	ToolVersion string
	// Command is how the reader runs the tool, for the commands of Next.
	Command string
}

// Attachments is a snapshot of the service control policies of an organization.
type Attachments struct {
	TakenAt time.Time
	// Policies are all policies by id. Those that are nowhere on a path of
	// interest may lack their document.
	Policies map[string]Policy
	// On are the ids of the policies attached to each root, OU and account
	// itself, sorted.
	On map[string][]string
}

// Policy is a service control policy as Organizations has it.
type Policy struct {
	ID, Name   string
	AWSManaged bool
	Content    string
	Document   *scp.Document // nil when it was not read, or cannot be parsed
	Problem    string        // why it cannot be parsed
}

// ChangeKind is what would be done.
type ChangeKind string

// The kinds of changes.
const (
	Attach  ChangeKind = "attach"
	Replace ChangeKind = "replace"
	Detach  ChangeKind = "detach"
)

// Change is what would be done.
type Change struct {
	Kind ChangeKind
	Name string // of the policy, in Organizations
	// Source is the new policy as it would be sent, File where it came from;
	// none for a detachment.
	Source []byte
	File   string
	// Existing is the id of the policy in Organizations that is attached,
	// replaced or detached; "" for one that is not there yet.
	Existing string
	// Targets are the ids of roots, OUs and accounts to attach to or detach
	// from. A replacement changes all targets the policy has, and these too.
	Targets []string
}

// Guard is a role without which nobody could repair or deploy.
type Guard struct {
	Role string // its name, with * and with a path if it has one
	Why  string
	// Needs are actions, with the resource they are needed on or "".
	Needs []Need
	// All makes everything that the policy denies a need: for roles that
	// people use when all else is broken.
	All bool
	// Standing says that the role must keep its rights even where it does not
	// exist yet, because somebody makes it on the day it is needed.
	Standing bool
}

// Need is an action a guarded role must be able to do.
type Need struct {
	Action   string
	Resource string // "" for any; ${Account}, ${Partition} and ${Region} are filled in
}

// Evidence says how much of each source was read.
type Evidence struct {
	CloudTrail Coverage `json:"cloudtrail"`
	IAM        Coverage `json:"iam"`
}

// Coverage is how much of a source was read.
type Coverage struct {
	// Asked is false when the source was left out on purpose.
	Asked   bool      `json:"asked"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Regions []string  `json:"regions,omitempty"`
	// Wanted and Read count accounts for IAM, account × Region cells for
	// CloudTrail.
	Wanted       int   `json:"wanted"`
	Read         int   `json:"read"`
	Accounts     int   `json:"accounts"`
	AccountsRead int   `json:"accounts_read"`
	Records      int   `json:"records"`
	Missing      []Gap `json:"missing"`
	// Invisible are actions of the policy that the source never shows.
	Invisible []string `json:"invisible,omitempty"`
}

// Gap is something that could not be read.
type Gap struct {
	Account     string `json:"account"`
	AccountName string `json:"account_name"`
	Region      string `json:"region,omitempty"`
	Reason      string `json:"reason"`
}

// Complete says that everything asked for was read.
func (c Coverage) Complete() bool { return !c.Asked || c.Read == c.Wanted && len(c.Missing) == 0 }

// VerdictWord is the result in one word.
type VerdictWord string

// The verdicts, the worst first. None of them says that a change is harmless.
const (
	Refused    VerdictWord = "REFUSED"
	WouldBreak VerdictWord = "WOULD BREAK OBSERVED USE"
	NotValid   VerdictWord = "WOULD NOT BE ACCEPTED"
	Incomplete VerdictWord = "INCOMPLETE EVIDENCE"
	NoneSeen   VerdictWord = "NO OBSERVED USE WOULD BREAK"
	NoChange   VerdictWord = "CHANGES NOTHING"
)

// Preview is what a change would do.
type Preview struct {
	Schema       string       `json:"schema"`
	GeneratedAt  time.Time    `json:"generated_at"`
	ToolVersion  string       `json:"tool_version"`
	Organization Organization `json:"organization"`
	Verdict      Verdict      `json:"verdict"`
	Change       Summary      `json:"change"`
	Reach        Reach        `json:"reach"`
	Diff         []DiffLine   `json:"diff"`
	Effects      []Effect     `json:"effects"`
	Guards       []GuardCheck `json:"guards"`
	Exemptions   []Exemption  `json:"exemptions"`
	Redundant    []Redundancy `json:"redundant"`
	Gaps         []SilentGap  `json:"gaps"`
	Checks       []Check      `json:"checks"`
	Evidence     Evidence     `json:"evidence"`
	// AlreadyDenied counts calls in the history that were refused then and
	// would be refused after the change as well; they are not breakage.
	AlreadyDenied int      `json:"already_denied"`
	Notes         []string `json:"notes"`
	Undo          []string `json:"undo"`
	Next          string   `json:"next"`
	// Fingerprint is a digest of what was judged: the change, the tree and the
	// policies attached. Whoever carries the change out can refuse when it is
	// not the same any more.
	Fingerprint string `json:"fingerprint"`
}

// Organization is the organization that was looked at.
type Organization struct {
	ID                string    `json:"id"`
	ManagementAccount string    `json:"management_account"`
	Accounts          int       `json:"accounts"`
	SnapshotAt        time.Time `json:"snapshot_at"`
}

// Verdict is the result first.
type Verdict struct {
	Word     VerdictWord `json:"word"`
	Text     string      `json:"text"`
	ExitCode int         `json:"exit_code"`
	Reasons  []string    `json:"reasons"`
}

// Summary is the change in short.
type Summary struct {
	Kind    ChangeKind `json:"kind"`
	Policy  string     `json:"policy"`
	ID      string     `json:"policy_id,omitempty"`
	File    string     `json:"file,omitempty"`
	Targets []Node     `json:"targets"`
}

// Node is a root, OU or account.
type Node struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Path string `json:"path"`
	Kind string `json:"kind"` // "root", "ou" or "account"
}

// Reach is where the change arrives.
type Reach struct {
	Accounts   int         `json:"accounts"`    // reached
	Total      int         `json:"total"`       // in the organization
	Suspended  int         `json:"suspended"`   // below a target but not active
	Management bool        `json:"management"`  // the management account lies below a target
	Groups     int         `json:"path_groups"` // of accounts with the same policies
	Tree       []ReachNode `json:"tree"`
}

// ReachNode is a line of the tree.
type ReachNode struct {
	Node
	Depth    int      `json:"depth"`
	Policies []string `json:"policies"` // attached here, before
	Before   int      `json:"attached_before"`
	After    int      `json:"attached_after"`
	Limit    int      `json:"attached_limit"`
	Target   bool     `json:"target"`
	Reached  bool     `json:"reached"`
	State    string   `json:"state,omitempty"` // of an account that is not active, or "management"
	Accounts int      `json:"accounts"`        // reached at or below
}

// DiffLine is a statement that is added, removed, changed or kept.
type DiffLine struct {
	Sign      string   `json:"sign"` // "+", "-", "~" or "="
	Sid       string   `json:"sid"`
	Index     int      `json:"index"`
	Effect    string   `json:"effect"`
	Summary   string   `json:"summary"`
	Condition []string `json:"condition"`
}

// Strength is how good the evidence for an effect is.
type Strength string

// The strengths.
const (
	Used      Strength = "used"      // CloudTrail has the call
	Permitted Strength = "permitted" // IAM permits it and nobody was seen doing it
	Possible  Strength = "possible"  // what IAM permits is not known
)

// Direction is which way an answer changes.
type Direction string

// The directions.
const (
	Loses Direction = "allowed_to_denied"
	Gains Direction = "denied_to_allowed"
)

// Effect is an answer that changes, for principals of one kind.
type Effect struct {
	Direction Direction `json:"direction"`
	Strength  Strength  `json:"strength"`
	// Depends are the conditions on which it turns whether the answer changes;
	// none when it surely does.
	Depends   []string           `json:"depends"`
	Principal string             `json:"principal"` // "role/Admin", "user/x", "root user"
	Accounts  []AccountRef       `json:"accounts"`
	Actions   []string           `json:"actions"`
	Resources []string           `json:"resources"` // patterns; none for all
	Deciding  []scp.StatementRef `json:"deciding"`
	// Uses is what CloudTrail has, for each account; empty unless used.
	Uses []Use `json:"uses"`
	// IAM says how sure the permission is: "permits" or "may permit".
	IAM string `json:"iam,omitempty"`
}

// Certain says that the answer surely changes.
func (e Effect) Certain() bool { return len(e.Depends) == 0 }

// AccountRef names an account.
type AccountRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Use is how often a principal did something in one account and Region.
type Use struct {
	Account   string    `json:"account"`
	Region    string    `json:"region"`
	Action    string    `json:"action"`
	Count     int       `json:"count"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	SourceIP  string    `json:"source_ip,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	Session   string    `json:"session,omitempty"`
	EventID   string    `json:"event_id,omitempty"` // of the last
}

// GuardStatus is how a guarded role fares.
type GuardStatus string

// The states of a guard.
const (
	GuardKeeps   GuardStatus = "keeps"
	GuardLoses   GuardStatus = "loses"
	GuardDepends GuardStatus = "depends"
	GuardAbsent  GuardStatus = "absent"
	GuardExempt  GuardStatus = "exempt"
)

// GuardCheck is what becomes of a role that must go on working.
type GuardCheck struct {
	Role     string             `json:"role"`
	Why      string             `json:"why"`
	Status   GuardStatus        `json:"status"`
	Needs    int                `json:"needs"`
	Lost     []string           `json:"lost"`
	Accounts []AccountRef       `json:"accounts"` // where it loses something
	Checked  int                `json:"checked"`  // accounts
	Deciding []scp.StatementRef `json:"deciding"`
	Depends  []string           `json:"depends"`
}

// Exemption is the audit of a principal that a statement spares.
type Exemption struct {
	Pattern   string       `json:"pattern"`
	Known     bool         `json:"known"` // IAM was read somewhere
	Present   int          `json:"present"`
	Looked    int          `json:"looked"` // accounts whose IAM was read
	Missing   []AccountRef `json:"missing"`
	Forgeable []AccountRef `json:"forgeable"`
	// ForgedBy are the actions with which members could become the exempt
	// role; ProtectedBy the statements that prevent them.
	ForgedBy    []string           `json:"forged_by"`
	ProtectedBy []scp.StatementRef `json:"protected_by"`
	TooWide     string             `json:"too_wide,omitempty"`
}

// Redundancy is a statement of the new policy that others imply already.
type Redundancy struct {
	Sid     string             `json:"sid"`
	Index   int                `json:"index"`
	Actions []string           `json:"actions"`
	By      []scp.StatementRef `json:"by"`
	// Except are the conditions under which the others do not deny.
	Except   []string `json:"except"`
	Accounts int      `json:"accounts"`
	Of       int      `json:"of"`
}

// SilentGap is an action that silences AWS Config and remains allowed.
type SilentGap struct {
	Action   string `json:"action"`
	Does     string `json:"does"`
	Accounts int    `json:"accounts"`
	Of       int    `json:"of"`
}

// CheckStatus is the result of a check.
type CheckStatus string

// The results of checks.
const (
	CheckOK      CheckStatus = "ok"
	CheckWarning CheckStatus = "warning"
	CheckError   CheckStatus = "error"
)

// Check is a quota, a lint finding or an answer of AWS.
type Check struct {
	ID     string      `json:"id"`
	Status CheckStatus `json:"status"`
	Text   string      `json:"text"`
	Fix    string      `json:"fix,omitempty"`
	Source string      `json:"source,omitempty"` // where a quota was read
	Date   string      `json:"date,omitempty"`
}
