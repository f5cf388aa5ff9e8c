package doctor

import (
	"cmp"
	"slices"
	"time"

	"github.com/orgguard/orgguard/orgs"
)

// Schema names the JSON format of a Report.
const Schema = "orgguard.dev/doctor/v1"

// Severity says what a check means for a rollout.
type Severity string

// The severities, the worst first. Unknown is never taken for OK: it means that
// nobody could look.
const (
	Blocker Severity = "blocker" // a rollout would fail, or not reach this
	Unknown Severity = "unknown" // could not look
	Warning Severity = "warning" // a rollout works, but somebody should know
	Info    Severity = "info"    // what the rollout will do about it, or leave alone
	OK      Severity = "ok"
)

// Severities lists the severities in their order.
var Severities = []Severity{Blocker, Unknown, Warning, Info, OK}

// Check is one verdict.
//
// What, Fix, AccountName and OUPath may hold text that others chose; whoever
// renders them escapes them.
type Check struct {
	ID       string   `json:"id"` // of the question, e.g. "account-access"
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Why      string   `json:"why"` // it matters
	// Fix is the command to type, or the step to take; "" where nothing is to
	// be done.
	Fix string `json:"fix,omitempty"`
	// Account and Region are set where the check is about one.
	Account     string `json:"account,omitempty"`
	AccountName string `json:"account_name,omitempty"`
	OUPath      string `json:"ou_path,omitempty"`
	Region      string `json:"region,omitempty"`
	// Source is the AWS page or the quota behind the check.
	Source string `json:"source,omitempty"`
}

// Report is what the doctor says.
type Report struct {
	Schema       string    `json:"schema"`
	GeneratedAt  time.Time `json:"generated_at"`
	ToolVersion  string    `json:"tool_version"`
	Organization string    `json:"organization"` // "" when it could not be read
	Caller       string    `json:"caller"`       // ARN; "" without credentials
	Command      string    `json:"command"`      // for which the permissions were judged
	Summary      Summary   `json:"summary"`
	Checks       []Check   `json:"checks"`
}

// Summary counts checks by severity.
type Summary struct {
	Blocker int `json:"blocker"`
	Unknown int `json:"unknown"`
	Warning int `json:"warning"`
	Info    int `json:"info"`
	OK      int `json:"ok"`
}

// Of returns the count of a severity.
func (s Summary) Of(sev Severity) int {
	switch sev {
	case Blocker:
		return s.Blocker
	case Warning:
		return s.Warning
	case Info:
		return s.Info
	case OK:
		return s.OK
	}
	return s.Unknown
}

// Summarize counts the checks.
func Summarize(checks []Check) Summary {
	var s Summary
	for _, c := range checks {
		switch c.Severity {
		case Blocker:
			s.Blocker++
		case Warning:
			s.Warning++
		case Info:
			s.Info++
		case OK:
			s.OK++
		default: // a severity nobody knows is not a good one
			s.Unknown++
		}
	}
	return s
}

// Sort puts checks in the order in which they are read: the worst first, then
// question by question.
func Sort(checks []Check) {
	slices.SortStableFunc(checks, func(a, b Check) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Severities, a.Severity), slices.Index(Severities, b.Severity)),
			cmp.Compare(questionIndex(a.ID), questionIndex(b.ID)),
			cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.What, b.What),
		)
	})
}

// Question is something the doctor asks.
type Question struct{ ID, Title, Why string }

// Questions lists everything that the doctor asks, in order.
func Questions() []Question { return slices.Clone(questions) }

