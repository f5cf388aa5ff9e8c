package plan

import "time"

// Schema names the format of a saved plan.
const Schema = "orgguard.dev/plan/v1"

// Verb is what a change does to its resource.
type Verb string

// The verbs.
const (
	Create Verb = "create"
	Update Verb = "update"
	Delete Verb = "delete"
	Enable Verb = "enable"
	Start  Verb = "start"
	Attach Verb = "attach"
	Detach Verb = "detach"
	Repair Verb = "repair" // put back what drifted, by API in the account itself
	// Replace takes away what somebody else made, so that orgguard's own takes
	// its place.
	Replace Verb = "replace"
)

// Stage is the place of a change in the order of a rollout. A stage begins when
// the one before it is done.
type Stage int

// The stages. The SCP comes last: before the baseline is in place it would only
// stand in its way.
const (
	Prerequisites Stage = iota + 1 // trusted access, policy types
	Central                        // what lives once, in the security account
	Roles                          // IAM roles that the next stage uses
	Baseline                       // recorders and rules everywhere
	Repairs                        // drift that CloudFormation does not see
	Guardrail                      // the SCP
	Rules                          // what needs a recorder that records; comes before the guardrail, and has its number because saved plans hold the others
	Package                        // of the scheduled audit: what its function runs
	Job                            // the scheduled audit
	Retirement                     // what is left when all else is gone
	Triggers                       // what begins the scheduled audit between its times; after the job, whose function it needs
)

var stageNames = map[Stage]string{
	Prerequisites: "prerequisites",
	Central:       "central",
	Roles:         "roles",
	Baseline:      "baseline",
	Repairs:       "repairs",
	Rules:         "rules",
	Guardrail:     "guardrail",
	Package:       "package",
	Job:           "job",
	Retirement:    "retirement",
	Triggers:      "triggers",
}

func (s Stage) String() string { return stageNames[s] }

// Change is one thing to do.
type Change struct {
	// Kind names the code that carries the change out, e.g. "stack-set".
	Kind  string `json:"kind"`
	Stage Stage  `json:"stage"`
	// Wave is the wave of the rollout in which the change is made, from 1; 0
	// for what comes before the first wave (prerequisites, central) and after
	// the last one (guardrail).
	Wave    int    `json:"wave,omitempty"`
	Verb    Verb   `json:"verb"`
	Control string `json:"control"` // the control it serves; several joined by ","
	// Account and Region are where the change happens; Region is "global" for
	// what has none.
	Account     string `json:"account"`
	AccountName string `json:"account_name"`
	Region      string `json:"region"`
	Resource    string `json:"resource"`
	Why         string `json:"why"`
	// Cells is how many account × Region the change reaches; 1 for most.
	Cells int `json:"cells"`
	// Targets are those account × Region, as "account/region", where the
	// change is CloudFormation's or a repair.
	Targets []string `json:"targets,omitempty"`
	Before  any      `json:"before,omitempty"`
	After   any      `json:"after,omitempty"`
	// Undo is the command or step that takes the change back.
	Undo string `json:"undo,omitempty"`
	// Irreversible is what of the change nothing takes back; "" for most.
	Irreversible string `json:"irreversible,omitempty"`
	// Effort is what making the change takes.
	Effort Effort `json:"effort,omitzero"`
}

// Skip is something the plan leaves alone, and why.
type Skip struct {
	Account     string `json:"account"`
	AccountName string `json:"account_name"`
	Region      string `json:"region"`
	Control     string `json:"control"`
	Reason      string `json:"reason"`
	// Blocked says that the rollout should have reached it but cannot: the
	// run ends with "could not finish".
	Blocked bool `json:"blocked"`
}

