package orgpolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
)

// Policy is a policy as AWS Organizations has it; without an ID it is not there.
type Policy struct {
	Name, ID, Content string
	Targets           []string // roots, OUs and accounts it is attached to, sorted
	AWSManaged        bool     // AWS maintains it; of a listing only
}

// Service is AWS Organizations' API for the policies of one type, as one account
// calls it.
type Service struct {
	pool *access.Pool
	at   access.At
	kind types.PolicyType
}

// Of is the API for the policies of a type, as it is called from an account.
func Of(pool *access.Pool, at access.At, kind types.PolicyType) Service {
	return Service{pool: pool, at: at, kind: kind}
}

// The tag by which orgguard's own policies are known.
const (
	tagKey   = "managed-by"
	tagValue = "orgguard"
)

// side is how many policies are looked at side by side.
const side = 8

// noun is how people call the policies of a type.
func (s Service) noun() string {
	switch s.kind {
	case types.PolicyTypeServiceControlPolicy:
		return "service control policies"
	case types.PolicyTypeSecurityhubPolicy:
		return "Security Hub policies"
	}
	return "policies of type " + string(s.kind)
}

// List lists the policies in the order of AWS, without their texts and targets.
func (s Service) List(ctx context.Context) ([]Policy, error) {
	var out []Policy
	p := organizations.NewListPoliciesPaginator(s.pool.Organizations, &organizations.ListPoliciesInput{Filter: s.kind, MaxResults: aws.Int32(20)})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, s.at.Organizations)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", s.noun(), err)
		}
		for _, x := range page.Policies {
			out = append(out, Policy{ID: aws.ToString(x.Id), Name: aws.ToString(x.Name), AWSManaged: x.AwsManaged})
		}
	}
	return out, nil
}

// Targets lists what a policy is attached to, sorted.
func (s Service) Targets(ctx context.Context, p Policy) ([]string, error) {
	var out []string
	t := organizations.NewListTargetsForPolicyPaginator(s.pool.Organizations, &organizations.ListTargetsForPolicyInput{PolicyId: aws.String(p.ID), MaxResults: aws.Int32(20)})
	for t.HasMorePages() {
		page, err := t.NextPage(ctx, s.at.Organizations)
		if err != nil {
			return nil, fmt.Errorf("list targets of policy %s: %w", p.Name, err)
		}
		for _, x := range page.Targets {
			out = append(out, aws.ToString(x.TargetId))
		}
	}
	slices.Sort(out)
	return out, nil
}

// Attached lists the policies by id with what each is attached to, without their
// texts: never a call for each account.
func (s Service) Attached(ctx context.Context) ([]Policy, error) {
	list, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b Policy) int { return strings.Compare(a.ID, b.ID) })
	var problems []error
	for i, o := range orgs.ForEach(ctx, list, side, s.Targets) {
		list[i].Targets = o.Value
		problems = append(problems, o.Err)
	}
	return list, errors.Join(problems...)
}

// Read reads a policy by its name: a listing of the policies, and two calls more for
// the one that has it.
func (s Service) Read(ctx context.Context, name string) (Policy, error) {
	out := Policy{Name: name}
	list, err := s.List(ctx)
	if err != nil {
		return out, err
	}
	i := slices.IndexFunc(list, func(p Policy) bool { return p.Name == name })
	if i < 0 {
		return out, nil
	}
	out.ID = list[i].ID
	if out.Content, err = s.Text(ctx, out); err != nil {
		return out, err
	}
	out.Targets, err = s.Targets(ctx, out)
	return out, err
}

// Text reads what a policy says.
func (s Service) Text(ctx context.Context, p Policy) (string, error) {
	out, err := s.pool.Organizations.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: aws.String(p.ID)}, s.at.Organizations)
	if err != nil {
		return "", fmt.Errorf("describe policy %s: %w", p.Name, err)
	}
	return aws.ToString(out.Policy.Content), nil
}

// Ours says whether a policy carries orgguard's tag.
func (s Service) Ours(ctx context.Context, p Policy) (bool, error) {
	pages := organizations.NewListTagsForResourcePaginator(s.pool.Organizations, &organizations.ListTagsForResourceInput{ResourceId: aws.String(p.ID)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.at.Organizations)
		if err != nil {
			return false, fmt.Errorf("list the tags of policy %s: %w", p.Name, err)
		}
		if slices.ContainsFunc(page.Tags, func(t types.Tag) bool { return aws.ToString(t.Key) == tagKey && aws.ToString(t.Value) == tagValue }) {
			return true, nil
		}
	}
	return false, nil
}

// Effective is what the policies on an account's path come to together; "" where none
// reaches it.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeEffectivePolicy.html
func (s Service) Effective(ctx context.Context, account orgs.AccountID) (string, error) {
	out, err := s.pool.Organizations.DescribeEffectivePolicy(ctx, &organizations.DescribeEffectivePolicyInput{
		PolicyType: types.EffectivePolicyType(s.kind), TargetId: aws.String(string(account)),
	}, s.at.Organizations)
	switch {
	case orgs.Code(err) == "EffectivePolicyNotFoundException":
		return "", nil
	case err != nil:
		return "", fmt.Errorf("look at the effective policy of account %s: %w", account, err)
	case out.EffectivePolicy == nil:
		return "", nil
	}
	return aws.ToString(out.EffectivePolicy.PolicyContent), nil
}

// Status is the state of the policy type in the root; "" when it is off.
func (s Service) Status(ctx context.Context, root orgs.NodeID) (types.PolicyTypeStatus, error) {
	p := organizations.NewListRootsPaginator(s.pool.Organizations, &organizations.ListRootsInput{})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, s.at.Organizations)
		if err != nil {
			return "", fmt.Errorf("look whether %s are enabled: %w", s.noun(), err)
		}
		for _, r := range page.Roots {
			for _, t := range r.PolicyTypes {
				if aws.ToString(r.Id) == string(root) && t.Type == s.kind {
					return t.Status, nil
				}
			}
		}
	}
	return "", nil
}

// Enable enables the policy type and waits until AWS has done it.
func (s Service) Enable(ctx context.Context, root orgs.NodeID) error {
	_, err := s.pool.Organizations.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: aws.String(string(root)), PolicyType: s.kind}, s.at.Organizations)
	if err != nil && orgs.Code(err) != "PolicyTypeAlreadyEnabledException" {
		return s.Explain("enable "+s.noun(), err)
	}
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		status, err := s.Status(ctx, root)
		if err != nil || status == types.PolicyTypeStatusEnabled {
			return err
		}
		if err := orgs.Pause(ctx, pause); err != nil {
			return fmt.Errorf("stopped waiting until %s are enabled: %w", s.noun(), err)
		}
	}
}
