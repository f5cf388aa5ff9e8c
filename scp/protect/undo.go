package protect

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
)

// policyWas is what a change of the policy found.
type policyWas struct {
	Target  string `json:"target,omitempty"`  // that it was attached to
	Content string `json:"content,omitempty"` // of before an update
}

// Undo says how to take back what a rollout did to the policy, the last change
// first. What was changed since is refused and told.
func Undo(org *orgs.Organization, s State, pool *access.Pool, records []journal.Record) (tasks []plan.Task, left []plan.Skip) {
	w := writer{pool: pool, at: pool.Home(org.Partition.GlobalRegion), org: org, id: s.ID}
	mgmt, _ := org.Account(org.ManagementAccount)
	for _, r := range slices.Backward(records) {
		if r.Change.Kind != "scp" {
			continue
		}
		leave := func(reason string, blocked bool) {
			left = append(left, plan.Skip{Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global, Control: Control, Reason: r.Change.Resource + ": " + reason, Blocked: blocked})
		}
		add := func(verb plan.Verb, why string, apply func(context.Context) error) {
			c := r.Change
			c.Kind, c.Verb, c.Why, c.Undo = "undo", verb, why, "orgguard rollout makes it again"
			c.Before, c.After = r.Change.After, r.Change.Before
			tasks = append(tasks, plan.Task{Change: c, Apply: func(ctx context.Context) ([]plan.Failure, error) { return nil, apply(ctx) }})
		}
		var was policyWas
		if err := journal.Decode(r.Was, &was); err != nil {
			leave(err.Error(), true)
			continue
		}
		asMade := sameDocument([]byte(jsonText(r.Change.After)), []byte(s.Content))
		switch {
		case r.Change.Verb == plan.Enable:
			leave("stays on: switching the policy type off would detach every SCP of the organization", false)
		case !s.Exists:
			leave("the policy is gone already", false)
		case r.Change.Verb == plan.Attach && !slices.Contains(s.Targets, was.Target):
			leave("is not attached any more", false)
		case r.Change.Verb == plan.Attach:
			add(plan.Detach, "was not attached before", func(ctx context.Context) error { return w.detach(ctx, was.Target) })
		case !asMade:
			leave("its text was changed since", true)
		case r.Change.Verb == plan.Update:
			add(plan.Update, "gets its text of before", func(ctx context.Context) error { return w.update(ctx, []byte(was.Content)) })
		case r.Change.Verb == plan.Create:
			add(plan.Delete, "did not exist before", w.remove)
		}
	}
	return tasks, left
}

// jsonText is a value of a plan as JSON.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
