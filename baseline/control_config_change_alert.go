package baseline

import (
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// configChangeAlert: nobody touches AWS Config unseen.
var configChangeAlert = Control{
	ID: "config-change-alert", Title: "Somebody is told when AWS Config itself is changed", Severity: finding.High,
	Scope: "every account × Region", Default: true,
	needs: []string{"alert-topic"},
	parts: []part{{unit: "central", mode: spec.Central}, {unit: "alerts", mode: spec.Central}, {unit: "alerts", mode: spec.Local, file: "-local"}},
}
