package baseline

import (
	"slices"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// HealthAlertSettings are the settings of health-alert.
type HealthAlertSettings struct {
	// Categories are event type categories of AWS Health.
	// https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html
	Categories []string `yaml:"categories" doc:"events of these categories: issue, investigation, scheduledChange, accountNotification"`
}

var healthCategories = []string{"issue", "investigation", "scheduledChange", "accountNotification"}

// Validate reports settings that make no sense.
func (s *HealthAlertSettings) Validate(report func(key, message string)) {
	if len(s.Categories) == 0 {
		report("categories", "categories is empty: nothing would be told; name some or switch the control off")
	}
	for _, c := range s.Categories {
		if !slices.Contains(healthCategories, c) {
			report("categories", spec.NotOneOf("category", c, healthCategories))
		}
	}
}

// healthAlert: what AWS Health says about an account reaches people.
var healthAlert = Control{
	ID: "health-alert", Title: "Somebody is told when AWS Health reports a problem of an account", Severity: finding.Low,
	Default: true,
	about: About{
		Why:     "AWS writes to the address of the account about abuse, leaked keys and failing hardware; few read it.",
		Cost:    "nothing",
		Example: `health-alert: {categories: [issue, investigation, scheduledChange]}`,
	},
	needs:    []string{"alert-topic"},
	parts:    alertParts("alerts"),
	settings: func() any { return &HealthAlertSettings{Categories: []string{"issue", "investigation"}} },
	extend: func(f *fragment, b *Baseline) {
		setStrings(f.at("Resources", "HealthRule", "Properties", "EventPattern", "detail", "eventTypeCategory"),
			b.settings["health-alert"].(*HealthAlertSettings).Categories)
	},
	alert: &alert{
		title: "AWS Health reports something about this account.",
		event: "<code>", subject: "AWS Health event", time: "$.time",
		lines: []string{"Service:   <service>", "Category:  <category>", "Status:    <status>"},
		paths: map[string]string{
			"code": "$.detail.eventTypeCode", "service": "$.detail.service", "category": "$.detail.eventTypeCategory", "status": "$.detail.statusCode",
		},
		text: "$.detail.eventDescription[0].latestDescription",
	},
}
