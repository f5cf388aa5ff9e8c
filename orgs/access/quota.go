package access

// Quota is a published rate of an API. The operations of a row share it.
type Quota struct {
	Service    string // IAM prefix
	Operations []string
	PerSecond  float64
	Burst      int
	Source     string
}

const orgLimits = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"

// Quotas are the rates that hold for the caller's account as a whole. Rates of
// AWS Config, EventBridge, SNS and their like, and of account:ListRegions asked
// with the member's own credentials, are per member account: there the limit of
// requests on the wire is the bound. Read November 2026; the
// lower (per account) of the two published figures.
var Quotas = []Quota{
	{"organizations", []string{"ListAccounts"}, 8, 12, orgLimits},
	{"organizations", []string{"ListRoots"}, 1, 2, orgLimits},
	{"organizations", []string{"ListParents"}, 5, 8, orgLimits},
	{"organizations", []string{"ListAccountsForParent"}, 5, 8, orgLimits},
	{"organizations", []string{"ListOrganizationalUnitsForParent"}, 5, 8, orgLimits},
	{"organizations", []string{"ListChildren"}, 6, 10, orgLimits},
	{"organizations", []string{"DescribeAccount"}, 20, 30, orgLimits},
	{"organizations", []string{"DescribeOrganizationalUnit"}, 2, 2, orgLimits},
	{"organizations", []string{"DescribePolicy"}, 2, 2, orgLimits},
	{"organizations", []string{"ListPolicies"}, 5, 8, orgLimits},
	{"organizations", []string{"ListPoliciesForTarget"}, 5, 8, orgLimits},
	{"organizations", []string{"ListTargetsForPolicy"}, 5, 8, orgLimits},
	{"organizations", []string{"CreatePolicy", "UpdatePolicy", "DeletePolicy", "AttachPolicy", "DetachPolicy"}, 2, 3, orgLimits},
	{"organizations", []string{"EnablePolicyType", "DisablePolicyType"}, 1, 1, orgLimits},
	{"organizations", []string{"ListTagsForResource"}, 10, 15, orgLimits},
	{"organizations", []string{"EnableAWSServiceAccess", "RegisterDelegatedAdministrator", "DeregisterDelegatedAdministrator"}, 1, 2, orgLimits},
}
