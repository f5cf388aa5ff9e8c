package baseline

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/orgguard/orgguard/orgs"
)

// securityHubV2Principal is the key of delegates that Security Hub V2 has.
const securityHubV2Principal = securityHubPrincipal + "/V2"

// hubV2State is Security Hub V2 in an account × Region.
type hubV2State struct {
	// Beyond says that the policy is not to reach the account, or not in the Region.
	Beyond bool   `json:"beyond,omitempty"`
	On     bool   `json:"on"`
	ARN    string `json:"arn,omitempty"`
	// Decide are the policies of others that leave the account out in the Region; looked
	// for only where it is off.
	Decide []string `json:"decide,omitempty"`
}

var hubV2Kind = kind{
	noun:    "Region setting",
	observe: observeHubV2, compare: compareHubV2, repair: enableHubV2,
	undo: func(s scope, _ Resource, _ any) string {
		return "aws securityhub disable-security-hub-v2 --region " + s.region + " (refused while a policy enables it)"
	},
}

func observeHubV2(ctx context.Context, s site, r Resource) (any, error) {
	id := s.at.Account
	a, _ := s.base.Org.Account(id)
	reached := hubTargetOf(pathOf(s.base.Org, a), r) != "" || id == s.base.Security // its administrator has it on for itself
	if wanted := r.names("Regions"); !reached || !slices.Contains(wanted, s.at.Region) && !slices.Contains(wanted, allSupported) {
		return hubV2State{Beyond: true}, nil
	}
	out, err := s.SecurityHub.DescribeSecurityHubV2(ctx, &securityhub.DescribeSecurityHubV2Input{}, s.at.SecurityHub)
	switch {
	case err == nil:
		return hubV2State{On: true, ARN: aws.ToString(out.HubV2Arn)}, nil
	case !notFound(err) && !hubIsOff(err):
		return nil, fmt.Errorf("look whether Security Hub V2 is on: %w", err)
	}
	policy := s.base.policies.of(ctx, s, r)
	if policy.Err != nil {
		return nil, policy.Err
	}
	st := hubV2State{}
	for _, g := range policy.Value.Left {
		if g.Account == id && (slices.Contains(g.Regions, s.at.Region) || slices.Contains(g.Regions, allSupported)) {
			st.Decide = g.By
		}
	}
	return st, nil
}

func compareHubV2(_ Resource, state any) []Mismatch {
	st := state.(hubV2State)
	if st.Beyond || st.On {
		return nil
	}
	m := Mismatch{Reason: "Security Hub V2 is off", Expected: "on", Actual: "off", Verb: "enable"}
	if len(st.Decide) > 0 {
		m.Manual = leave(st.Decide)
	}
	return []Mismatch{m}
}

// enableHubV2 switches it on at once. The policy does the same in its own time, and
// sees to it that it stays so.
func enableHubV2(ctx context.Context, s site, r Resource, _ any) error {
	seen, err := observeHubV2(ctx, s, r)
	if err != nil {
		return err
	}
	if len(compareHubV2(r, seen)) == 0 || len(seen.(hubV2State).Decide) > 0 {
		return nil // the policy was quicker, or decides
	}
	_, err = s.SecurityHub.EnableSecurityHubV2(ctx, &securityhub.EnableSecurityHubV2Input{Tags: map[string]string{"managed-by": "orgguard"}}, s.at.SecurityHub)
	if err != nil {
		return fmt.Errorf("enable Security Hub V2 in account %s: %w", s.at.Account, err)
	}
	return nil
}

// Its administrator ----------------------------------------------------------
//
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-v2-set-da.html

// hubV2Admin is one for all Regions.
func hubV2Admin(ctx context.Context, s site) (orgs.AccountID, error) {
	return hubAdmin(ctx, s, types.SecurityHubFeatureSecurityHubV2)
}

func appointHubV2(ctx context.Context, s site, id orgs.AccountID) error {
	_, err := s.SecurityHub.EnableOrganizationAdminAccount(ctx, &securityhub.EnableOrganizationAdminAccountInput{
		AdminAccountId: aws.String(string(id)), Feature: types.SecurityHubFeatureSecurityHubV2,
	}, s.at.SecurityHub)
	return err
}

func dismissHubV2(ctx context.Context, s site, id orgs.AccountID) error {
	if now, err := hubV2Admin(ctx, s); err != nil || now != id {
		return err // it went with Security Hub CSPM's
	}
	_, err := s.SecurityHub.DisableOrganizationAdminAccount(ctx, &securityhub.DisableOrganizationAdminAccountInput{
		AdminAccountId: aws.String(string(id)), Feature: types.SecurityHubFeatureSecurityHubV2,
	}, s.at.SecurityHub)
	return err
}

// hubV2Follows says whether the account administers Security Hub CSPM in any Region:
// then it is V2's administrator by that, and to take V2 from it would take both.
func hubV2Follows(ctx context.Context, s site, id orgs.AccountID) (bool, error) {
	for _, region := range s.base.mayBeOn() {
		admin, err := securityHubAdmin(ctx, s.base.site(s.Pool, s.at.Account, region))
		if err != nil {
			return false, err
		}
		if admin == id {
			return true, nil
		}
	}
	return false, nil
}
