package baseline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// HubPolicySettings are the settings of securityhub-policy.
type HubPolicySettings struct {
	// Attach are the roots and OUs that the policy is attached to.
	Attach []string `yaml:"attach" doc:"roots and OUs that the policy is attached to, by id, name or path; every account below has Security Hub V2 on, those that this configuration excludes included"`
	// Regions are those that the policy enables.
	Regions []string `yaml:"regions" doc:"Regions that it is enabled in; empty means those of this configuration, and [ALL_SUPPORTED] every one, those that AWS opens later included"`
}

// allSupported is what a Security Hub policy calls every Region there is and will be.
const allSupported = "ALL_SUPPORTED"

// Validate reports settings that make no sense.
func (s *HubPolicySettings) Validate(report func(key, message string)) {
	if len(s.Attach) == 0 {
		report("attach", "want at least one root or OU; to attach the policy nowhere, switch the control off")
	}
	for _, region := range s.Regions {
		if region == allSupported && len(s.Regions) > 1 {
			report("regions", allSupported+" stands alone: it is every Region")
		}
		if part := orgs.PartitionOf(region); region != allSupported && !part.Has(region) {
			report("regions", spec.NotOneOf("Region", region, append([]string{allSupported}, part.All()...)))
		}
	}
}

// HubPolicyName is the name of the Security Hub policy that orgguard writes.
const HubPolicyName = "orgguard-security-hub"

// hubPolicyControl: the newer Security Hub, which AWS's API calls V2, is switched on by
// a policy of AWS Organizations. It is off by default because it costs money for every
// resource of the accounts and because it is a decision about the whole organization.
//
// It is a control by itself, since it can be on without Security Hub CSPM (the control
// securityhub) and the other way round: they have nothing in common but the service's
// principal and, where that is a member account, the administrator.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_security_hub.html
var hubPolicyControl = Control{
	ID: "securityhub-policy", Title: "A policy of AWS Organizations keeps the newer Security Hub on in every account", Severity: finding.High,
	about: About{
		Why: "The newer Security Hub (V2 in AWS's API, while the older one is Security Hub CSPM) correlates what the other services find. " +
			"Its policy reaches accounts on the day they join, and no member account can switch off what it enables. " +
			"Policies of others are respected: where one of them enables the Regions nothing is added, and where one of them decides otherwise nothing is attached beside it. " +
			"The administrator of Security Hub CSPM is its administrator, too, unless that is the management account, which AWS does not take.",
		Cost: "USD 3.75 a month for each EC2 instance, each 12 Lambda functions, each 18 container images and each 125 IAM users or roles that it watches, vulnerability scans and the checks of Security Hub CSPM included " +
			"(aws.amazon.com/security-hub/pricing as it was quoted in September 2026: look there before you decide); 30 days are free; the policy costs nothing. What is on stays on, and costs, when the policy is taken away",
		Example: `securityhub-policy: {attach: [root], regions: [us-east-1]}`,
	},
	parts:    []part{{unit: "delegation"}, {unit: "region"}},
	settings: func() any { return &HubPolicySettings{Attach: []string{"root"}} },
	whole:    true,
	params: func(s any, b *Baseline) map[string]string {
		set := s.(*HubPolicySettings)
		attach, _ := hubPolicyTargets(set, b.Org) // checkHubPolicy reports what it does not find
		return map[string]string{"HubPolicyName": HubPolicyName, "HubPolicyAttach": strings.Join(attach, ","), "HubPolicyRegions": strings.Join(hubPolicyRegions(set, b), ",")}
	},
	Reads: []string{
		"organizations:DescribeEffectivePolicy", "organizations:DescribePolicy", "organizations:ListAWSServiceAccessForOrganization",
		"organizations:ListDelegatedAdministrators", "organizations:ListPolicies", "organizations:ListRoots", "organizations:ListTagsForResource",
		"organizations:ListTargetsForPolicy", "securityhub:DescribeSecurityHubV2", "securityhub:ListOrganizationAdminAccounts",
	},
	Writes: append([]string{
		"organizations:AttachPolicy", "organizations:CreatePolicy", "organizations:EnablePolicyType", "organizations:UpdatePolicy",
		"securityhub:EnableOrganizationAdminAccount", "securityhub:EnableSecurityHubV2", "securityhub:TagResource",
	}, appointing...),
	Undoes: append([]string{
		"organizations:DeletePolicy", "organizations:DetachPolicy", "organizations:UpdatePolicy", "securityhub:DisableOrganizationAdminAccount",
	}, dismissing...),
}

// hubPolicyTargets are the ids of the roots and OUs that the settings name, sorted;
// without those that lie below another, which reaches them.
func hubPolicyTargets(set *HubPolicySettings, org *orgs.Organization) ([]string, error) {
	var ids []string
	var problems []error
	for _, ref := range set.Attach {
		ou, err := org.FindOU(ref)
		if err != nil {
			problems = append(problems, fmt.Errorf("baseline: securityhub-policy: attach: %w", err))
			continue
		}
		ids = append(ids, string(ou.ID))
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	below := func(id string) bool {
		return slices.ContainsFunc(ids, func(top string) bool { return top != id && org.Under(orgs.NodeID(id), orgs.NodeID(top)) })
	}
	return slices.DeleteFunc(slices.Clone(ids), below), errors.Join(problems...)
}

// hubPolicyRegions are the Regions that the policy names, sorted.
func hubPolicyRegions(set *HubPolicySettings, b *Baseline) []string {
	switch {
	case len(set.Regions) > 0:
		return slices.Compact(slices.Sorted(slices.Values(set.Regions)))
	case b.AllEnabled:
		return []string{allSupported}
	}
	return b.Regions
}

// checkHubPolicy reports targets that are not there and Regions of another partition.
func (b *Baseline) checkHubPolicy() error {
	set, on := b.settings[hubPolicyControl.ID].(*HubPolicySettings)
	if !on {
		return nil
	}
	_, err := hubPolicyTargets(set, b.Org)
	problems := []error{err}
	for _, region := range set.Regions {
		if region != allSupported && orgs.PartitionOf(region).ID != b.Org.Partition.ID {
			problems = append(problems, fmt.Errorf("baseline: securityhub-policy: region %s is not in the organization's partition %s", region, b.Org.Partition.ID))
		}
	}
	return errors.Join(problems...)
}

// AttachedTo are the roots and OUs, as the configuration names them, that controls
// attach policies to.
func AttachedTo(cfg *spec.Config) []string {
	if !hubPolicyControl.on(cfg) {
		return nil
	}
	s, err := layersIn(cfg).settings(hubPolicyControl)
	if set, ok := s.(*HubPolicySettings); ok && err == nil {
		return set.Attach
	}
	return nil
}
