package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// accessKeyAlert: no long-lived credential is made unseen.
var accessKeyAlert = Control{
	ID: "access-key-alert", Title: "Somebody is told when an access key is created", Severity: finding.Medium,
	Default: true,
	about: About{
		Why:     "Access keys do not expire and are what leaks most.",
		Cost:    "nothing to speak of",
		Example: `access-key-alert: true`,
	},
	needs: []string{"alert-topic"},
	parts: alertParts("signin"), // IAM's calls are recorded in the global Region
	// Who makes a key for themselves does not say so.
	alert: apiCall("A long-lived credential was created.", map[string]string{
		"user": "$.detail.requestParameters.userName", "key": "$.detail.responseElements.accessKey.accessKeyId",
		"credential": "$.detail.responseElements.serviceSpecificCredential.serviceSpecificCredentialId",
	}, "For user:  <user>", "Key:       <key><credential>"),
}
