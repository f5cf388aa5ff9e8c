package baseline

import (
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// rootSigninAlert: no root user signs in unseen.
var rootSigninAlert = Control{
	ID: "root-signin-alert", Title: "Somebody is told when a root user signs in", Severity: finding.High,
	Scope: "every account, in the partition's global Region", Default: true,
	needs: []string{"alert-topic"},
	parts: []part{{unit: "central", mode: spec.Central}, {unit: "signin", mode: spec.Central}, {unit: "signin", mode: spec.Local, file: "-local"}},
}
