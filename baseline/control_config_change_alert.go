package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// configChangeAlert: nobody touches AWS Config unseen.
var configChangeAlert = Control{
	ID: "config-change-alert", Title: "Somebody is told when AWS Config itself is changed", Severity: finding.High,
	Scope: "every account × Region", Default: true,
	needs: []string{"alert-topic"},
	parts: alertParts("alerts"),
	alert: apiCall("AWS Config itself was changed.", nil),
}
