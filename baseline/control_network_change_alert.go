package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// networkChangeAlert: no security group or network ACL changes unseen. It is off
// unless asked for: where people deploy all day, so do the mails come.
var networkChangeAlert = Control{
	ID: "network-change-alert", Title: "Somebody is told when a security group or network ACL changes", Severity: finding.Medium,
	Scope: "every account × Region",
	needs: []string{"alert-topic"},
	parts: alertParts("alerts"),
	alert: apiCall("A security group or network ACL was changed.", map[string]string{
		"group": "$.detail.requestParameters.groupId", "made": "$.detail.responseElements.groupId", "acl": "$.detail.requestParameters.networkAclId",
	}, "Of:        <group><made><acl>"),
}
