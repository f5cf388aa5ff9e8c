package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/account/types"
)

// accountOps is AWS Account Management.
var accountOps = map[string]operation{
	"ListRegions":           op(read, listRegions),
	"GetRegionOptStatus":    op(read, getRegionOptStatus),
	"EnableRegion":          op(write, enableRegion),
	"DisableRegion":         op(write, disableRegion),
	"GetAccountInformation": op(read, getAccountInformation),
}

// partitionRegions lists the Regions of a partition: whether each needs
// opting in. The first Region after 20 March 2019 was the first that does.
// https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
var partitionRegions = map[string]map[string]bool{
	"aws": {
		"ap-northeast-1": false, "ap-northeast-2": false, "ap-northeast-3": false, "ap-south-1": false,
		"ap-southeast-1": false, "ap-southeast-2": false, "ca-central-1": false, "eu-central-1": false,
		"eu-north-1": false, "eu-west-1": false, "eu-west-2": false, "eu-west-3": false, "sa-east-1": false,
		"us-east-1": false, "us-east-2": false, "us-west-1": false, "us-west-2": false,
		"af-south-1": true, "ap-east-1": true, "ap-east-2": true, "ap-south-2": true, "ap-southeast-3": true,
		"ap-southeast-4": true, "ap-southeast-5": true, "ap-southeast-6": true, "ap-southeast-7": true,
		"ca-west-1": true, "eu-central-2": true, "eu-south-1": true, "eu-south-2": true, "il-central-1": true,
		"me-central-1": true, "me-south-1": true, "mx-central-1": true,
	},
	"aws-cn":     {"cn-north-1": false, "cn-northwest-1": false},
	"aws-us-gov": {"us-gov-east-1": false, "us-gov-west-1": false},
}

// regionStatus values; the others are the API's.
const (
	regionUnknown  = types.RegionOptStatus("")
	regionDisabled = types.RegionOptStatusDisabled
)

// regionStatus says whether a Region is on in an account; regionUnknown when
// the partition has no such Region.
func (w *World) regionStatus(accountID, region string) types.RegionOptStatus {
	optIn, ok := partitionRegions[w.state.Partition][region]
	switch a := w.account(accountID); {
	case !ok:
		return regionUnknown
	case !optIn:
		return types.RegionOptStatusEnabledByDefault
	case a != nil && a.OptIn[region] == string(types.RegionOptStatusEnabled):
		return types.RegionOptStatusEnabled
	default:
		return regionDisabled
	}
}

// regionsOf returns a partition's Regions: those on by default first, each
// part sorted.
func regionsOf(partition string) []string {
	regions := partitionRegions[partition]
	out := slices.Collect(maps.Keys(regions))
	return sortedBy(out, func(r string) string { return strconv.FormatBool(regions[r]) + r })
}

// accountTarget returns the account a call is about. Only the management
// account and a delegated administrator may name one, which must then be a
// member; to ask about itself the management account must not name itself.
// https://docs.aws.amazon.com/accounts/latest/reference/using-orgs.html
func accountTarget(c *call, id *string) (string, error) {
	o := &c.w.state.Org
	target := aws.ToString(id)
	switch {
	case target == "":
		return c.caller.Account, nil
	case c.caller.Account != o.ManagementAccount && !c.w.isDelegatedAdmin(c.caller.Account, "account.amazonaws.com"):
		return "", denied(c.service, "User: %s is not authorized to perform: account:%s", c.caller.ARN, c.op)
	case !c.w.trustedAccess("account.amazonaws.com"):
		return "", denied(c.service, "User: %s is not authorized to perform: account:%s (Your organization must first enable trusted access with AWS Account Management.)", c.caller.ARN, c.op)
	case target == o.ManagementAccount:
		return "", denied(c.service, "User: %s is not authorized to perform: account:%s (The management account can only be managed using the standalone context from the management account.)", c.caller.ARN, c.op)
	case o.Accounts[target] == nil:
		return "", denied(c.service, "User: %s is not authorized to perform: account:%s (The account %s is not a member of your organization.)", c.caller.ARN, c.op, target)
	}
	return target, nil
}

