package protect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
)

// Propose says what a rollout does so that the policy is in place. It reads
// nothing; err is why the state could not be read.
func (g *Guard) Propose(s State, err error, pool *access.Pool) (tasks []plan.Task, skipped []plan.Skip) {
	mgmt, _ := g.Org.Account(g.Org.ManagementAccount)
	if err != nil {
		return nil, []plan.Skip{{Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global, Control: Control, Reason: err.Error(), Blocked: true}}
	}
	w := writer{pool: pool, at: pool.Home(g.Org.Partition.GlobalRegion), org: g.Org, id: s.ID}
	base := plan.Change{
		Kind: "scp", Stage: plan.Guardrail, Control: Control, Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global,
		Resource: "policy " + PolicyName, Cells: 1,
	}
	add := func(c plan.Change, was policyWas, apply func(context.Context) error) {
		tasks = append(tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) { return nil, apply(ctx) }})
	}
	if !s.TypeEnabled {
		c := base
		c.Stage, c.Verb, c.Resource = plan.Prerequisites, plan.Enable, "policy type SERVICE_CONTROL_POLICY"
		c.Why, c.Before, c.After = "service control policies have no effect without it", string(g.Org.SCPStatus), "ENABLED"
		c.Undo = fmt.Sprintf("aws organizations disable-policy-type --root-id %s --policy-type SERVICE_CONTROL_POLICY (detaches every SCP)", g.Org.Root)
		add(c, policyWas{}, w.enable)
	}
	c := base
	c.After = decode(g.Policy)
	switch {
	case !s.Exists:
		c.Verb, c.Why, c.Undo = plan.Create, "does not exist", "aws organizations delete-policy, when it is detached"
		add(c, policyWas{}, func(ctx context.Context) error { return w.create(ctx, g.Policy) })
	case !sameDocument(g.Policy, []byte(s.Content)):
		c.Verb, c.Before, c.Undo = plan.Update, decode([]byte(s.Content)), "aws organizations update-policy with what was there (before)"
		c.Why = fmt.Sprintf("differs from the configuration; the update reaches all its %d targets at once", len(s.Targets))
		add(c, policyWas{Content: s.Content}, func(ctx context.Context) error { return w.update(ctx, g.Policy) })
	}
	for _, ou := range g.Attach {
		if slices.Contains(s.Targets, string(ou.ID)) {
			continue
		}
		c := base
		c.Verb, c.Resource, c.After = plan.Attach, "policy "+PolicyName+" to "+g.name(ou), "attached"
		c.Cells = g.reach(ou)
		c.Why = fmt.Sprintf("not attached; reaches %d accounts", c.Cells)
		c.Undo = fmt.Sprintf("aws organizations detach-policy --policy-id <id> --target-id %s", ou.ID)
		add(c, policyWas{Target: string(ou.ID)}, func(ctx context.Context) error { return w.attach(ctx, string(ou.ID)) })
	}
	return tasks, nil
}

// reach is how many accounts a policy on the node affects.
func (g *Guard) reach(ou orgs.OU) int {
	n := 0
	for _, a := range g.Org.Accounts {
		if a.ID != g.Org.ManagementAccount && a.State == orgs.StateActive && g.Org.Under(a.Parent, ou.ID) {
			n++
		}
	}
	return n
}

// writer makes the changes. Tasks of its stage run one after the other, so id,
// which create sets, is there when attach needs it.
type writer struct {
	pool *access.Pool
	at   access.At
	org  *orgs.Organization
	id   string
}

// enable enables the policy type and waits until AWS has done it everywhere.
func (w *writer) enable(ctx context.Context) error {
	_, err := w.pool.Organizations.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{
		RootId: aws.String(string(w.org.Root)), PolicyType: types.PolicyTypeServiceControlPolicy,
	}, w.at.Organizations)
	if err != nil && orgs.Code(err) != "PolicyTypeAlreadyEnabledException" {
		return explain("enable service control policies", err)
	}
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		out, err := w.pool.Organizations.ListRoots(ctx, &organizations.ListRootsInput{}, w.at.Organizations)
		if err != nil {
			return fmt.Errorf("verify that service control policies are enabled: %w", err)
		}
		for _, r := range out.Roots {
			for _, t := range r.PolicyTypes {
				if t.Type == types.PolicyTypeServiceControlPolicy && t.Status == types.PolicyTypeStatusEnabled {
					return nil
				}
			}
		}
		if err := orgs.Pause(ctx, pause); err != nil {
			return fmt.Errorf("stopped waiting until service control policies are enabled: %w", err)
		}
	}
}

