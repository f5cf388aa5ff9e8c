package baseline

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/orgguard/orgguard/orgs"
)

// trustedAccessKind is that a service may act in the organization.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_integrate_services.html
var trustedAccessKind = kind{
	noun:     "trusted access of",
	nameProp: "ServicePrincipal",
	global:   true,
	observe: func(ctx context.Context, s site, r Resource) (any, error) {
		pages := organizations.NewListAWSServiceAccessForOrganizationPaginator(s.Organizations, &organizations.ListAWSServiceAccessForOrganizationInput{})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx, s.at.Organizations)
			if err != nil {
				return nil, fmt.Errorf("list the services that may act in the organization: %w", err)
			}
			for _, p := range page.EnabledServicePrincipals {
				if aws.ToString(p.ServicePrincipal) == r.str("ServicePrincipal") {
					return true, nil
				}
			}
		}
		return false, nil
	},
	compare: func(r Resource, state any) []Mismatch {
		if state.(bool) {
			return nil
		}
		return []Mismatch{{
			Reason: r.str("ServicePrincipal") + " may not act in the organization", Verb: "enable",
			Expected: map[string]any{"trusted_access": true}, Actual: map[string]any{"trusted_access": false},
		}}
	},
	repair: func(ctx context.Context, s site, r Resource, _ any) error {
		_, err := s.Organizations.EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(r.str("ServicePrincipal"))}, s.at.Organizations)
		if err != nil {
			return &orgs.Hinted{
				Err: fmt.Errorf("let %s act in the organization: %w", r.str("ServicePrincipal"), err), Next: "only the management account can do this: run the rollout there",
			}
		}
		return nil
	},
	undo: func(_ scope, r Resource, _ any) string {
		return "aws organizations disable-aws-service-access --service-principal " + r.str("ServicePrincipal")
	},
}
