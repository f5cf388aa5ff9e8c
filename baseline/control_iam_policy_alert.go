package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// iamPolicyAlert: nobody widens rights unseen. It is off unless asked for: every
// deployment changes roles.
var iamPolicyAlert = Control{
	ID: "iam-policy-alert", Title: "Somebody is told when an IAM policy or role changes", Severity: finding.Medium,
	about: About{
		Why:     "Whoever may change policies may do everything. Every deployment does, so it is off by default.",
		Cost:    "USD 1 for a million forwarded events",
		Example: `iam-policy-alert: true`,
	},
	needs: []string{"alert-topic"},
	parts: alertParts("signin"), // IAM's calls are recorded in the global Region
	alert: apiCall("An IAM policy or role was changed.", map[string]string{
		"policy": "$.detail.requestParameters.policyArn", "inline": "$.detail.requestParameters.policyName",
		"role": "$.detail.requestParameters.roleName", "user": "$.detail.requestParameters.userName", "group": "$.detail.requestParameters.groupName",
	}, "Policy:    <policy><inline>", "Of:        <role><user><group>"),
}
