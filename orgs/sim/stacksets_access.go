package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// managementOnly refuses everybody but the management account.
func (c *call) managementOnly() error {
	if c.caller.Account != c.w.state.Org.ManagementAccount {
		return apiError("InvalidOperationException", "You must be the management account of an organization to manage organizations access")
	}
	return nil
}

// activateOrganizationsAccess enables trusted access for StackSets, which the
// caller needs the permission for, and makes its service-linked role.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-activate-trusted-access.html
func activateOrganizationsAccess(c *call, _ *cloudformation.ActivateOrganizationsAccessInput) (*cloudformation.ActivateOrganizationsAccessOutput, error) {
	if err := c.managementOnly(); err != nil {
		return nil, err
	}
	if c.w.state.Org.FeatureSet != "" && c.w.state.Org.FeatureSet != "ALL" {
		return nil, apiError("InvalidOperationException", "Your organization must have all features enabled to activate organizations access")
	}
	if err := c.forward("Organizations", "EnableAWSServiceAccess", &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(stackSetsPrincipal)}); err != nil {
		return nil, err
	}
	c.w.ensureLinkedRole(c, c.caller.Account, stackSetsAdmin)
	c.w.state.StackSets.Access = "ENABLED"
	return &cloudformation.ActivateOrganizationsAccessOutput{}, nil
}

func deactivateOrganizationsAccess(c *call, _ *cloudformation.DeactivateOrganizationsAccessInput) (*cloudformation.DeactivateOrganizationsAccessOutput, error) {
	if err := c.managementOnly(); err != nil {
		return nil, err
	}
	if err := c.forward("Organizations", "DisableAWSServiceAccess", &organizations.DisableAWSServiceAccessInput{ServicePrincipal: aws.String(stackSetsPrincipal)}); err != nil {
		return nil, err
	}
	c.w.state.StackSets.Access = "DISABLED"
	return &cloudformation.DeactivateOrganizationsAccessOutput{}, nil
}

// forward makes a call for the caller, with their permissions.
func (c *call) forward(service, op string, in any) error {
	sub := &call{ctx: c.ctx, w: c.w, service: service, op: op, caller: c.caller, policy: c.policy, region: c.w.globalRegion(), now: c.now, via: cloudformationVia}
	_, err := c.w.invoke(sub, in)
	return err
}

func describeOrganizationsAccess(c *call, in *cloudformation.DescribeOrganizationsAccessInput) (*cloudformation.DescribeOrganizationsAccessOutput, error) {
	if _, err := c.stackSetOwner(in.CallAs); err != nil {
		return nil, err
	}
	if in.CallAs != types.CallAsDelegatedAdmin {
		if err := c.managementOnly(); err != nil {
			return nil, err
		}
	}
	status := types.OrganizationStatusDisabled
	if c.w.stackSetsActivated() {
		status = types.OrganizationStatusEnabled
	}
	return &cloudformation.DescribeOrganizationsAccessOutput{Status: status}, nil
}

// ensureLinkedRole makes a service's service-linked role in an account unless
// it is there, and returns its ARN.
func (w *World) ensureLinkedRole(c *call, account, service string) string {
	r := w.linkedRole(service, "")
	if have := w.account(account).IAM.Roles[r.Name]; have != nil {
		return w.roleARN(account, have)
	}
	r.Created = c.now
	w.putRole(account, r)
	return w.roleARN(account, r)
}

// executionRole returns a session of the role StackSets deploys with in an
// account, making the role in the member's IAM when it is not there: the
// service-linked role, which no SCP binds, creates stacksets-exec-..., which is
// an ordinary role that SCPs do bind.
func (w *World) executionRole(c *call, account string) (Principal, error) {
	sum := sha256.Sum256([]byte(w.state.Seed + "/" + account))
	name := executionRolePrefix + hex.EncodeToString(sum[:16])
	admin := "arn:" + w.state.Partition + ":iam::aws:policy/" + administratorAccess
	if w.account(account).IAM.Roles[name] == nil {
		linkedARN := w.ensureLinkedRole(c, account, stackSetsPrincipal)
		linked := w.sessionOf(linkedARN, "AWSCloudFormationStackSets")
		trust := jsonText(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Effect": "Allow", "Principal": map[string]any{"AWS": linkedARN}, "Action": "sts:AssumeRole"}}})
		sub := &call{ctx: c.ctx, w: w, service: "CloudFormation", op: c.op, caller: linked, region: w.globalRegion(), now: c.now, via: stackSetsVia, serviceRole: true}
		if _, err := sub.as(linked, sub.region, "IAM", "CreateRole", &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust}); err != nil {
			return Principal{}, err
		}
		if _, err := sub.as(linked, sub.region, "IAM", "AttachRolePolicy", &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: &admin}); err != nil {
			return Principal{}, err
		}
	}
	return w.rolePrincipal(account, name, "AWSCloudFormation"), nil
}

// selfManagedRole returns a session of the execution role of a self-managed
// stack set: CloudFormation assumes the administration role, and with it the
// execution role of the target account. Both have to be there and to trust.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-prereqs-self-managed.html
func (w *World) selfManagedRole(c *call, s *stackSet, account, region string) (Principal, error) {
	adminName := s.AdminRole[strings.LastIndex(s.AdminRole, "/")+1:]
	if w.assumable(s.AdminRole, cloudformationVia, s.Account, s.arn(w), c.now) != "" {
		return Principal{}, validationError("Account %s should have '%s' role with trust relationship to CloudFormation service.", s.Account, adminName)
	}
	admin := w.sessionOf(s.AdminRole, "AWSCloudFormation")
	arn := "arn:" + w.state.Partition + ":iam::" + account + ":role/" + s.ExecutionRole
	sub := &call{ctx: c.ctx, w: w, service: "CloudFormation", op: c.op, caller: admin, region: region, now: c.now, via: cloudformationVia, serviceRole: true}
	_, err := sub.as(admin, s.Region, "STS", "AssumeRole", &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: aws.String("AWSCloudFormation")})
	if err != nil {
		return Principal{}, validationError("Account %s should have '%s' role with trust relationship to Role '%s'.", account, s.ExecutionRole, adminName)
	}
	return w.sessionOf(arn, "AWSCloudFormation"), nil
}
