package sim

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/orgguard/orgguard/orgs"
)

// linkedRoles holds the names of service-linked roles and their policies, by
// service principal. Each service has its own way of writing its name.
var linkedRoles = map[string]struct{ name, policy string }{
	"config.amazonaws.com":                              {"AWSServiceRoleForConfig", "AWSConfigServiceRolePolicy"},
	"config-conforms.amazonaws.com":                     {"AWSServiceRoleForConfigConforms", ""},
	"config-multiaccountsetup.amazonaws.com":            {"AWSServiceRoleForConfigMultiAccountSetup", ""},
	"remediation.config.amazonaws.com":                  {"AWSServiceRoleForConfigRemediation", ""},
	"organizations.amazonaws.com":                       {"AWSServiceRoleForOrganizations", ""},
	"cloudtrail.amazonaws.com":                          {"AWSServiceRoleForCloudTrail", ""},
	"guardduty.amazonaws.com":                           {"AWSServiceRoleForAmazonGuardDuty", ""},
	"securityhub.amazonaws.com":                         {"AWSServiceRoleForSecurityHub", ""},
	"access-analyzer.amazonaws.com":                     {"AWSServiceRoleForAccessAnalyzer", ""},
	"events.amazonaws.com":                              {"AWSServiceRoleForCloudWatchEvents", ""},
	"ssm.amazonaws.com":                                 {"AWSServiceRoleForAmazonSSM", ""},
	"management.chatbot.amazonaws.com":                  {"AWSServiceRoleForAWSChatbot", ""},
	"stacksets.cloudformation.amazonaws.com":            {"AWSServiceRoleForCloudFormationStackSetsOrgAdmin", "CloudFormationStackSetsOrgAdminServiceRolePolicy"},
	"member.org.stacksets.cloudformation.amazonaws.com": {"AWSServiceRoleForCloudFormationStackSetsOrgMember", "CloudFormationStackSetsOrgMemberServiceRolePolicy"},
}

var linkedServicePattern = orgs.NewPattern(`^[a-z0-9.-]+\.amazonaws\.com$`)

