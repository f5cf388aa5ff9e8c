package apply

import (
	"time"

	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/preview"
)

// Schema names the JSON format of what a run did.
const Schema = "orgguard.dev/scp-apply/v1"

// Outcome is how a run ended, in one word.
type Outcome string

// The outcomes.
const (
	ToDo        Outcome = "planned"
	Done        Outcome = "done"
	NothingToDo Outcome = "nothing_to_do"
	TakenBack   Outcome = "rolled_back" // the wave that failed; those before it stand
	Broken      Outcome = "failed"      // something is neither as it was nor as it should be
	Cut         Outcome = "interrupted"
)

// Report is what a run is to do, or did.
type Report struct {
	Schema       string             `json:"schema"`
	GeneratedAt  time.Time          `json:"generated_at"`
	ToolVersion  string             `json:"tool_version"`
	Organization string             `json:"organization"`
	Run          string             `json:"run"` // id of its journal; "" when nothing was written
	Kind         preview.ChangeKind `json:"kind"`
	Policy       string             `json:"policy"`
	PolicyID     string             `json:"policy_id,omitempty"`
	Outcome      Outcome            `json:"outcome"`
	Waves        []WaveResult       `json:"waves"`
	Notes        []string           `json:"notes"`
	Undo         string             `json:"undo"`
	Next         string             `json:"next"`
}

// OutcomeOf is the outcome of a run from that of its waves.
func OutcomeOf(waves []WaveResult) Outcome {
	out := NothingToDo
	for _, w := range waves {
		switch w.Status {
		case Verified:
			out = Done
		case RolledBack:
			return TakenBack
		case Interrupted:
			return Cut
		case NotBegun: // by a context that ended between two waves
			return Cut
		default:
			return Broken
		}
	}
	return out
}

func notBegun(w Wave) WaveResult {
	return WaveResult{Number: w.Number, Name: w.Name, Accounts: w.Accounts, Status: NotBegun, Outcomes: []plan.Outcome{}, Checks: []preview.Check{}, Back: []plan.Outcome{}}
}

// Planned is a report of waves that are still to be carried out.
func Planned(waves []Wave) []WaveResult {
	out := []WaveResult{}
	for _, w := range waves {
		r := notBegun(w)
		for _, c := range w.Changes {
			r.Outcomes = append(r.Outcomes, plan.Outcome{Change: c, Skipped: true})
		}
		out = append(out, r)
	}
	return out
}
