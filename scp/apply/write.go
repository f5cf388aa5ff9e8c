package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/plan"
)

// writer makes changes to one policy. Each can be made again: what is there
// already is left as it is.
type writer struct {
	pool        *access.Pool
	at          access.At
	policy      string // its name
	description string
	id          string // "" as long as nobody knows it
}

// ReadPolicy reads a policy by its name: a listing of the policies, and two calls
// more for the one that has it. One that is not there has no ID.
func ReadPolicy(ctx context.Context, pool *access.Pool, org *orgs.Organization, name string) (Policy, error) {
	at := pool.Home(org.Partition.GlobalRegion)
	out := Policy{Name: name}
	p := organizations.NewListPoliciesPaginator(pool.Organizations, &organizations.ListPoliciesInput{
		Filter: types.PolicyTypeServiceControlPolicy, MaxResults: aws.Int32(20),
	})
	for p.HasMorePages() && out.ID == "" {
		page, err := p.NextPage(ctx, at.Organizations)
		if err != nil {
			return out, fmt.Errorf("list service control policies: %w", err)
		}
		for _, s := range page.Policies {
			if aws.ToString(s.Name) == name {
				out.ID = aws.ToString(s.Id)
			}
		}
	}
	if out.ID == "" {
		return out, nil
	}
	desc, err := pool.Organizations.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: aws.String(out.ID)}, at.Organizations)
	if err != nil {
		return out, fmt.Errorf("describe policy %s: %w", name, err)
	}
	out.Content = aws.ToString(desc.Policy.Content)
	t := organizations.NewListTargetsForPolicyPaginator(pool.Organizations, &organizations.ListTargetsForPolicyInput{
		PolicyId: aws.String(out.ID), MaxResults: aws.Int32(20),
	})
	for t.HasMorePages() {
		page, err := t.NextPage(ctx, at.Organizations)
		if err != nil {
			return out, fmt.Errorf("list targets of policy %s: %w", name, err)
		}
		for _, x := range page.Targets {
			out.Targets = append(out.Targets, aws.ToString(x.TargetId))
		}
	}
	slices.Sort(out.Targets)
	return out, nil
}

// make makes a change. already says that there was nothing to do: it is not ours
// to take back.
func (w *writer) make(ctx context.Context, org *orgs.Organization, c plan.Change) (already bool, err error) {
	before, after, err := sides(c)
	if err != nil {
		return false, err
	}
	what := nameOf(c)
	if c.Verb == plan.Create {
		return w.create(ctx, org, what, after.Content)
	}
	if w.id == "" {
		have, err := ReadPolicy(ctx, w.pool, org, w.policy)
		if err != nil {
			return false, fmt.Errorf("%s: %w", what, err)
		}
		if w.id = have.ID; w.id == "" {
			if c.Verb == plan.Delete || c.Verb == plan.Detach {
				return true, nil
			}
			return false, fmt.Errorf("%s: there is no policy of that name", what)
		}
	}
	id := aws.String(w.id)
	switch c.Verb {
	case plan.Update:
		_, err = w.pool.Organizations.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{PolicyId: id, Content: aws.String(after.Content)}, w.at.Organizations)
	case plan.Attach:
		_, err = w.pool.Organizations.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: id, TargetId: aws.String(after.Target)}, w.at.Organizations)
		already = orgs.Code(err) == "DuplicatePolicyAttachmentException"
	case plan.Detach:
		_, err = w.pool.Organizations.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: id, TargetId: aws.String(before.Target)}, w.at.Organizations)
		already = orgs.Code(err) == "PolicyNotAttachedException"
	case plan.Delete:
		already, err = w.remove(ctx, org, before.Content)
	default:
		return false, fmt.Errorf("%s: not a change to a policy", what)
	}
	if already {
		return true, nil
	}
	if err != nil {
		return false, Explain(what, err)
	}
	return false, nil
}

// create makes the policy, or takes the one of that name when it says the same.
func (w *writer) create(ctx context.Context, org *orgs.Organization, what, content string) (already bool, err error) {
	out, err := w.pool.Organizations.CreatePolicy(ctx, &organizations.CreatePolicyInput{
		Name: aws.String(w.policy), Description: aws.String(w.description), Type: types.PolicyTypeServiceControlPolicy,
		Content: aws.String(content), Tags: []types.Tag{{Key: aws.String("managed-by"), Value: aws.String("orgguard")}},
	}, w.at.Organizations)
	if orgs.Code(err) == "DuplicatePolicyException" {
		have, readErr := ReadPolicy(ctx, w.pool, org, w.policy)
		if readErr == nil && have.ID != "" && Same([]byte(have.Content), []byte(content)) {
			w.id = have.ID
			return true, nil
		}
		return false, &orgs.Hinted{Err: fmt.Errorf("%s: there is one of that name by now, with another text: %w", what, errors.Join(err, readErr)), Next: "run it again: it looks at what is there first"}
	}
	if err != nil {
		return false, Explain(what, err)
	}
	w.id = aws.ToString(out.Policy.PolicySummary.Id)
	return false, nil
}

// remove deletes a policy that is attached to nothing and says what it said when
// it was made: another text is somebody else's work.
func (w *writer) remove(ctx context.Context, org *orgs.Organization, content string) (already bool, err error) {
	have, err := ReadPolicy(ctx, w.pool, org, w.policy)
	switch {
	case err != nil:
		return false, err
	case have.ID == "":
		return true, nil
	case len(have.Targets) > 0:
		return false, fmt.Errorf("it is attached to %s", NodeName(org, have.Targets[0]))
	case !Same([]byte(have.Content), []byte(content)):
		return false, errors.New("it was edited since")
	}
	_, err = w.pool.Organizations.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: aws.String(have.ID)}, w.at.Organizations)
	w.id = ""
	return false, err
}

// Explain puts AWS's constraint into words and says what to do.
func Explain(what string, err error) error {
	wrapped := fmt.Errorf("%s: %w", what, err)
	hint := func(next string) error { return &orgs.Hinted{Err: wrapped, Next: next} }
	var limit *types.ConstraintViolationException
	if errors.As(err, &limit) {
		switch limit.Reason {
		case types.ConstraintViolationExceptionReasonMaxPolicyTypeAttachmentLimitExceeded:
			return hint("this node has as many SCPs as AWS allows, FullAWSAccess and Control Tower's included: detach or merge one, or attach higher up (of the built-in policy: scp.protect-config.attach)")
		case types.ConstraintViolationExceptionReasonMinPolicyTypeAttachmentLimitExceeded:
			return hint("a node keeps at least one SCP: attach FullAWSAccess first")
		case types.ConstraintViolationExceptionReasonPolicyContentLimitExceeded:
			return hint("shorten the policy (of the built-in one: fewer exempt_roles or extra_actions)")
		case types.ConstraintViolationExceptionReasonPolicyNumberLimitExceeded:
			return hint("the organization has as many policies as AWS allows: delete one that is not attached")
		}
	}
	switch orgs.Code(err) {
	case "AccessDeniedException":
		return hint("SCPs are written from the management account, or from an account that the organization's resource policy lets")
	case "PolicyTypeNotEnabledException":
		return hint("enable service control policies first: orgguard rollout does, or aws organizations enable-policy-type")
	}
	return wrapped
}
