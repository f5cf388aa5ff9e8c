package baseline

import (
	"slices"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// SecurityHubAlertSettings are the settings of securityhub-alert.
type SecurityHubAlertSettings struct {
	// Severities are labels of the AWS Security Finding Format.
	Severities []string `yaml:"severities" doc:"findings with these labels: CRITICAL, HIGH, MEDIUM, LOW"`
}

var severityLabels = []string{"CRITICAL", "HIGH", "MEDIUM", "LOW"}

// Validate reports settings that make no sense.
func (s *SecurityHubAlertSettings) Validate(report func(key, message string)) {
	if len(s.Severities) == 0 {
		report("severities", "severities is empty: nothing would be told; name some or switch the control off")
	}
	for _, label := range s.Severities {
		if !slices.Contains(severityLabels, label) {
			report("severities", spec.NotOneOf("severity", label, severityLabels))
		}
	}
}

// securityhubAlert: what Security Hub finds reaches people. A finding is told
// while its workflow status is NEW; what GuardDuty found comes from
// guardduty-alert, if that is on.
var securityhubAlert = Control{
	ID: "securityhub-alert", Title: "Somebody is told of what Security Hub finds CRITICAL or HIGH", Severity: finding.High,
	Default: true,
	about: About{
		Why:     "Security Hub lists, and tells nobody by itself. A finding is told while its workflow status is NEW, once for its own account.",
		Cost:    "nothing to speak of; Security Hub itself costs what it costs",
		Example: `securityhub-alert: {severities: [CRITICAL]}`,
	},
	needs:    []string{"alert-topic"},
	parts:    alertParts("alerts"),
	settings: func() any { return &SecurityHubAlertSettings{Severities: []string{"CRITICAL", "HIGH"}} },
	extend: func(f *fragment, b *Baseline) {
		findings := f.at("Resources", "SecurityHubRule", "Properties", "EventPattern", "detail", "findings")
		setStrings(f.at("Resources", "SecurityHubRule", "Properties", "EventPattern", "detail", "findings", "Severity", "Label"),
			b.settings["securityhub-alert"].(*SecurityHubAlertSettings).Severities)
		if _, on := b.settings["guardduty-alert"]; on {
			other, err := parseNode("ProductName: [{anything-but: [GuardDuty]}]")
			if err == nil { // it is written two lines above
				findings.Content = append(findings.Content, other.Content...)
			}
		}
	},
	alert: &alert{
		title: "Security Hub found something.",
		event: "<severity> finding", subject: "Security Hub <severity> finding", time: "$.time",
		lines:    []string{"Severity:  <severity>"},
		paths:    map[string]string{"severity": "$.detail.findings[0].Severity.Label"},
		resource: "$.detail.findings[0].Resources[0].Id",
		text:     "$.detail.findings[0].Title",
	},
}
