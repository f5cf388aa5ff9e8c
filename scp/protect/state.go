package protect

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
)

// State is what AWS Organizations holds of the policy.
type State struct {
	TypeEnabled bool
	Exists      bool
	ID, Content string
	// Targets are the roots, OUs and accounts it is attached to.
	Targets []string
}

// Observe reads the policy and its attachments: a listing of the policies, which
// gives the name, and two calls more for the one that has it.
func Observe(ctx context.Context, pool *access.Pool, org *orgs.Organization) (State, error) {
	at := pool.Home(org.Partition.GlobalRegion)
	s := State{TypeEnabled: org.SCPStatus == orgs.PolicyTypeEnabled}
	p := organizations.NewListPoliciesPaginator(pool.Organizations, &organizations.ListPoliciesInput{
		Filter: types.PolicyTypeServiceControlPolicy, MaxResults: aws.Int32(20),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, at.Organizations)
		if err != nil {
			return s, fmt.Errorf("list service control policies: %w", err)
		}
		for _, sum := range page.Policies {
			if aws.ToString(sum.Name) == PolicyName {
				s.Exists, s.ID = true, aws.ToString(sum.Id)
			}
		}
	}
	if !s.Exists {
		return s, nil
	}
	desc, err := pool.Organizations.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: aws.String(s.ID)}, at.Organizations)
	if err != nil {
		return s, fmt.Errorf("describe policy %s: %w", PolicyName, err)
	}
	s.Content = aws.ToString(desc.Policy.Content)
	t := organizations.NewListTargetsForPolicyPaginator(pool.Organizations, &organizations.ListTargetsForPolicyInput{
		PolicyId: aws.String(s.ID), MaxResults: aws.Int32(20),
	})
	for t.HasMorePages() {
		page, err := t.NextPage(ctx, at.Organizations)
		if err != nil {
			return s, fmt.Errorf("list targets of policy %s: %w", PolicyName, err)
		}
		for _, x := range page.Targets {
			s.Targets = append(s.Targets, aws.ToString(x.TargetId))
		}
	}
	slices.Sort(s.Targets)
	return s, nil
}
