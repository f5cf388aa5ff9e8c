package protect

import (
	"context"
	"fmt"

	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/apply"
	"github.com/orgguard/orgguard/scp/preview"
)

// Propose says what a rollout does so that the policy is in place. It reads
// nothing; err is why the state could not be read.
func (g *Guard) Propose(s State, err error, pool *access.Pool) (tasks []plan.Task, skipped []plan.Skip) {
	mgmt, _ := g.Org.Account(g.Org.ManagementAccount)
	if err != nil {
		return nil, []plan.Skip{{Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global, Control: Control, Reason: err.Error(), Blocked: true}}
	}
	if !s.TypeEnabled {
		c := plan.Change{
			Kind: apply.Kind, Stage: plan.Prerequisites, Verb: plan.Enable, Control: Control, Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global,
			Resource: "policy type SERVICE_CONTROL_POLICY", Cells: 1,
			Why: "service control policies have no effect without it", Before: string(g.Org.SCPStatus), After: "ENABLED",
			Undo:         fmt.Sprintf("aws organizations disable-policy-type --root-id %s --policy-type SERVICE_CONTROL_POLICY (detaches every SCP)", g.Org.Root),
			Irreversible: "switching the policy type off again takes every SCP off, those of others too: an undo leaves it on", Effort: plan.Effort{Writes: 1},
		}
		tasks = append(tasks, plan.Task{Change: c, Apply: func(ctx context.Context) ([]plan.Failure, error) {
			return nil, preview.SCPs(pool, g.Org).Enable(ctx, g.Org.Root)
		}})
	}
	have := s.policy()
	targets := make([]string, len(g.Attach))
	for i, ou := range g.Attach {
		targets[i] = string(ou.ID)
	}
	waves := apply.Plan(g.Org, have, apply.Wish{Content: string(g.Policy), Attach: targets, Control: Control}, g.Waves)
	judge := g.Judge
	judge.Org, judge.Change = g.Org, preview.Change{Kind: preview.Replace, Name: PolicyName, File: PolicyName, Existing: s.ID, Source: g.Policy, Targets: targets}
	if s.ID == "" {
		judge.Change.Kind = preview.Attach
	}
	g.runner = apply.NewRunner(apply.Options{
		Pool: pool, Org: g.Org, Policy: have, Description: Description, Control: Control, Judge: judge, Patience: apply.DefaultPatience, Say: g.Say,
	})
	return append(tasks, g.runner.Tasks(waves)...), nil
}

// Record sets the journal that the tasks of the last Propose write their own
// account into: rollbacks, and waves that were verified. Whoever runs the tasks
// journals the tasks themselves.
func (g *Guard) Record(j *journal.Journal) {
	if g.runner != nil {
		g.runner.Record(j)
	}
}

// Description is the policy's in AWS Organizations.
const Description = "orgguard: keeps AWS Config, and the alerts about it, from being switched off"