// Description is the policy's in AWS Organizations.
const Description = "orgguard: keeps AWS Config, and the alerts about it, from being switched off"

func (w *writer) create(ctx context.Context, policy []byte) error {
	out, err := w.pool.Organizations.CreatePolicy(ctx, &organizations.CreatePolicyInput{
		Name: aws.String(PolicyName), Description: aws.String(Description), Type: types.PolicyTypeServiceControlPolicy,
		Content: aws.String(string(policy)), Tags: []types.Tag{{Key: aws.String("managed-by"), Value: aws.String("orgguard")}},
	}, w.at.Organizations)
	if err != nil {
		return explain("create policy "+PolicyName, err)
	}
	w.id = aws.ToString(out.Policy.PolicySummary.Id)
	return w.verify(ctx, policy)
}

func (w *writer) update(ctx context.Context, policy []byte) error {
	if _, err := w.pool.Organizations.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{
		PolicyId: aws.String(w.id), Content: aws.String(string(policy)), Description: aws.String(Description),
	}, w.at.Organizations); err != nil {
		return explain("update policy "+PolicyName, err)
	}
	return w.verify(ctx, policy)
}

// verify reads the policy back.
func (w *writer) verify(ctx context.Context, policy []byte) error {
	out, err := w.pool.Organizations.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: aws.String(w.id)}, w.at.Organizations)
	if err != nil {
		return fmt.Errorf("verify policy %s: %w", PolicyName, err)
	}
	if !sameDocument(policy, []byte(aws.ToString(out.Policy.Content))) {
		return fmt.Errorf("verify policy %s: AWS holds another text than was sent", PolicyName)
	}
	return nil
}

func (w *writer) attach(ctx context.Context, node string) error {
	if w.id == "" {
		return fmt.Errorf("attach policy %s to %s: it could not be created", PolicyName, node)
	}
	_, err := w.pool.Organizations.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: aws.String(w.id), TargetId: aws.String(node)}, w.at.Organizations)
	if err != nil && orgs.Code(err) != "DuplicatePolicyAttachmentException" {
		return explain(fmt.Sprintf("attach policy %s to %s", PolicyName, node), err)
	}
	p := organizations.NewListPoliciesForTargetPaginator(w.pool.Organizations, &organizations.ListPoliciesForTargetInput{
		TargetId: aws.String(node), Filter: types.PolicyTypeServiceControlPolicy,
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, w.at.Organizations)
		if err != nil {
			return fmt.Errorf("verify policy %s on %s: %w", PolicyName, node, err)
		}
		if slices.ContainsFunc(page.Policies, func(s types.PolicySummary) bool { return aws.ToString(s.Id) == w.id }) {
			return nil
		}
	}
	return fmt.Errorf("verify policy %s on %s: it is not attached after it was", PolicyName, node)
}

// explain puts AWS's constraint into words and says what to do.
func explain(what string, err error) error {
	wrapped := fmt.Errorf("%s: %w", what, err)
	var limit *types.ConstraintViolationException
	if errors.As(err, &limit) {
		switch limit.Reason {
		case types.ConstraintViolationExceptionReasonMaxPolicyTypeAttachmentLimitExceeded:
			return &orgs.Hinted{Err: wrapped, Next: "this node has as many SCPs as AWS allows, FullAWSAccess and Control Tower's included: detach or merge one, or attach orgguard's higher up (scp.protect-config.attach)"}
		case types.ConstraintViolationExceptionReasonPolicyContentLimitExceeded:
			return &orgs.Hinted{Err: wrapped, Next: "name fewer exempt_roles or extra_actions"}
		case types.ConstraintViolationExceptionReasonPolicyNumberLimitExceeded:
			return &orgs.Hinted{Err: wrapped, Next: "the organization has as many policies as AWS allows: delete one that is not attached"}
		}
	}
	if orgs.Code(err) == "AccessDeniedException" {
		return &orgs.Hinted{Err: wrapped, Next: "SCPs are written from the management account, or from an account that the organization's resource policy lets"}
	}
	return wrapped
}
