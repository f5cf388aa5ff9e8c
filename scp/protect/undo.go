package protect

import (
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/apply"
)

// Undo says how to take back what a rollout did to the policy. What somebody else
// has changed since is refused and told, and then nothing of the policy is taken
// back.
func Undo(org *orgs.Organization, s State, pool *access.Pool, l journal.Log) (tasks []plan.Task, left []plan.Skip) {
	mgmt, _ := org.Account(org.ManagementAccount)
	leave := func(reason string, blocked bool) {
		left = append(left, plan.Skip{Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global, Control: Control, Reason: reason, Blocked: blocked})
	}
	for _, r := range l.Steps() {
		if r.Change.Kind == apply.Kind && r.Change.Verb == plan.Enable {
			leave(r.Change.Resource+": stays on: switching the policy type off would detach every SCP of the organization", false)
		}
	}
	waves, err := apply.Undo(org, l, s.policy(), Control)
	switch {
	case err != nil:
		leave(err.Error(), true)
	case len(waves) == 0 && len(apply.Made(l)) > 0:
		leave("policy "+PolicyName+": is as it was before the run already", false)
	}
	return takeAway(org, s, pool, waves, "undo"), left
}
