package baseline

import (
	"slices"
	"strconv"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// SSHSettings are the settings of ssh-restricted.
type SSHSettings struct {
	// Remediation is "off", "manual" (a person presses the button in the Config
	// console) or "automatic".
	Remediation string `yaml:"remediation" doc:"off, manual (a person presses the button) or automatic"`
	// Runbook is the Systems Manager runbook that remediates.
	Runbook string `yaml:"runbook" doc:"the Systems Manager runbook that remediates: AWS-DisableIncomingSSHOnPort22 or AWS-DisablePublicAccessForSecurityGroup"`
	// Attempts are made within RetrySeconds before Config gives up.
	Attempts     int `yaml:"attempts" doc:"how often a remediation is tried, 1 to 25"`
	RetrySeconds int `yaml:"retry_seconds" doc:"within how many seconds the attempts are made"`
}

// The runbooks. The first one takes away just what opens port 22 to the internet.
// The second one closes RDP as well, but fails in VPCs other than the default one
// when a security group does not have all four rules that it wants to take away,
// and does not exist in China.
// https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-aws-disablepublicaccessforsecuritygroup.html
var sshRunbooks = []string{"AWS-DisableIncomingSSHOnPort22", "AWS-DisablePublicAccessForSecurityGroup"}

// Validate reports settings that make no sense.
func (s *SSHSettings) Validate(report func(key, message string)) {
	validRemediation(s.Remediation, s.Attempts, s.RetrySeconds, report)
	if !slices.Contains(sshRunbooks, s.Runbook) {
		report("runbook", spec.NotOneOf("runbook", s.Runbook, sshRunbooks))
	}
}

// validRemediation reports what AWS Config would refuse.
// https://docs.aws.amazon.com/config/latest/APIReference/API_RemediationConfiguration.html
func validRemediation(how string, attempts, retry int, report func(key, message string)) {
	if good := []string{"off", "manual", "automatic"}; !slices.Contains(good, how) {
		report("remediation", spec.NotOneOf("remediation", how, good))
	}
	if attempts < 1 || attempts > 25 {
		report("attempts", "want 1 to 25")
	}
	if retry < 1 || retry > 2_678_000 {
		report("retry_seconds", "want 1 to 2678000 seconds")
	}
}

// The IAM actions of Config rules with a remediation.
var (
	readConfigRules  = []string{"config:DescribeConfigRules", "config:DescribeRemediationConfigurations"}
	writeConfigRules = []string{"config:DeleteConfigRule", "config:DeleteRemediationConfiguration", "config:PutConfigRule", "config:PutRemediationConfigurations"}
)

// sshRestricted: the internet does not get in by SSH; what opens port 22 is taken
// back. It is off by default: every evaluation costs, and people are cut off who
// come in that way.
// https://docs.aws.amazon.com/config/latest/developerguide/restricted-ssh.html
var sshRestricted = Control{
	ID: "ssh-restricted", Title: "No security group lets the internet in by SSH", Severity: finding.High,
	about: About{
		Why:     "Port 22 open to the internet is found within minutes by those who try passwords.",
		Cost:    "USD 0.001 for each evaluation of a security group, once for each change of one; the remediation is a few cents for a thousand",
		Example: `ssh-restricted: {remediation: automatic, attempts: 5}`,
	},
	parts: []part{{unit: "roles"}, {unit: "rules"}},
	needs: []string{"config-recorder"}, // without which AWS Config takes no rule
	settings: func() any {
		return &SSHSettings{Remediation: "automatic", Runbook: sshRunbooks[0], Attempts: 5, RetrySeconds: 60}
	},
	params: func(s any, _ *Baseline) map[string]string {
		r := s.(*SSHSettings)
		return map[string]string{
			"SshRemediation": r.Remediation, "SshRunbook": r.Runbook, "SshAttempts": strconv.Itoa(r.Attempts), "SshRetrySeconds": strconv.Itoa(r.RetrySeconds),
		}
	},
	Reads: readConfigRules, Writes: writeConfigRules,
}
