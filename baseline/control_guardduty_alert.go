package baseline

import (
	"strconv"

	"github.com/orgguard/orgguard/orgs/finding"
)

// GuardDutyAlertSettings are the settings of guardduty-alert.
type GuardDutyAlertSettings struct {
	// MinimumSeverity is from 1 to 10: 1 is Low, 4 Medium, 7 High, 9 Critical.
	// https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-severity.html
	MinimumSeverity int `yaml:"minimum_severity" doc:"findings from this severity up: 1 is Low, 4 Medium, 7 High, 9 Critical"`
}

// Validate reports settings that make no sense.
func (s *GuardDutyAlertSettings) Validate(report func(key, message string)) {
	if s.MinimumSeverity < 1 || s.MinimumSeverity > 10 {
		report("minimum_severity", "want 1 to 10: 1 is Low, 4 Medium, 7 High, 9 Critical")
	}
}

// guarddutyAlert: what GuardDuty finds reaches people.
var guarddutyAlert = Control{
	ID: "guardduty-alert", Title: "Somebody is told of what GuardDuty finds, from Medium up", Severity: finding.High,
	Default: true,
	about: About{
		Why:     "GuardDuty finds, and tells nobody by itself. It must be on for this to say anything.",
		Cost:    "nothing to speak of; GuardDuty itself costs what it costs",
		Example: `guardduty-alert: {minimum_severity: 7}`,
	},
	needs:    []string{"alert-topic"},
	parts:    alertParts("alerts"),
	settings: func() any { return &GuardDutyAlertSettings{MinimumSeverity: 4} },
	extend: func(f *fragment, b *Baseline) {
		// EventBridge compares numbers with numbers, and a reference to a
		// parameter is a text.
		severity := strconv.Itoa(b.settings["guardduty-alert"].(*GuardDutyAlertSettings).MinimumSeverity)
		f.at("Resources", "GuardDutyRule", "Properties", "EventPattern", "detail", "severity").Content[0].Content[1].Content[1].Value = severity
	},
	alert: &alert{
		title: "GuardDuty found something.",
		event: "<type>", subject: "GuardDuty finding", time: "$.time",
		lines: []string{"Severity:  <severity>", "Kind:      <kind>", "Finding:   <id>"},
		paths: map[string]string{"type": "$.detail.type", "severity": "$.detail.severity", "kind": "$.detail.resource.resourceType", "id": "$.detail.id"},
		text:  "$.detail.description",
	},
}
