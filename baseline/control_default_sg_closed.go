package baseline

import (
	"strconv"

	"github.com/orgguard/orgguard/orgs/finding"
)

// DefaultSGSettings are the settings of default-sg-closed.
type DefaultSGSettings struct {
	// Remediation is "off", "manual" (a person presses the button in the Config
	// console) or "automatic".
	Remediation string `yaml:"remediation" doc:"off, manual (a person presses the button) or automatic"`
	// Attempts are made within RetrySeconds before Config gives up.
	Attempts     int `yaml:"attempts" doc:"how often a remediation is tried, 1 to 25"`
	RetrySeconds int `yaml:"retry_seconds" doc:"within how many seconds the attempts are made"`
}

// Validate reports settings that make no sense.
func (s *DefaultSGSettings) Validate(report func(key, message string)) {
	validRemediation(s.Remediation, s.Attempts, s.RetrySeconds, report)
}

// defaultSGClosed: default security groups let nothing in or out, so that whatever
// is launched without a thought is cut off. It is off by default: every evaluation
// costs, and its remediation cuts off what uses a default security group today.
// https://docs.aws.amazon.com/config/latest/developerguide/vpc-default-security-group-closed.html
var defaultSGClosed = Control{
	ID: "default-sg-closed", Title: "Default security groups have no rules", Severity: finding.Medium,
	about: About{
		Why:     "Whatever is launched without a thought gets the default security group; with no rules in it, it is cut off.",
		Cost:    "USD 0.001 for each evaluation of a security group, once for each change of one; the remediation is a few cents for a thousand",
		Example: `default-sg-closed: {remediation: manual}`,
	},
	parts:    []part{{unit: "roles"}, {unit: "rules"}},
	needs:    []string{"config-recorder"}, // without which AWS Config takes no rule
	settings: func() any { return &DefaultSGSettings{Remediation: "automatic", Attempts: 5, RetrySeconds: 60} },
	params: func(s any, _ *Baseline) map[string]string {
		r := s.(*DefaultSGSettings)
		return map[string]string{"DefaultSgRemediation": r.Remediation, "DefaultSgAttempts": strconv.Itoa(r.Attempts), "DefaultSgRetrySeconds": strconv.Itoa(r.RetrySeconds)}
	},
	Reads: readConfigRules, Writes: writeConfigRules,
}
