package baseline

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
)

// ComplianceAlertSettings are the settings of compliance-alert.
type ComplianceAlertSettings struct {
	// Rules are names of AWS Config rules; a * at the end stands for anything.
	Rules []string `yaml:"rules" doc:"changes of these AWS Config rules, by name; * at the end stands for anything"`
}

var ruleNames = orgs.NewPattern(`^[A-Za-z0-9_-]{0,128}\*?$`)

// Validate reports settings that make no sense.
func (s *ComplianceAlertSettings) Validate(report func(key, message string)) {
	if len(s.Rules) == 0 || len(s.Rules) > 20 {
		report("rules", "want 1 to 20 names of AWS Config rules")
	}
	for i, name := range s.Rules {
		if name == "" || !ruleNames.MatchString(name) {
			report(fmt.Sprintf("rules[%d]", i), "want the name of an AWS Config rule, or its beginning and *")
		}
	}
}

// complianceAlert: people learn when a resource stops complying with a rule. AWS
// Config sends such an event when the state changes and not at every evaluation.
var complianceAlert = Control{
	ID: "compliance-alert", Title: "Somebody is told when a resource no longer complies with an AWS Config rule", Severity: finding.Low,
	Default: true,
	about: About{
		Why:     "AWS Config evaluates, and tells nobody by itself. It sends an event when a state changes and not at every evaluation.",
		Cost:    "nothing to speak of",
		Example: `compliance-alert: {rules: ["orgguard-*", required-tags]}`,
	},
	needs:    []string{"alert-topic"},
	parts:    alertParts("alerts"),
	settings: func() any { return &ComplianceAlertSettings{Rules: []string{"orgguard-*"}} },
	extend: func(f *fragment, b *Baseline) {
		list := f.at("Resources", "ComplianceRule", "Properties", "EventPattern", "detail", "configRuleName")
		list.Content = nil
		for _, name := range b.settings["compliance-alert"].(*ComplianceAlertSettings).Rules {
			prefix, open := strings.CutSuffix(name, "*")
			value := text("!!str", name)
			if open {
				value = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle}
				set(value, "prefix", quoted(prefix))
			}
			list.Content = append(list.Content, value)
		}
	},
	alert: &alert{
		title: "A resource no longer complies with an AWS Config rule.",
		event: "<rule> says <state>", subject: "AWS Config rule not complied with", time: "$.detail.newEvaluationResult.resultRecordedTime",
		lines: []string{"Rule:      <rule>", "Was:       <old>", "Type:      <type>"},
		paths: map[string]string{
			"rule": "$.detail.configRuleName", "type": "$.detail.resourceType",
			"state": "$.detail.newEvaluationResult.complianceType", "old": "$.detail.oldEvaluationResult.complianceType",
		},
		resource: "$.detail.resourceId",
	},
}