// Plan is everything a rollout would do, in the order in which it would.
type Plan struct {
	Schema       string    `json:"schema"`
	GeneratedAt  time.Time `json:"generated_at"`
	ToolVersion  string    `json:"tool_version"`
	Organization string    `json:"organization"`
	Accounts     int       `json:"accounts"` // that the plan covers
	Regions      []string  `json:"regions"`
	// Only is what the plan was narrowed to ("account:shop-prod"); empty for
	// everything.
	Only []string `json:"only,omitempty"`
	// Waves are the rollout's waves, also those with nothing to change; none
	// when the configuration has none.
	Waves []Wave `json:"waves,omitempty"`
	// Estimate and Reach are what carrying the plan out takes and touches; nil
	// when there is nothing to do, or nobody worked it out.
	Estimate *Estimate `json:"estimate,omitempty"`
	Reach    *Reach    `json:"blast_radius,omitempty"`
	Changes  []Change  `json:"changes"`
	Skipped  []Skip    `json:"skipped"`
	Notes    []string  `json:"notes"`
}

// Wave is a group of accounts that a rollout reaches together. It is verified
// before the next one begins.
type Wave struct {
	Number   int      `json:"number"` // from 1
	Name     string   `json:"name"`   // what the configuration names, e.g. "Sandbox, Workloads/Dev"
	Accounts []string `json:"accounts"`
}

// Blocked counts what the rollout should have reached but cannot.
func (p Plan) Blocked() int {
	n := 0
	for _, s := range p.Skipped {
		if s.Blocked {
			n++
		}
	}
	return n
}

// Outcome is what became of one change.
type Outcome struct {
	Change  Change        `json:"change"`
	Err     string        `json:"error,omitempty"` // "" when done
	Hint    string        `json:"hint,omitempty"`
	Took    time.Duration `json:"took_ns"`
	Skipped bool          `json:"skipped,omitempty"` // not begun, because an earlier stage failed
	// Failures are the accounts × Regions where a change that reaches many
	// did not succeed, with AWS's reason.
	Failures []Failure `json:"failures,omitempty"`
}

// Failure is one account × Region where a change did not succeed.
type Failure struct {
	Account     string `json:"account"`
	AccountName string `json:"account_name"`
	Region      string `json:"region"`
	Status      string `json:"status"` // as AWS gives it, e.g. "FAILED"
	Reason      string `json:"reason"` // as AWS gives it
	Fix         string `json:"fix"`
}

// Result is what a rollout did.
type Result struct {
	Outcomes []Outcome `json:"outcomes"`
	// Waves are the waves that had changes, with how each ended.
	Waves []WaveOutcome `json:"waves,omitempty"`
}

// WaveStatus is how a wave ended.
type WaveStatus string

// The statuses of a wave.
const (
	WaveVerified WaveStatus = "verified"  // done, and a live audit found it so
	WaveFailed   WaveStatus = "failed"    // more than tolerated failed; the rest was not begun
	WaveStopped  WaveStatus = "stopped"   // somebody asked for a stop after it
	WaveNotBegun WaveStatus = "not_begun" // an earlier one ended the rollout
)

// WaveOutcome is what became of a wave.
type WaveOutcome struct {
	Number int        `json:"number"`
	Name   string     `json:"name,omitempty"`
	Status WaveStatus `json:"status"`
	Reason string     `json:"reason,omitempty"`
	// Problems are what the live audit of the wave found wrong, tolerated or
	// not.
	Problems []Failure `json:"problems,omitempty"`
	// NotAssessed are account × Regions in which the audit could not look: AWS
	// says that the wave's changes were made there, and nobody has seen it.
	NotAssessed []Failure `json:"not_assessed,omitempty"`
}

// NotAssessed counts the account × Regions of all waves in which nobody could look.
func (r Result) NotAssessed() int {
	n := 0
	for _, w := range r.Waves {
		n += len(w.NotAssessed)
	}
	return n
}

// Failed counts the changes that failed or were not begun.
func (r Result) Failed() int {
	n := 0
	for _, o := range r.Outcomes {
		if o.Err != "" || o.Skipped || len(o.Failures) > 0 {
			n++
		}
	}
	return n
}
