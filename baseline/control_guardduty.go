package baseline

import (
	"fmt"
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
	// NewPlans are turned on by GuardDuty itself in accounts that join, and nowhere
	// else by orgguard.
	NewPlans []string `yaml:"new_plans" doc:"protection plans for accounts that join from now on; accounts that are there stay as they are, and a plan that is on for everybody stays so"`
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
	for key, plans := range map[string][]string{"plans": s.Plans, "new_plans": s.NewPlans} {
		for _, p := range plans {
			if !slices.Contains(guardDutyPlans(), p) {
				report(key, spec.NotOneOf("plan", p, guardDutyPlans()))
			}
		}
	}
	for _, p := range s.NewPlans {
		if slices.Contains(s.Plans, p) {
			report("new_plans", fmt.Sprintf("%s is among plans already, which are for every account", p))
		}
	}
}

// guardDuty: GuardDuty watches every account × Region, administered by the security
// account. It is off by default because it costs money and because it is a decision
// about the whole organization: it reaches every account, excluded ones too.
// https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_organizations.html
var guardDuty = Control{
	ID: "guardduty", Title: "GuardDuty is on in every account, administered by the security account", Severity: finding.High,
	about: About{
		Why: "Threats are found where GuardDuty is on, and nowhere else: one Region or one new account without it is where they go. " +
			"GuardDuty enables every account by itself, those that the configuration excludes too. A protection plan that is off in one account is found and turned on again. Another delegated administrator is respected and audited, never replaced.",
		Cost:    "by what is analyzed: about USD 4 for a million management events and USD 1 for a GB of flow and DNS logs; each protection plan besides; 30 days in each account are free",
		Example: `guardduty: {plans: [s3-data-events, rds-login-events]}`,
	},
	parts:    []part{{unit: "delegation"}, {unit: "services"}},
	settings: func() any { return &GuardDutySettings{} },
	params: func(s any, _ *Baseline) map[string]string {
		list := func(plans []string) string {
			return strings.ToUpper(strings.ReplaceAll(strings.Join(plans, ","), "-", "_"))
		}
		g := s.(*GuardDutySettings)
		return map[string]string{"GuardDutyPlans": list(g.Plans), "GuardDutyNewPlans": list(g.NewPlans)}
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
	more: func(s any) (a actions) {
		if len(s.(*GuardDutySettings).Plans) > 0 { // the administrator is asked about those of each member
			a.reads, a.writes = []string{"guardduty:GetMemberDetectors"}, []string{"guardduty:UpdateMemberDetectors"}
		}
		return a
	},
}
