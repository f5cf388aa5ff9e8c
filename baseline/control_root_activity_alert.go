package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// rootActivityAlert: no root user works unseen. Signing in is told by
// root-signin-alert.
var rootActivityAlert = Control{
	ID: "root-activity-alert", Title: "Somebody is told when a root user changes anything", Severity: finding.High,
	Scope: "every account × Region", Default: true,
	needs: []string{"alert-topic"},
	parts: alertParts("alerts"),
	alert: apiCall("The root user changed something.", map[string]string{"service": "$.detail.eventSource"}, "Service:   <service>"),
}
