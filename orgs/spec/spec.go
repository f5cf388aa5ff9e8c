package spec

import "time"

// Config is the whole of orgguard.yaml. Load gives it decoded, completed with
// the defaults and free of problems.
type Config struct {
	Version      int          `yaml:"version"`
	Organization Organization `yaml:"organization"`
	Regions      Regions      `yaml:"regions"`
	// HomeRegion holds what exists once: the log bucket, the central bus and
	// topic, the stack sets. "" means: the Region of the AWS configuration.
	HomeRegion string `yaml:"home_region"`
	// SecurityAccount holds the log bucket and the central alerts. "" means: the
	// management account (the commands say so).
	SecurityAccount string             `yaml:"security_account"`
	Alerts          Alerts             `yaml:"alerts"`
	Baseline        map[string]Control `yaml:"baseline"` // by control id
	// Overrides change what the baseline says for some OUs and accounts.
	Overrides []Override `yaml:"overrides"`
	SCP       SCP        `yaml:"scp"`
	Rollout   Rollout    `yaml:"rollout"`
	Audit     Audit      `yaml:"audit"`
	Journal   Journal    `yaml:"journal"`
	Notices   Notices    `yaml:"notices"`
	Schedule  Schedule   `yaml:"schedule"`

	// File is where the configuration came from; "" for the defaults.
	File string `yaml:"-"`
}

// Organization says how member accounts are entered and which are left out.
type Organization struct {
	AccessRole string `yaml:"access_role"` // default OrganizationAccountAccessRole
	// AuditRole is assumed by commands that only read; "" means: the access role.
	AuditRole  string      `yaml:"audit_role"`
	ExternalID string      `yaml:"external_id"`
	Exclude    []Exclusion `yaml:"exclude"`
}

// Exclusion leaves out one account or one OU. The reason is required.
type Exclusion struct {
	Account string `yaml:"account"`
	OU      string `yaml:"ou"`
	Reason  string `yaml:"reason"`
}

// Regions is a list of Regions, or "all-enabled": in every account those that
// are on there. Neither means: the Region of the AWS configuration and the
// partition's global Region.
type Regions struct {
	AllEnabled bool
	List       []string
}

// AlertMode says where alerts go.
type AlertMode string

// The modes.
const (
	Central AlertMode = "central" // members forward to the security account's bus
	Local   AlertMode = "local"   // one topic per account and Region
)

// Alerts says who is told, and how.
type Alerts struct {
	Mode  AlertMode `yaml:"mode"` // default central
	Email []string  `yaml:"email"`
	Slack Slack     `yaml:"slack"`
	Teams Teams     `yaml:"teams"`
}

// Chat says whether alerts go to a chat channel.
func (a Alerts) Chat() bool { return a.Slack.ChannelID != "" || a.Teams.ChannelID != "" }

// Slack is a channel of a Slack workspace known to Amazon Q Developer in chat
// applications.
type Slack struct {
	WorkspaceID string `yaml:"workspace_id"`
	ChannelID   string `yaml:"channel_id"`
}

// Teams is a channel of a Microsoft Teams team known to Amazon Q Developer in chat
// applications.
type Teams struct {
	TenantID  string `yaml:"tenant_id"`
	TeamID    string `yaml:"team_id"`
	ChannelID string `yaml:"channel_id"` // as in the channel's link, e.g. 19%3aab...%40thread.tacv2
}

// Control is a control's entry: true, false, or a block of its settings, which
// the control itself decodes with Decode.
type Control struct {
	Enabled bool
	// node is what the file says; nil when no file says anything.
	node *node
}

// Override switches controls off or on, or tunes them, in one account or in every
// account below one OU. What an account's own override says counts more than what
// that of its OU says, and that of a nearer OU more than that of one further up;
// what none of them says is as the baseline section has it. The reason is
// required: reports repeat it.
type Override struct {
	Account  string             `yaml:"account"` // number or name
	OU       string             `yaml:"ou"`      // id, name or path; instead of account
	Reason   string             `yaml:"reason"`
	Baseline map[string]Control `yaml:"baseline"` // by control id
}

