package access

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
)

// SecurityHub is the operations of Security Hub that orgguard calls; see EC2 for why
// they are taken out of their client.
type SecurityHub struct {
	BatchEnableStandards              hubCall[securityhub.BatchEnableStandardsInput, securityhub.BatchEnableStandardsOutput]
	CreateFindingAggregator           hubCall[securityhub.CreateFindingAggregatorInput, securityhub.CreateFindingAggregatorOutput]
	CreateMembers                     hubCall[securityhub.CreateMembersInput, securityhub.CreateMembersOutput]
	DeleteFindingAggregator           hubCall[securityhub.DeleteFindingAggregatorInput, securityhub.DeleteFindingAggregatorOutput]
	DescribeOrganizationConfiguration hubCall[securityhub.DescribeOrganizationConfigurationInput, securityhub.DescribeOrganizationConfigurationOutput]
	DescribeSecurityHubV2             hubCall[securityhub.DescribeSecurityHubV2Input, securityhub.DescribeSecurityHubV2Output]
	DisableOrganizationAdminAccount   hubCall[securityhub.DisableOrganizationAdminAccountInput, securityhub.DisableOrganizationAdminAccountOutput]
	EnableOrganizationAdminAccount    hubCall[securityhub.EnableOrganizationAdminAccountInput, securityhub.EnableOrganizationAdminAccountOutput]
	EnableSecurityHub                 hubCall[securityhub.EnableSecurityHubInput, securityhub.EnableSecurityHubOutput]
	EnableSecurityHubV2               hubCall[securityhub.EnableSecurityHubV2Input, securityhub.EnableSecurityHubV2Output]
	GetEnabledStandards               hubCall[securityhub.GetEnabledStandardsInput, securityhub.GetEnabledStandardsOutput]
	GetFindingAggregator              hubCall[securityhub.GetFindingAggregatorInput, securityhub.GetFindingAggregatorOutput]
	ListFindingAggregators            hubCall[securityhub.ListFindingAggregatorsInput, securityhub.ListFindingAggregatorsOutput]
	ListMembers                       hubCall[securityhub.ListMembersInput, securityhub.ListMembersOutput]
	ListOrganizationAdminAccounts     hubCall[securityhub.ListOrganizationAdminAccountsInput, securityhub.ListOrganizationAdminAccountsOutput]
	UpdateFindingAggregator           hubCall[securityhub.UpdateFindingAggregatorInput, securityhub.UpdateFindingAggregatorOutput]
	UpdateOrganizationConfiguration   hubCall[securityhub.UpdateOrganizationConfigurationInput, securityhub.UpdateOrganizationConfigurationOutput]
}

// hubCall is an operation of Security Hub.
type hubCall[In, Out any] = func(context.Context, *In, ...func(*securityhub.Options)) (*Out, error)

func newSecurityHub(cfg aws.Config) SecurityHub {
	c := securityhub.NewFromConfig(cfg)
	return SecurityHub{
		BatchEnableStandards:              c.BatchEnableStandards,
		CreateFindingAggregator:           c.CreateFindingAggregator,
		CreateMembers:                     c.CreateMembers,
		DeleteFindingAggregator:           c.DeleteFindingAggregator,
		DescribeOrganizationConfiguration: c.DescribeOrganizationConfiguration,
		DescribeSecurityHubV2:             c.DescribeSecurityHubV2,
		DisableOrganizationAdminAccount:   c.DisableOrganizationAdminAccount,
		EnableOrganizationAdminAccount:    c.EnableOrganizationAdminAccount,
		EnableSecurityHub:                 c.EnableSecurityHub,
		EnableSecurityHubV2:               c.EnableSecurityHubV2,
		GetEnabledStandards:               c.GetEnabledStandards,
		GetFindingAggregator:              c.GetFindingAggregator,
		ListFindingAggregators:            c.ListFindingAggregators,
		ListMembers:                       c.ListMembers,
		ListOrganizationAdminAccounts:     c.ListOrganizationAdminAccounts,
		UpdateFindingAggregator:           c.UpdateFindingAggregator,
		UpdateOrganizationConfiguration:   c.UpdateOrganizationConfiguration,
	}
}