var questions = []Question{
	{"credentials", "AWS credentials", "without them nothing can be read"},
	{"clock", "clock", "AWS refuses requests that are signed more than five minutes off"},
	{"organization", "organization", "orgguard works on every account of one organization"},
	{"configuration", "configuration", "a configuration that does not fit the organization stops every command"},
	{"features", "all features", "neither StackSets nor service control policies work with consolidated billing alone"},
	{"position", "who we are", "only the management account and delegated administrators may roll out to the organization"},
	{"trusted-access", "trusted access of StackSets", "without it CloudFormation refuses service-managed stack sets"},
	{"scp-type", "service control policies", "a policy can be attached only while its type is enabled on the root"},
	{"scp-quota", "room for the SCP", "AWS refuses to attach more policies to one root, OU or account"},
	{"scp-size", "size of the SCP", "AWS refuses a longer policy"},
	{"control-tower", "AWS Control Tower", "in what it governs the recorder is its own, and its guardrail keeps others from changing it"},
	{"account-access", "access to accounts", "what cannot be entered can be neither audited nor repaired"},
	{"regions", "Regions", "where a Region is off nothing can be deployed, and nothing runs either"},
	{"recorders", "recorders and channels", "AWS Config takes one recorder and one channel in an account and Region: a second one makes a stack fail"},
	{"stackset-size", "size of the stack sets", "CloudFormation refuses more stack instances in one stack set"},
	{"aggregator", "aggregator of AWS Config", "a large organization is audited sooner by what it has than by asking everybody"},
	{"services", "services of the organization", "what others decide about them a rollout leaves as it is"},
	{"journal", "bucket of the journal", "nothing is changed while the journal cannot be written"},
	{"schedule", "engine of the scheduled audit", "what its function does not get to in its quarter of an hour is not assessed"},
	{"scheduled-audit", "scheduled audit", "what does not run finds nothing, and nobody hears of it"},
	{"notices", "channels of the notices", "who cannot be told does not know what changed"},
	{"permissions", "permissions", "a command that lacks a right stops halfway"},
}

func questionIndex(id string) int {
	return slices.IndexFunc(questions, func(q Question) bool { return q.ID == id })
}

// why says why a question matters.
func why(id string) string { return questions[questionIndex(id)].Why }

// About is the verdict of somebody who looked for the doctor, on one of its questions.
func About(id string, severity Severity, what, fix string) Check {
	return Check{ID: id, Severity: severity, What: what, Why: why(id), Fix: fix}
}

// Quota is a limit of AWS's, with where and when it was read: quotas change.
type Quota struct {
	Value        int
	Source, Date string
}

// MaxInstances is how many stack instances one stack set may have. Support raises
// it on request.
var MaxInstances = Quota{Value: 100_000, Source: "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html", Date: "2026-04-13"}

// StackSet is a stack set that a rollout would make, and how large.
type StackSet struct {
	Name      string
	Instances int
}

// Journal is where the journal is kept besides the local directory.
type Journal struct {
	Bucket string // "" for nowhere
	Err    error  // why it cannot be read
}

// Policy is the SCP that a rollout would attach; the zero Policy stands for none.
type Policy struct {
	Name       string
	Characters int
	Nodes      []orgs.NodeID // it is attached to
}

// Intent is what orgguard means to do.
type Intent struct {
	Home     string
	Security orgs.AccountID
	// Regions of the baseline; AllEnabled adds those that an account has on.
	Regions    []string
	AllEnabled bool
	Role       string // the access role
	// Existing says what a rollout does with recorders of others: "adopt",
	// "keep"; "" when the recorder is none of its business.
	Existing  string
	Policy    Policy
	PerNode   Quota // policies on one root, OU or account
	Size      Quota // characters of a policy
	StackSets []StackSet
	// Schedule is the engine of the scheduled audit and why it is that one; Overdone
	// says that it is too much for it.
	Schedule string
	Overdone bool
	// Sweep is whether audits have an aggregator to ask.
	Sweep Sweep
	// Services are what others decide about the services that are on.
	Services []Service
	Journal  Journal
	// Command is the command whose rights must not lack; Commands are the
	// rights of each, in the order in which they are told.
	Command  string
	Commands []Command
}

// Sweep is whether audits can ask an aggregator of AWS Config.
type Sweep struct {
	Cells, From int    // accounts × Regions, and from how many on an audit asks it
	Aggregator  string // "" when there is none
	Err         error  // why nobody could look
}

// Service is something about a service that others decide.
type Service struct {
	Control string
	Account orgs.AccountID
	Regions []string
	What    string
	Next    string
	Err     error // why nobody could look
}

// Command is a command and the actions that it needs.
type Command struct {
	Name           string
	Caller, Member []string
}
