package baseline

import (
	"strconv"

	"github.com/orgguard/orgguard/orgs/finding"
)

// AnalyzerSettings are the settings of access-analyzer.
type AnalyzerSettings struct {
	// UnusedAccessDays also looks for roles, users, keys and permissions that
	// nobody has used for so many days; 0 does not. It is billed for each role
	// and user of the organization.
	// https://aws.amazon.com/iam/access-analyzer/pricing/
	UnusedAccessDays int `yaml:"unused_access_days" doc:"also look for access that nobody has used for so many days, 1 to 365, at a price for each role and user; 0 does not"`
}

// Validate reports settings that make no sense.
func (s *AnalyzerSettings) Validate(report func(key, message string)) {
	if s.UnusedAccessDays < 0 || s.UnusedAccessDays > 365 {
		report("unused_access_days", "want 1 to 365, or 0 for none")
	}
}

// accessAnalyzer: one analyzer in each Region looks for what the organization opens
// to the outside. It is off by default because it is a decision about the whole
// organization.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-getting-started.html
var accessAnalyzer = Control{
	ID: "access-analyzer", Title: "IAM Access Analyzer looks for what the organization opens to the outside", Severity: finding.Medium,
	about: About{
		Why: "A bucket, key, role or queue that somebody outside the organization may use is found without a rule for each. " +
			"An analyzer of the organization that is there is taken as it is, whether the management account has it or the administrator, since there are only a few to be had.",
		Cost:    "nothing for external access; unused access USD 0.20 a month for each role and user of every account; orgguard makes that analyzer in the home Region only, since IAM is the same in all",
		Example: `access-analyzer: {unused_access_days: 90}`,
	},
	parts:    []part{{unit: "delegation"}, {unit: "services"}},
	settings: func() any { return &AnalyzerSettings{} },
	params: func(s any, _ *Baseline) map[string]string {
		return map[string]string{"AnalyzerUnusedAccessDays": strconv.Itoa(s.(*AnalyzerSettings).UnusedAccessDays)}
	},
	Reads:  []string{"access-analyzer:ListAnalyzers", "organizations:ListDelegatedAdministrators"},
	Writes: append([]string{"access-analyzer:CreateAnalyzer", "access-analyzer:TagResource"}, appointing...),
	Undoes: append([]string{"access-analyzer:DeleteAnalyzer"}, dismissing...),
}
