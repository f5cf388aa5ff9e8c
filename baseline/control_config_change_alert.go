package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// configChangeAlert: nobody touches AWS Config unseen.
var configChangeAlert = Control{
	ID: "config-change-alert", Title: "Somebody is told when AWS Config itself is changed", Severity: finding.High,
	Default: true,
	about: About{
		Why:     "Who wants to be unseen stops the recorder first.",
		Cost:    "nothing in an account; with central alerts USD 1 for a million forwarded events",
		Example: `config-change-alert: true`,
	},
	needs: []string{"alert-topic"},
	parts: alertParts("alerts"),
	alert: apiCall("AWS Config itself was changed.", nil),
}
