package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// LiveTestID is the control whose rule orgguard's own test events fire.
const LiveTestID = "live-test-alert"

// What a test event says of itself. Nobody but applications can send one: AWS's own
// sources begin with "aws.".
const (
	LiveTestSource     = "orgguard.test"
	LiveTestDetailType = "orgguard live test"
)

// liveTestAlert: the way of the alerts can be tried with an event that means nothing.
// It is off by default because everybody who gets alerts gets the tests too.
var liveTestAlert = Control{
	ID: LiveTestID, Title: "The way of the alerts can be tried with a harmless event", Severity: finding.Low,
	about: About{
		Why:     "An audit compares rules, roles, bus and topic; that a message comes out at the other end only a message shows. `orgguard alerts test --live` sends one from each account × Region.",
		Cost:    "nothing to speak of; everybody who gets alerts gets a message for each event that is sent",
		Example: `live-test-alert: true`,
	},
	needs: []string{"alert-topic"},
	parts: alertParts("alerts"),
	alert: &alert{
		title: "This is a test of the alerts. Nothing has happened.",
		event: "Test of the alerts", time: "$.time",
		lines: []string{"Marker:    <marker>"},
		paths: map[string]string{"marker": "$.detail.marker"},
	},
}
