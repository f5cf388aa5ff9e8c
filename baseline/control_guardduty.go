package baseline

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// GuardDutySettings are the settings of guardduty.
type GuardDutySettings struct {
	// Plans are protection plans that are turned on for everybody, by the names
	// of GuardDuty's features in lower case. Those that are not named stay as they
	// are: no plan is ever turned off.
	// https://docs.aws.amazon.com/guardduty/latest/ug/guardduty-features-activation-model.html
	Plans []string `yaml:"plans" doc:"protection plans for every account, each at its own price: s3-data-events, eks-audit-logs, ebs-malware-protection, rds-login-events, lambda-network-logs, runtime-monitoring, ai-protection; those not named stay as they are"`
}

// guardDutyPlans are the protection plans by our names. EKS runtime monitoring is
// a part of runtime monitoring, and refused beside it.
func guardDutyPlans() []string {
	var out []string
	for _, f := range types.OrgFeature("").Values() {
		if f != types.OrgFeatureEksRuntimeMonitoring {
			out = append(out, strings.ReplaceAll(strings.ToLower(string(f)), "_", "-"))
		}
	}
	slices.Sort(out)
	return out
}

// Validate reports settings that make no sense.
func (s *GuardDutySettings) Validate(report func(key, message string)) {
	for _, p := range s.Plans {
		if !slices.Contains(guardDutyPlans(), p) {
			report("plans", spec.NotOneOf("plan", p, guardDutyPlans()))
		}
	}
}

// guardDuty: GuardDuty watches every account × Region, administered by the security
// account. It is off by default because it costs money and because it is a decision
// about the whole organization: it reaches every account, excluded ones too.
// https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_organizations.html
var guardDuty = Control{
	ID: "guardduty", Title: "GuardDuty is on in every account, administered by the security account", Severity: finding.High,
	Scope: "organization × Region, by API",
	about: About{
		Why: "Threats are found where GuardDuty is on, and nowhere else: one Region or one new account without it is where they go. " +
			"GuardDuty enables every account by itself, those that the configuration excludes too. Another delegated administrator is respected and audited, never replaced.",
		Cost:    "by what is analyzed: about USD 4 for a million management events and USD 1 for a GB of flow and DNS logs; each protection plan besides; 30 days in each account are free",
		Example: `guardduty: {plans: [s3-data-events, rds-login-events]}`,
	},
	parts:    []part{{unit: "delegation"}, {unit: "services"}},
	settings: func() any { return &GuardDutySettings{} },
	params: func(s any, _ *Baseline) map[string]string {
		plans := strings.Join(s.(*GuardDutySettings).Plans, ",")
		return map[string]string{"GuardDutyPlans": strings.ToUpper(strings.ReplaceAll(plans, "-", "_"))}
	},
	Reads: []string{
		"guardduty:DescribeOrganizationConfiguration", "guardduty:GetDetector", "guardduty:ListDetectors", "guardduty:ListMembers",
		"guardduty:ListOrganizationAdminAccounts", "organizations:ListDelegatedAdministrators", "organizations:ListPolicies", "organizations:ListTargetsForPolicy",
	},
	Writes: append([]string{
		"guardduty:CreateDetector", "guardduty:CreateMembers", "guardduty:EnableOrganizationAdminAccount", "guardduty:StartMonitoringMembers",
		"guardduty:UpdateDetector", "guardduty:UpdateOrganizationConfiguration",
	}, appointing...),
	Undoes: append([]string{
		"guardduty:DeleteMembers", "guardduty:DisableOrganizationAdminAccount", "guardduty:DisassociateMembers", "guardduty:StopMonitoringMembers",
		"guardduty:UpdateOrganizationConfiguration",
	}, dismissing...),
}
