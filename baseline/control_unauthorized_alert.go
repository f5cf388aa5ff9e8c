package baseline

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/logpattern"
	"github.com/orgguard/orgguard/orgs/spec"
)

// UnauthorizedSettings are the settings of unauthorized-alert.
type UnauthorizedSettings struct {
	Threshold    int      `yaml:"threshold" doc:"how many refused calls of an account are told"`
	Minutes      int      `yaml:"minutes" doc:"within how many minutes, 1 to 60"`
	IgnoreEvents []string `yaml:"ignore_events" doc:"calls that do not count"`
	IgnoreRoles  []string `yaml:"ignore_roles" doc:"names of roles whose calls do not count, such as a scanner's"`
}

var (
	apiName  = orgs.NewPattern(`^[A-Za-z0-9]{1,128}$`)
	roleName = orgs.NewPattern(`^[A-Za-z0-9+=,.@_-]{1,64}$`)
)

// Validate reports settings that make no sense.
func (s *UnauthorizedSettings) Validate(report func(key, message string)) {
	if s.Threshold < 1 || s.Threshold > 1_000_000 {
		report("threshold", "want 1 to 1000000 calls")
	}
	if s.Minutes < 1 || s.Minutes > 60 {
		report("minutes", "want 1 to 60 minutes")
	}
	for _, name := range s.IgnoreEvents {
		if !apiName.MatchString(name) {
			report("ignore_events", fmt.Sprintf("%q is not the name of a call, such as HeadBucket", name))
		}
	}
	for _, name := range s.IgnoreRoles {
		if !roleName.MatchString(name) {
			report("ignore_roles", fmt.Sprintf("%q is not the name of a role", name))
		}
	}
	if n := len(s.pattern()); n > logpattern.MaxLength {
		report("ignore_events", fmt.Sprintf("ignore_events and ignore_roles make a filter pattern of %d characters; CloudWatch Logs takes %d", n, logpattern.MaxLength))
	}
}

// pattern is the filter pattern: which events of the trail count. What does not:
//
//   - HeadBucket, or whatever the settings name: consoles and SDKs look whether a bucket
//     is there, and get a refusal for an answer.
//   - The delivery of logs by AWS (delivery.logs.amazonaws.com), which tries and goes on.
//   - Calls of service-linked roles: a service of AWS that looks for what it may see.
//
// A call that a service makes for somebody, with his rights, does count.
func (s *UnauthorizedSettings) pattern() string {
	const issuer = "$.userIdentity.sessionContext.sessionIssuer."
	terms := []string{`($.errorCode = "AccessDenied*" || $.errorCode = "*UnauthorizedOperation")`, `$.sourceIPAddress != "delivery.logs.amazonaws.com"`}
	for _, name := range s.IgnoreEvents {
		terms = append(terms, fmt.Sprintf("$.eventName != %q", name))
	}
	notBy := []string{issuer + `arn != "*:role/aws-service-role/*"`}
	for _, name := range s.IgnoreRoles {
		notBy = append(notBy, fmt.Sprintf("%suserName != %q", issuer, name))
	}
	terms = append(terms, fmt.Sprintf("(%sarn NOT EXISTS || (%s))", issuer, strings.Join(notBy, " && ")))
	return "{ " + strings.Join(terms, " && ") + " }"
}

// unauthorizedAlert: somebody who tries what he may not do is seen. EventBridge cannot
// count, so the trail's log group does, by a metric filter with the account as
// dimension, and one alarm on a Metrics Insights query that groups by it. Such an alarm
// has a state for each account, and CloudWatch tells EventBridge of each: an alarm for
// each account would have to be made for every new one, and an alarm on a sum would not
// say whose calls they were, and would count five calls in five accounts for five. The
// event takes the way of all alerts. CloudTrail's own Insights (ApiErrorRateInsight)
// learn what is usual and tell of what is not, which is another question and costs by
// the event.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Metrics_Insights_Alarm.html
var unauthorizedAlert = Control{
	ID: "unauthorized-alert", Title: "Somebody is told when many calls of an account are refused", Severity: finding.Medium,
	about: About{
		Why: "Whoever got hold of credentials tries what they are good for, and most of it is refused. Refusals of HeadBucket, of log delivery by AWS and of service-linked roles " +
			"are everyday noise and do not count. EventBridge cannot count, so a metric filter on the trail's log group does, for each account by itself: one alarm has a state for " +
			"each of them (the 500 with the most refusals). It takes CloudTrail and CloudWatch some minutes.",
		Cost:    "for each account that has refused calls all month long, USD 0.30 for its metric and USD 0.10 in the alarm; next to nothing for the others",
		Example: `unauthorized-alert: {threshold: 10, ignore_roles: [SecurityScanner]}`,
	},
	needs: []string{"alert-topic", cloudtrailID},
	parts: []part{
		{unit: "trail-alerts"},
		{unit: "central", mode: spec.Central, rule: onCentralBus},
		{unit: "trail-alerts", mode: spec.Central, rule: forwarded},
		{unit: "trail-alerts", mode: spec.Local, rule: toOwnTopic},
	},
	settings: func() any {
		return &UnauthorizedSettings{Threshold: 5, Minutes: 5, IgnoreEvents: []string{"HeadBucket"}}
	},
	params: func(s any, _ *Baseline) map[string]string {
		u := s.(*UnauthorizedSettings)
		return map[string]string{
			"UnauthorizedPattern": u.pattern(), "UnauthorizedThreshold": strconv.Itoa(u.Threshold), "UnauthorizedPeriod": strconv.Itoa(60 * u.Minutes),
		}
	},
	// The event is the management account's; whose calls it is about is in it.
	alert: &alert{
		title: "Many calls of an account were refused.", event: "refused calls", time: "$.time",
		lines: []string{"Look for:  errorCode AccessDenied or UnauthorizedOperation in the organization's trail"},
		paths: map[string]string{"account": "$.detail.alarmContributor.attributes.Account"},
		text:  "$.detail.state.reason",
	},
	Reads:  []string{"cloudwatch:DescribeAlarms", "logs:DescribeMetricFilters"},
	Writes: []string{"cloudwatch:DeleteAlarms", "cloudwatch:EnableAlarmActions", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "logs:DeleteMetricFilter", "logs:PutMetricFilter"},
}
