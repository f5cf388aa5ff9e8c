package sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
)

// trailAdmins refuses who may not decide about CloudTrail's delegated administrators.
func (c *call) trailAdmins() error {
	o := &c.w.state.Org
	switch {
	case c.caller.Account != o.ManagementAccount:
		return &types.NotOrganizationManagementAccountException{Message: aws.String("Only the management account of the organization can do this.")}
	case o.FeatureSet != "ALL":
		return &types.OrganizationNotInAllFeaturesModeException{Message: aws.String("The organization does not have all features enabled.")}
	case !c.w.trustedAccess(trailService):
		return &types.CloudTrailAccessNotEnabledException{Message: aws.String("Trusted access for CloudTrail is not enabled in AWS Organizations.")}
	}
	return nil
}

// registerTrailAdmin makes an account a delegated administrator of CloudTrail. The
// service makes its roles and registers the account with the caller's rights.
//
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_RegisterOrganizationDelegatedAdmin.html
func registerTrailAdmin(c *call, in *cloudtrail.RegisterOrganizationDelegatedAdminInput) (*cloudtrail.RegisterOrganizationDelegatedAdminOutput, error) {
	if err := c.trailAdmins(); err != nil {
		return nil, err
	}
	o, id := &c.w.state.Org, aws.ToString(in.MemberAccountId)
	switch {
	case o.Accounts[id] == nil:
		return nil, &types.AccountNotFoundException{Message: aws.String("The account " + id + " is not a member of the organization.")}
	case id == o.ManagementAccount:
		return nil, &types.CannotDelegateManagementAccountException{Message: aws.String("The management account cannot be a delegated administrator.")}
	case c.w.isDelegatedAdmin(id, trailService):
		return nil, &types.AccountRegisteredException{Message: aws.String("The account " + id + " is registered already.")}
	case c.w.delegates(trailService) >= maxDelegates[trailService]:
		return nil, &types.DelegatedAdminAccountLimitExceededException{Message: aws.String("The organization has the maximum number of delegated administrators of CloudTrail.")}
	}
	for _, do := range []func() (any, error){
		func() (any, error) {
			return c.as(c.caller, c.region, "IAM", "CreateServiceLinkedRole", &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String(trailService)})
		},
		func() (any, error) {
			return c.as(c.caller, c.region, "Organizations", "RegisterDelegatedAdministrator", &organizations.RegisterDelegatedAdministratorInput{AccountId: &id, ServicePrincipal: aws.String(trailService)})
		},
	} {
		if _, err := do(); err != nil && !hasCode(err, "InvalidInput") { // which is what IAM says of a role that is there
			return nil, &types.InsufficientDependencyServiceAccessPermissionException{Message: aws.String(err.Error())}
		}
	}
	return &cloudtrail.RegisterOrganizationDelegatedAdminOutput{}, nil
}

// deregisterTrailAdmin takes it back. The trails that the account made stay: they are
// the management account's.
//
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DeregisterOrganizationDelegatedAdmin.html
func deregisterTrailAdmin(c *call, in *cloudtrail.DeregisterOrganizationDelegatedAdminInput) (*cloudtrail.DeregisterOrganizationDelegatedAdminOutput, error) {
	if err := c.trailAdmins(); err != nil {
		return nil, err
	}
	id := aws.ToString(in.DelegatedAdminAccountId)
	switch {
	case c.w.state.Org.Accounts[id] == nil:
		return nil, &types.AccountNotFoundException{Message: aws.String("The account " + id + " is not a member of the organization.")}
	case !c.w.isDelegatedAdmin(id, trailService):
		return nil, &types.AccountNotRegisteredException{Message: aws.String("The account " + id + " is not registered.")}
	}
	_, err := c.as(c.caller, c.region, "Organizations", "DeregisterDelegatedAdministrator", &organizations.DeregisterDelegatedAdministratorInput{AccountId: &id, ServicePrincipal: aws.String(trailService)})
	if err != nil {
		return nil, &types.InsufficientDependencyServiceAccessPermissionException{Message: aws.String(err.Error())}
	}
	return &cloudtrail.DeregisterOrganizationDelegatedAdminOutput{}, nil
}