// SCP is the policies that protect the baseline.
type SCP struct {
	ProtectConfig ProtectConfig `yaml:"protect-config"`
}

// ProtectConfig is the policy that keeps AWS Config from being silenced.
type ProtectConfig struct {
	Enabled bool `yaml:"enabled"` // default true
	// Attach are roots and OUs: ids, names, paths. Default: [root].
	Attach []string `yaml:"attach"`
	// Strict denies, besides Stop and DeleteConfigurationRecorder, the other
	// actions that silence AWS Config. Default true.
	Strict bool `yaml:"strict"`
	// ExemptRoles go on working beside orgguard's own and those of StackSets
	// and Control Tower: role names, with * and with a path if they have one.
	ExemptRoles []string `yaml:"exempt_roles"`
	// BreakGlassRoles are exempt too; they are listed apart because people
	// use them.
	BreakGlassRoles []string `yaml:"break_glass_roles"`
	// ExtraActions are denied as well, e.g. "config:DeleteConfigRule".
	ExtraActions []string `yaml:"extra_actions"`
}

// Rollout says in which order and with how much tolerance changes are made.
type Rollout struct {
	// Waves are OUs, the canaries first; empty means all at once.
	Waves [][]string `yaml:"waves"`
	// FailureTolerance is the share ("5%") or number ("3") of accounts per
	// Region that may fail before an operation stops. Default "5%".
	FailureTolerance string `yaml:"failure_tolerance,number"`
	// MaxConcurrent is the share or number of accounts deployed at once.
	// Default "100%".
	MaxConcurrent string `yaml:"max_concurrent,number"`
}

// Audit says what an audit accepts, and whom it asks.
type Audit struct {
	Exemptions []Exemption `yaml:"exemptions"`
	Aggregator Aggregator  `yaml:"aggregator"`
	// Grace is how long after an account has joined what is not there yet counts as
	// accepted and not as drift. Default 4h; 0s turns it off.
	Grace time.Duration `yaml:"grace"`
}

// Aggregator names the organization's aggregator of AWS Config. What is not given
// is looked for: in the security account and in the management account, in the home
// Region, by any name.
type Aggregator struct {
	Account string `yaml:"account"`
	Region  string `yaml:"region"`
	Name    string `yaml:"name"`
}

// Exemption is drift that is accepted, with a reason and an end.
type Exemption struct {
	Account string `yaml:"account"` // number, name or "*"
	OU      string `yaml:"ou"`      // instead of account
	Region  string `yaml:"region"`  // a Region, "global" or "*"; default "*"
	Control string `yaml:"control"` // id or "*"
	Reason  string `yaml:"reason"`
	Owner   string `yaml:"owner"`
	Until   Date   `yaml:"until"` // the last day; required
}

// Date is a calendar day in UTC.
type Date struct{ time.Time }

// Journal says where the journals of runs are kept besides the local directory.
type Journal struct {
	// Bucket is an S3 bucket of the security account in the home Region; "" means:
	// nowhere else.
	Bucket string `yaml:"bucket"`
	// Prefix is what the keys begin with, up to a slash. Default
	// "orgguard/journal/".
	Prefix string `yaml:"prefix"`
}

// Schedule is the audit that runs by itself in the security account.
type Schedule struct {
	// Every is the time between two runs: one of Intervals. Default "6h".
	Every string `yaml:"every"`
	// Engine runs it: one of Engines. Default "auto", by the size of the organization.
	Engine string `yaml:"engine"`
}

// Intervals are the times between two runs that every engine can say.
var Intervals = []string{"15m", "20m", "30m", "1h", "2h", "3h", "4h", "6h", "8h", "12h", "1d", "7d"}

// Engines run the scheduled audit.
var Engines = []string{"auto", "lambda", "stepfunctions"}
