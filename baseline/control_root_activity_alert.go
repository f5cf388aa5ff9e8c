package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// rootActivityAlert: no root user works unseen. Signing in is told by
// root-signin-alert.
var rootActivityAlert = Control{
	ID: "root-activity-alert", Title: "Somebody is told when a root user changes anything", Severity: finding.High,
	Default: true,
	about: About{
		Why:     "Nothing but a service control policy stops a root user. EventBridge gets changes and not reads, so this tells of changes.",
		Cost:    "nothing to speak of",
		Example: `root-activity-alert: true`,
	},
	needs: []string{"alert-topic"},
	parts: alertParts("alerts"),
	alert: apiCall("The root user changed something.", map[string]string{"service": "$.detail.eventSource"}, "Service:   <service>"),
}
