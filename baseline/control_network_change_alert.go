package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// networkChangeAlert: no security group or network ACL changes unseen. It is off
// unless asked for: where people deploy all day, so do the mails come.
var networkChangeAlert = Control{
	ID: "network-change-alert", Title: "Somebody is told when a security group or network ACL changes", Severity: finding.Medium,
	about: About{
		Why:     "One rule for 0.0.0.0/0 opens a network. Where people deploy all day it makes many mails, so it is off by default.",
		Cost:    "USD 1 for a million forwarded events",
		Example: `network-change-alert: true`,
	},
	needs: []string{"alert-topic"},
	parts: alertParts("alerts"),
	alert: apiCall("A security group or network ACL was changed.", map[string]string{
		"group": "$.detail.requestParameters.groupId", "made": "$.detail.responseElements.groupId", "acl": "$.detail.requestParameters.networkAclId",
	}, "Of:        <group><made><acl>"),
}