// linkedRole makes the service-linked role of a service as IAM would.
func (w *World) linkedRole(service, suffix string) *role {
	known := linkedRoles[service]
	name := known.name
	if name == "" {
		name = "AWSServiceRoleFor" + strings.ReplaceAll(strings.TrimSuffix(service, ".amazonaws.com"), ".", "_")
	}
	if suffix != "" {
		name += "_" + suffix
	}
	r := &role{
		Name: name, Path: "/aws-service-role/" + service + "/",
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`,
	}
	if known.policy != "" {
		r.Attached = []string{"arn:" + w.state.Partition + ":iam::aws:policy/aws-service-role/" + known.policy}
	}
	return r
}

func createServiceLinkedRole(c *call, in *iam.CreateServiceLinkedRoleInput) (*iam.CreateServiceLinkedRoleOutput, error) {
	service := aws.ToString(in.AWSServiceName)
	if !linkedServicePattern.MatchString(service) {
		return nil, &types.InvalidInputException{Message: aws.String("Service name " + service + " is not valid.")}
	}
	r := c.w.linkedRole(service, aws.ToString(in.CustomSuffix))
	if c.account().IAM.Roles[r.Name] != nil {
		return nil, &types.InvalidInputException{Message: aws.String("Service role name " + r.Name + " has been taken in this account, please try a different suffix.")}
	}
	r.Description, r.Created = aws.ToString(in.Description), c.now
	c.w.putRole(c.caller.Account, r)
	return &iam.CreateServiceLinkedRoleOutput{Role: c.w.apiRole(c.caller.Account, r)}, nil
}

// deleteServiceLinkedRole deletes the role when its service has no more use
// for it. It is asynchronous: a refusal shows in the status of the task.
func deleteServiceLinkedRole(c *call, in *iam.DeleteServiceLinkedRoleInput) (*iam.DeleteServiceLinkedRoleOutput, error) {
	r, err := c.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	if !r.serviceLinked() {
		return nil, noSuchEntity("The service-linked role with name %s cannot be found.", r.Name)
	}
	outcome := "done"
	if c.linkedRoleInUse(r) {
		outcome = "used"
	} else {
		delete(c.account().IAM.Roles, r.Name)
	}
	return &iam.DeleteServiceLinkedRoleOutput{DeletionTaskId: aws.String("task" + r.Path + r.Name + "/" + outcome + "-" + c.w.uuid())}, nil
}

// linkedRoleInUse says whether a recorder of the account uses the role; other
// services' uses are not known.
func (c *call) linkedRoleInUse(r *role) bool {
	arn := c.w.roleARN(c.caller.Account, r)
	for _, region := range c.account().Regions {
		for _, recorder := range region.Config.Recorders {
			if recorder.RoleARN == arn {
				return true
			}
		}
	}
	return false
}

func getServiceLinkedRoleDeletionStatus(_ *call, in *iam.GetServiceLinkedRoleDeletionStatusInput) (*iam.GetServiceLinkedRoleDeletionStatusOutput, error) {
	id := aws.ToString(in.DeletionTaskId)
	if !strings.HasPrefix(id, "task/aws-service-role/") {
		return nil, noSuchEntity("Deletion task %s not found.", id)
	}
	if strings.HasPrefix(lastSegment(id), "used-") {
		return &iam.GetServiceLinkedRoleDeletionStatusOutput{
			Status: types.DeletionTaskStatusTypeFailed,
			Reason: &types.DeletionTaskFailureReasonType{Reason: aws.String("The role is in use by its service.")},
		}, nil
	}
	return &iam.GetServiceLinkedRoleDeletionStatusOutput{Status: types.DeletionTaskStatusTypeSucceeded}, nil
}

var aliasPattern = orgs.NewPattern(`^[a-z0-9](([a-z0-9]|-[a-z0-9])*[a-z0-9])?$`)

// createAccountAlias sets the account's one alias, in place of any other.
func createAccountAlias(c *call, in *iam.CreateAccountAliasInput) (*iam.CreateAccountAliasOutput, error) {
	alias := aws.ToString(in.AccountAlias)
	if len(alias) < 3 || len(alias) > 63 || !aliasPattern.MatchString(alias) {
		return nil, iamValidation("1 validation error detected: Value '%s' at 'accountAlias' failed to satisfy constraint", alias)
	}
	for _, a := range c.w.state.Accounts {
		if a.IAM.Alias == alias && a.ID != c.caller.Account {
			return nil, entityExists("The account alias %s already exists.", alias)
		}
	}
	c.account().IAM.Alias = alias
	return &iam.CreateAccountAliasOutput{}, nil
}

func listAccountAliases(c *call, _ *iam.ListAccountAliasesInput) (*iam.ListAccountAliasesOutput, error) {
	out := &iam.ListAccountAliasesOutput{AccountAliases: []string{}}
	if alias := c.account().IAM.Alias; alias != "" {
		out.AccountAliases = []string{alias}
	}
	return out, nil
}

// getAccountSummary counts what this world has, among the quotas.
func getAccountSummary(c *call, _ *iam.GetAccountSummaryInput) (*iam.GetAccountSummaryOutput, error) {
	s := &c.account().IAM
	return &iam.GetAccountSummaryOutput{SummaryMap: map[string]int32{
		"Roles":                             int32(len(s.Roles)),
		"RolesQuota":                        maxRoles,
		"Policies":                          int32(len(s.Policies)),
		"PoliciesQuota":                     1500,
		"PolicySizeQuota":                   maxManagedPolicy,
		"VersionsPerPolicyQuota":            maxVersions,
		"AttachedPoliciesPerRoleQuota":      maxRolePolicies,
		"AssumeRolePolicySizeQuota":         2048,
		"Users":                             0,
		"Groups":                            0,
		"AccountMFAEnabled":                 1,
		"AccountAccessKeysPresent":          0,
		"AccountPasswordPresent":            1,
		"AccountSigningCertificatesPresent": 0,
	}}, nil
}
