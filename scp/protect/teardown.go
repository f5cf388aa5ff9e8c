package protect

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
)

// Teardown says how to take the policy away: it is detached from wherever it is
// attached, and deleted. It is the first thing of a teardown, since what comes
// after it is what the policy forbids.
func Teardown(org *orgs.Organization, s State, pool *access.Pool) []plan.Task {
	if !s.Exists {
		return nil
	}
	mgmt, _ := org.Account(org.ManagementAccount)
	w := writer{pool: pool, at: pool.Home(org.Partition.GlobalRegion), org: org, id: s.ID}
	base := plan.Change{
		Kind: "teardown", Stage: plan.Guardrail, Control: Control, Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global,
		Resource: "policy " + PolicyName, Cells: 1, Undo: "orgguard rollout attaches it again",
	}
	var tasks []plan.Task
	for _, target := range s.Targets {
		c := base
		c.Verb, c.Resource, c.Before = plan.Detach, "policy "+PolicyName+" from "+target, "attached"
		c.Why = "the accounts below can switch AWS Config off from then on"
		tasks = append(tasks, plan.Task{Change: c, Apply: func(ctx context.Context) ([]plan.Failure, error) { return nil, w.detach(ctx, target) }})
	}
	c := base
	c.Verb, c.Before, c.Why = plan.Delete, decode([]byte(s.Content)), "is attached nowhere by then"
	return append(tasks, plan.Task{Change: c, Apply: func(ctx context.Context) ([]plan.Failure, error) { return nil, w.remove(ctx) }})
}

// detach detaches the policy; one that is not attached is what was wanted.
func (w *writer) detach(ctx context.Context, target string) error {
	_, err := w.pool.Organizations.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: aws.String(w.id), TargetId: aws.String(target)}, w.at.Organizations)
	if code := orgs.Code(err); err != nil && code != "PolicyNotAttachedException" && code != "TargetNotFoundException" {
		return explain(fmt.Sprintf("detach policy %s from %s", PolicyName, target), err)
	}
	return nil
}

// remove deletes the policy.
func (w *writer) remove(ctx context.Context) error {
	_, err := w.pool.Organizations.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: aws.String(w.id)}, w.at.Organizations)
	if err != nil && orgs.Code(err) != "PolicyNotFoundException" {
		return explain("delete policy "+PolicyName, err)
	}
	return nil
}
