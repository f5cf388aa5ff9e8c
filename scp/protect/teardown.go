package protect

import (
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/apply"
)

// Teardown says how to take the policy away: it is detached from wherever it is
// attached, and deleted. It is the first thing of a teardown, since what comes
// after it is what the policy forbids.
func Teardown(org *orgs.Organization, s State, pool *access.Pool) []plan.Task {
	waves := apply.Plan(org, s.policy(), apply.Wish{Detach: s.Targets, Delete: true, Control: Control}, nil)
	tasks := takeAway(org, s, pool, waves, "teardown")
	for i, t := range tasks {
		if t.Verb == plan.Detach {
			tasks[i].Why = "the accounts below can switch AWS Config off from then on"
		}
	}
	return tasks
}

// takeAway are the tasks that carry out waves which take the policy away, as changes
// of a kind of their own: an undo of their run does not put it back. What
// fails stays as it is, and is gone on with by doing it again.
func takeAway(org *orgs.Organization, s State, pool *access.Pool, waves []apply.Wave, kind string) []plan.Task {
	r := apply.NewRunner(apply.Options{
		Pool: pool, Org: org, Policy: s.policy(), Description: Description, Control: Control, Patience: apply.DefaultPatience, Keep: true,
	})
	tasks := r.Tasks(waves)
	for i := range tasks {
		tasks[i].Kind, tasks[i].Undo = kind, "orgguard rollout makes it again"
	}
	return tasks
}
