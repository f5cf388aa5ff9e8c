package sim

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/orgguard/orgguard/orgs"
)

var (
	accountPattern = orgs.NewPattern(`^[0-9]{12}$`)
	unitPattern    = orgs.NewPattern(`^(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32})$`)
)

// target is an account an operation acts on, and the root or OU it was
// targeted by.
type target struct{ account, unit string }

// newItems is the items of a CreateStackInstances.
func (c *call) newItems(s *stackSet, in *types.DeploymentTargets, accounts, regions []string) ([]*operationItem, *setTargets, error) {
	t, err := c.targetsOf(s, in, accounts, regions)
	if err != nil {
		return nil, nil, err
	}
	if t.Filter == string(types.AccountFilterTypeUnion) {
		return nil, nil, validationError("AccountFilterType UNION is not supported for CreateStackInstances")
	}
	if s.Model == serviceManaged && len(t.Units) == 0 {
		return nil, nil, validationError("StackSets with SERVICE_MANAGED permission model can only have OrganizationalUnit as target")
	}
	var items []*operationItem
	for _, region := range regions {
		for _, a := range c.w.targetAccounts(s, t) {
			items = append(items, &operationItem{Account: a.account, Region: region, Unit: a.unit, Status: "PENDING"})
		}
	}
	added := 0
	for _, i := range items {
		if s.instance(i.Account, i.Region) == nil {
			added++
		}
	}
	if len(s.Instances)+added > maxStackInstances {
		return nil, nil, apiError("LimitExceededException", "The stack set would exceed the limit of %d stack instances", maxStackInstances)
	}
	return items, t, nil
}

// existingItems is the items of an operation on instances there are: the
// targeted ones, or all. Inoperable instances only DeleteStackInstances touches.
func (c *call) existingItems(s *stackSet, in *types.DeploymentTargets, accounts, regions []string, targeted bool) ([]*operationItem, *setTargets, error) {
	var items []*operationItem
	if !targeted {
		for _, i := range s.Instances {
			if i.Status != "INOPERABLE" {
				items = append(items, &operationItem{Account: i.Account, Region: i.Region, Unit: i.Unit, Status: "PENDING"})
			}
		}
		return items, nil, nil
	}
	t, err := c.targetsOf(s, in, accounts, regions)
	if err != nil {
		return nil, nil, err
	}
	chosen := c.w.targetAccounts(s, t)
	for _, region := range regions {
		for _, a := range chosen {
			i := s.instance(a.account, region)
			switch {
			case i == nil && s.Model == selfManaged:
				return nil, nil, apiError("StackInstanceNotFoundException", "Stack instance for account %s and Region %s not found", a.account, region)
			case i != nil && i.Status != "INOPERABLE":
				items = append(items, &operationItem{Account: a.account, Region: region, Unit: i.Unit, Status: "PENDING"})
			}
		}
	}
	if len(items) == 0 {
		return nil, nil, apiError("StackInstanceNotFoundException", "No stack instances match the deployment targets")
	}
	return items, t, nil
}

// doomedItems is the items of a DeleteStackInstances. Accounts that left the
// organization or a target are found by their instances.
func (c *call) doomedItems(s *stackSet, in *types.DeploymentTargets, accounts, regions []string) ([]*operationItem, *setTargets, error) {
	t, err := c.targetsOf(s, in, accounts, regions)
	if err != nil {
		return nil, nil, err
	}
	chosen := map[string]bool{}
	for _, a := range c.w.targetAccounts(s, t) {
		chosen[a.account] = true
	}
	var items []*operationItem
	for _, region := range regions {
		for _, i := range s.Instances {
			byUnit := slices.Contains(t.Units, i.Unit) && c.w.orgParent(i.Account) == ""
			if i.Region == region && (chosen[i.Account] || byUnit) {
				items = append(items, &operationItem{Account: i.Account, Region: region, Unit: i.Unit, Status: "PENDING"})
			}
		}
	}
	return items, t, nil
}

func (c *call) checkRegions(s *stackSet, regions []string) error {
	if len(regions) == 0 {
		return validationError("At least one Region must be specified")
	}
	for i, r := range regions {
		if c.w.regionStatus(s.Account, r) == regionUnknown {
			return validationError("Region %s is not supported", r)
		}
		if slices.Contains(regions[:i], r) {
			return validationError("Duplicate Region %s", r)
		}
	}
	return nil
}