func listRegions(c *call, in *account.ListRegionsInput) (*account.ListRegionsOutput, error) {
	target, err := accountTarget(c, in.AccountId)
	if err != nil {
		return nil, err
	}
	regions := slices.Collect(maps.Keys(partitionRegions[c.w.state.Partition]))
	slices.Sort(regions)
	var all []types.Region
	for _, r := range regions {
		status := c.w.regionStatus(target, r)
		if len(in.RegionOptStatusContains) == 0 || slices.Contains(in.RegionOptStatusContains, status) {
			all = append(all, types.Region{RegionName: &r, RegionOptStatus: status})
		}
	}
	limit := int(aws.ToInt32(in.MaxResults))
	if in.MaxResults == nil {
		limit = 50
	} else if limit < 1 || limit > 50 {
		return nil, accountValidation("MaxResults must be between 1 and 50")
	}
	page, next, ok := pageOf(c, all, limit, in.NextToken)
	if !ok {
		return nil, accountValidation("The NextToken is not valid")
	}
	return &account.ListRegionsOutput{Regions: page, NextToken: next}, nil
}

func getRegionOptStatus(c *call, in *account.GetRegionOptStatusInput) (*account.GetRegionOptStatusOutput, error) {
	target, err := accountTarget(c, in.AccountId)
	if err != nil {
		return nil, err
	}
	status := c.w.regionStatus(target, aws.ToString(in.RegionName))
	if status == regionUnknown {
		return nil, accountValidation("Region %s is not valid", aws.ToString(in.RegionName))
	}
	return &account.GetRegionOptStatusOutput{RegionName: aws.String(*in.RegionName), RegionOptStatus: status}, nil
}

func enableRegion(c *call, in *account.EnableRegionInput) (*account.EnableRegionOutput, error) {
	if err := setRegion(c, in.AccountId, aws.ToString(in.RegionName), types.RegionOptStatusEnabled); err != nil {
		return nil, err
	}
	return &account.EnableRegionOutput{}, nil
}

func disableRegion(c *call, in *account.DisableRegionInput) (*account.DisableRegionOutput, error) {
	if err := setRegion(c, in.AccountId, aws.ToString(in.RegionName), regionDisabled); err != nil {
		return nil, err
	}
	return &account.DisableRegionOutput{}, nil
}

// setRegion turns an opt-in Region on or off. In AWS this takes minutes; here
// there is no ENABLING in between.
func setRegion(c *call, id *string, region string, status types.RegionOptStatus) error {
	target, err := accountTarget(c, id)
	if err != nil {
		return err
	}
	if optIn, ok := partitionRegions[c.w.state.Partition][region]; !ok || !optIn {
		return accountValidation("Region %s is not valid: it is not an opt-in Region", region)
	}
	a := c.w.account(target)
	if a.OptIn == nil {
		a.OptIn = map[string]string{}
	}
	a.OptIn[region] = string(status)
	return nil
}

func getAccountInformation(c *call, in *account.GetAccountInformationInput) (*account.GetAccountInformationOutput, error) {
	target, err := accountTarget(c, in.AccountId)
	if err != nil {
		return nil, err
	}
	a := c.w.state.Org.Accounts[target]
	if a == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String("The account " + target + " was not found")}
	}
	return &account.GetAccountInformationOutput{
		AccountId:          aws.String(a.ID),
		AccountName:        aws.String(a.Name),
		AccountCreatedDate: aws.Time(a.Joined),
		AccountState:       types.AccountState(a.State),
	}, nil
}

// accountValidation is Account Management's answer to bad input.
func accountValidation(format string, args ...any) error {
	return &types.ValidationException{Message: aws.String(fmt.Sprintf(format, args...))}
}
