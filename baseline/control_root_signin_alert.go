package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// rootSigninAlert: no root user signs in unseen.
var rootSigninAlert = Control{
	ID: "root-signin-alert", Title: "Somebody is told when a root user signs in", Severity: finding.High,
	Default: true,
	about: About{
		Why:     "Nobody needs the root user in daily work, so a sign-in is an emergency or a break-in.",
		Cost:    "nothing to speak of",
		Example: `root-signin-alert: true`,
	},
	needs: []string{"alert-topic"},
	parts: alertParts("signin"),
	alert: &alert{
		title: "The root user signed in.",
		lines: []string{"Source IP: <ip>", "By:        <who>", "Result:    <result>, MFA used: <mfa>"},
		paths: map[string]string{
			"ip": "$.detail.sourceIPAddress", "who": "$.detail.userIdentity.arn",
			"result": "$.detail.responseElements.ConsoleLogin", "mfa": "$.detail.additionalEventData.MFAUsed",
		},
	},
}