// targetsOf checks and copies the targets of a request.
func (c *call) targetsOf(s *stackSet, in *types.DeploymentTargets, accounts, regions []string) (*setTargets, error) {
	if err := c.checkRegions(s, regions); err != nil {
		return nil, err
	}
	t := &setTargets{Accounts: slices.Clone(accounts), Regions: slices.Clone(regions)}
	if in != nil {
		if len(accounts) > 0 {
			return nil, validationError("Only one of Accounts or DeploymentTargets can be specified")
		}
		t.Units, t.Accounts = slices.Clone(in.OrganizationalUnitIds), slices.Clone(in.Accounts)
		t.Filter, t.URL = string(in.AccountFilterType), aws.ToString(in.AccountsUrl)
	}
	if t.URL != "" {
		body, err := c.fetchTemplate(t.URL)
		if err != nil {
			return nil, err
		}
		t.Accounts = append(t.Accounts, strings.FieldsFunc(body, func(r rune) bool { return strings.ContainsRune(", \r\n\t", r) })...)
	}
	for _, a := range t.Accounts {
		if !accountPattern.MatchString(a) {
			return nil, validationError("Account %s is not a valid account id", a)
		}
	}
	if s.Model == selfManaged {
		if len(t.Units) > 0 || t.Filter != "" {
			return nil, validationError("StackSets with SELF_MANAGED permission model can only have accounts as target")
		}
		if len(t.Accounts) == 0 {
			return nil, validationError("At least one account must be specified")
		}
		return t, nil
	}
	if len(accounts) > 0 || in == nil {
		return nil, validationError("StackSets with SERVICE_MANAGED permission model can only have OrganizationalUnit as target")
	}
	return t, c.checkUnits(t)
}

func (c *call) checkUnits(t *setTargets) error {
	if len(t.Units) > maxTargetUnits {
		return validationError("The number of OrganizationalUnitIds must be less than or equal to %d", maxTargetUnits)
	}
	for _, u := range t.Units {
		if !unitPattern.MatchString(u) || !c.w.state.Org.nodeExists(u) {
			return validationError("Organizational unit %s does not exist in the organization", u)
		}
	}
	switch types.AccountFilterType(t.Filter) {
	case types.AccountFilterTypeIntersection, types.AccountFilterTypeDifference:
		if len(t.Accounts) == 0 || len(t.Units) == 0 {
			return validationError("AccountFilterType %s requires both OrganizationalUnitIds and Accounts", t.Filter)
		}
	case types.AccountFilterTypeNone:
		if len(t.Accounts) > 0 {
			return validationError("Accounts cannot be specified with AccountFilterType NONE")
		}
	case types.AccountFilterTypeUnion:
	case "":
		if len(t.Accounts) > 0 {
			t.Filter = string(types.AccountFilterTypeUnion)
		}
	}
	return nil
}

// targetAccounts is the accounts that targets stand for: those of the OUs and
// the OUs below, never the management account, in the order of their ids.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-associate-stackset-with-org.html
func (w *World) targetAccounts(s *stackSet, t *setTargets) []target {
	var out []target
	seen := map[string]bool{}
	add := func(account, unit string) {
		if !seen[account] {
			seen[account] = true
			out = append(out, target{account, unit})
		}
	}
	if s.Model == selfManaged {
		for _, a := range t.Accounts {
			add(a, "")
		}
	}
	for _, u := range t.Units {
		for _, a := range w.accountsUnder(u) {
			listed := slices.Contains(t.Accounts, a)
			if a == w.state.Org.ManagementAccount ||
				t.Filter == string(types.AccountFilterTypeIntersection) && !listed ||
				t.Filter == string(types.AccountFilterTypeDifference) && listed {
				continue
			}
			add(a, u)
		}
	}
	if s.Model == serviceManaged && t.Filter == string(types.AccountFilterTypeUnion) {
		for _, a := range t.Accounts {
			if w.state.Org.Accounts[a] != nil && a != w.state.Org.ManagementAccount {
				add(a, w.orgParent(a))
			}
		}
	}
	slices.SortFunc(out, func(a, b target) int { return strings.Compare(a.account, b.account) })
	return out
}
