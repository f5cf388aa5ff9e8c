package baseline

import (
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// SecurityHubSettings are the settings of securityhub.
type SecurityHubSettings struct {
	// Standards are turned on in every account, by AWS's own names. Those that are not
	// named stay as they are: no standard is ever turned off.
	// https://docs.aws.amazon.com/securityhub/latest/userguide/standards-reference.html
	Standards []string `yaml:"standards" doc:"standards that every account is checked by, e.g. aws-foundational-security-best-practices/v/1.0.0, cis-aws-foundations-benchmark/v/3.0.0; those not named stay as they are"`
	// Aggregate gathers the findings of the other Regions in the home Region.
	Aggregate bool `yaml:"aggregate" doc:"the security account sees the findings of all Regions in the home Region; an aggregator that is there is taken as it is"`
}

// The standards that AWS calls default ones: what auto-enable can turn on.
const (
	bestPractices = "aws-foundational-security-best-practices/v/1.0.0"
	oldestCIS     = "cis-aws-foundations-benchmark/v/1.2.0"
)

var hubStandards = []string{
	bestPractices, "aws-resource-tagging-standard/v/1.0.0",
	oldestCIS, "cis-aws-foundations-benchmark/v/1.4.0", "cis-aws-foundations-benchmark/v/3.0.0", "cis-aws-foundations-benchmark/v/5.0.0",
	"nist-800-171/v/2.0.0", "nist-800-53/v/5.0.0", "pci-dss/v/3.2.1", "pci-dss/v/4.0.1",
}

// Validate reports settings that make no sense.
func (s *SecurityHubSettings) Validate(report func(key, message string)) {
	for _, name := range s.Standards {
		if !slices.Contains(hubStandards, name) {
			report("standards", spec.NotOneOf("standard", name, hubStandards))
		}
	}
}

// securityHubControl: Security Hub checks every account × Region, and reports to the
// security account. It is off by default because it costs money and because it is a
// decision about the whole organization.
//
// It configures locally: a configuration policy of Security Hub turns off every
// standard that it does not name and takes the accounts' own settings away. Where such
// policies decide, they are respected. Policies of AWS Organizations are about the newer
// Security Hub alone: see securityhub-policy.
// https://docs.aws.amazon.com/securityhub/latest/userguide/central-configuration-intro.html
var securityHubControl = Control{
	ID: "securityhub", Title: "Security Hub checks every account and reports to the security account", Severity: finding.High,
	about: About{
		Why: "One list of what is wrong in all accounts, by standards that others have thought about. " +
			"This is what AWS calls Security Hub CSPM today. Its checks are rules of AWS Config and find nothing without a recorder, and Config.1 wants recorders with AWS Config's own role (config-recorder: {role: service-linked}). " +
			"Another delegated administrator is respected and audited, never replaced; so are configuration policies of Security Hub. " +
			"The newer Security Hub is another thing, which the control securityhub-policy turns on.",
		Cost:    "about USD 0.001 for a check, less from 100,000 a month in an account × Region, and what AWS Config records for them; 30 days in each account are free; gathering the findings of all Regions costs nothing",
		Example: `securityhub: {standards: [aws-foundational-security-best-practices/v/1.0.0, cis-aws-foundations-benchmark/v/3.0.0]}`,
	},
	needs:    []string{"config-recorder"},
	parts:    []part{{unit: "delegation"}, {unit: "services"}, {unit: "region"}},
	settings: func() any { return &SecurityHubSettings{Standards: []string{bestPractices}, Aggregate: true} },
	once:     []string{"aggregate"},
	params: func(s any, b *Baseline) map[string]string {
		set := s.(*SecurityHubSettings)
		p := map[string]string{"SecurityHubStandards": strings.Join(set.Standards, ","), "SecurityHubNewAccounts": "", "SecurityHubLinked": ""}
		if slices.Contains(set.Standards, bestPractices) && slices.Contains(set.Standards, oldestCIS) {
			p["SecurityHubNewAccounts"] = "DEFAULT"
		}
		if set.Aggregate {
			others := slices.DeleteFunc(slices.Clone(b.Regions), func(region string) bool { return region == b.Home })
			p["SecurityHubLinked"] = strings.Join(others, ",")
		}
		return p
	},
	Reads: []string{
		"organizations:ListDelegatedAdministrators", "securityhub:DescribeOrganizationConfiguration", "securityhub:GetEnabledStandards",
		"securityhub:GetFindingAggregator", "securityhub:ListFindingAggregators", "securityhub:ListMembers", "securityhub:ListOrganizationAdminAccounts",
	},
	Writes: append([]string{
		"securityhub:BatchEnableStandards", "securityhub:CreateFindingAggregator", "securityhub:CreateMembers", "securityhub:EnableOrganizationAdminAccount",
		"securityhub:EnableSecurityHub", "securityhub:TagResource", "securityhub:UpdateFindingAggregator", "securityhub:UpdateOrganizationConfiguration",
	}, appointing...),
	Undoes: append([]string{
		"securityhub:DeleteFindingAggregator", "securityhub:DisableOrganizationAdminAccount", "securityhub:UpdateFindingAggregator",
		"securityhub:UpdateOrganizationConfiguration",
	}, dismissing...),
}
