package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// trailChangeAlert: nobody blinds CloudTrail unseen.
var trailChangeAlert = Control{
	ID: "trail-change-alert", Title: "Somebody is told when CloudTrail is stopped, deleted or changed", Severity: finding.High,
	Default: true,
	about: About{
		Why:     "Without CloudTrail there are no events, and no other alert about calls fires.",
		Cost:    "nothing to speak of",
		Example: `trail-change-alert: true`,
	},
	needs: []string{"alert-topic"},
	parts: alertParts("alerts"),
	// A call names its trail in one of these ways.
	alert: apiCall("CloudTrail itself was changed.", map[string]string{
		"trail": "$.detail.requestParameters.name", "selected": "$.detail.requestParameters.trailName", "store": "$.detail.requestParameters.eventDataStore",
	}, "Trail:     <trail><selected><store>"),
}
